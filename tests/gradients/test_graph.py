"""The exported graph, read back."""

import re
from collections import defaultdict

import pytest
import torch

import throughtime as tt
from throughtime.errors import InvalidType, InvalidValue
from throughtime.gradients import graph


def nodes(text):
    return dict(re.findall(r'^  (\w+) \[label="([^"]+)"', text, re.M))


def arrows(text):
    found = defaultdict(list)
    for source, target in re.findall(r"^  (\w+) -> (\w+)\b", text, re.M):
        found[source].append(target)
    return found


@pytest.mark.parametrize(
    "layer",
    [
        tt.RNN(2, 3),
        tt.LSTM(2, 3, 2, bidirectional=True),
        tt.Recurrent(tt.cells.GRU(3, 3, reset_after=False), 3, residual=True),
    ],
    ids=["rnn", "deep", "residual"],
)
def test_every_arrow_has_its_nodes(layer):
    text = graph(layer, 4)
    declared, found = nodes(text), arrows(text)
    ends = {target for targets in found.values() for target in targets}
    assert ends | set(found) == set(declared)
    assert text.startswith("digraph unrolled {\n")
    assert text.endswith("\n}\n")
    assert text.count("{") == text.count("}")
    # Only L leads nowhere, and no arrow is there twice.
    assert set(declared) - set(found) == {"L"}
    assert all(len(set(targets)) == len(targets) for targets in found.values())


def test_three_steps_of_one_layer():
    """The figure of the textbooks, arrow by arrow."""
    plain = {
        "x_1": ["h_1_l0"],
        "x_2": ["h_2_l0"],
        "x_3": ["h_3_l0"],
        "h_0_l0": ["h_1_l0"],
        "h_1_l0": ["o_1", "h_2_l0"],
        "h_2_l0": ["o_2", "h_3_l0"],
        "h_3_l0": ["o_3"],
        "o_1": ["L_1"],
        "o_2": ["L_2"],
        "o_3": ["L_3"],
        "L_1": ["L"],
        "L_2": ["L"],
        "L_3": ["L"],
        "weight_ih_l0": ["h_1_l0", "h_2_l0", "h_3_l0"],
        "weight_hh_l0": ["h_1_l0", "h_2_l0", "h_3_l0"],
        "weight_ho": ["o_1", "o_2", "o_3"],
    }
    assert arrows(graph(tt.RNN(2, 3), 3)) == plain


def test_deep_and_bidirectional():
    text = graph(tt.LSTM(2, 3, 2, bidirectional=True), 2)
    assert nodes(text)["h_1_l1_reverse"] == "h_1, c_1"
    found = arrows(text)
    both = {"h_2_l1", "h_2_l1_reverse"}
    assert set(found["h_2_l0"]) == both
    assert set(found["h_2_l0_reverse"]) == both | {"h_1_l0_reverse"}
    assert found["h_3_l0_reverse"] == ["h_2_l0_reverse"]


def test_residual_connection():
    layer = tt.Recurrent(tt.cells.Elman(3, 3), 2, residual=True)
    assert "o_1" in arrows(graph(layer, 1))["h_1_l0"]


def test_bad_arguments():
    with pytest.raises(InvalidType, match="got: RNN"):
        graph(torch.nn.RNN(2, 3), 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidValue, match="steps must be greater than zero"):
        graph(tt.RNN(2, 3), 0)
