"""Paths against counting by hand and by a walk through the unrolled graph."""

import pytest

import throughtime as tt
from tests.gradients.test_graph import arrows
from throughtime.errors import InvalidType, InvalidValue
from throughtime.gradients import Path, count_paths, graph, paths


def test_first_steps():
    """Through L_1: 1, L_2: 2, then 3."""
    assert [count_paths(3, loss_step=j) for j in (1, 2, 3)] == [1, 2, 3]
    assert count_paths(3) == 6
    assert list(paths(2)) == [Path(1, 1), Path(2, 1), Path(2, 2)]


@pytest.mark.parametrize("steps", [1, 2, 5, 9])
@pytest.mark.parametrize("lag", [None, 0, 1, 4, 20])
def test_counts_are_those_of_the_list(steps, lag):
    listed = list(paths(steps, lag=lag))
    assert len(listed) == len(set(listed)) == count_paths(steps, lag=lag)
    for j in range(1, steps + 1):
        through = [path for path in listed if path.loss_step == j]
        assert len(through) == count_paths(steps, loss_step=j, lag=lag)
        assert [path.lag for path in through] == sorted(
            (path.lag for path in through), reverse=True
        )
    if lag is None:
        assert len(listed) == steps * (steps + 1) // 2
    else:
        assert all(0 <= path.lag <= lag for path in listed)


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_paths_are_those_of_the_unrolled_graph(steps):
    """Every way from W_hh to L in the exported graph, walked through arrow by arrow."""
    nexts = arrows(graph(tt.RNN(2, 3), steps))

    def ways(node):
        if node == "L":
            return [("L",)]
        return [(node, *rest) for target in nexts[node] for rest in ways(target)]

    def named(way):
        states = (node.removesuffix("_l0") for node in way if node != way[0])
        return "W", *(node for node in states if not node.startswith("o_"))

    walked = {named(way) for way in ways("weight_hh_l0")}
    assert walked == {path.nodes for path in paths(steps)}


def test_bad_arguments():
    with pytest.raises(InvalidValue, match="steps must be greater than zero"):
        paths(0)
    with pytest.raises(InvalidValue, match="lag must not be negative, got -1"):
        paths(3, lag=-1)
    with pytest.raises(InvalidType, match="lag should be of type int, got: float"):
        count_paths(3, lag=1.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidValue, match=r"1\.\.steps = 3, got 4"):
        count_paths(3, loss_step=4)
