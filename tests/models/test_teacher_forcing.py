"""Schedules of Bengio et al., 2015, section 2.4, at points worked out by hand."""

import math

import pytest

from throughtime.errors import InvalidType, InvalidValue
from throughtime.models.teacher_forcing import SCHEDULES, truth_probability


@pytest.mark.parametrize(
    ("schedule", "updates", "want"),
    [
        ("constant", 10**9, 1.0),
        ("linear", 0, 1.0),
        ("linear", 25, 0.75),
        ("linear", 400, 0.2),
        ("exponential", 0, 1.0),
        ("exponential", 50, math.exp(-0.5)),
        ("inverse-sigmoid", 0, 100 / 101),
        ("inverse-sigmoid", 100, 100 / (100 + math.e)),
        ("inverse-sigmoid", 10**6, 0.2),
    ],
)
def test_schedule(schedule, updates, want):
    got = truth_probability(schedule, updates, 100, 0.2)
    assert got == pytest.approx(want, rel=1e-14)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_never_rises(schedule):
    values = [truth_probability(schedule, i, 30) for i in range(0, 400, 7)]
    assert values == sorted(values, reverse=True)
    assert 0 <= values[-1] <= values[0] <= 1


def test_bad_arguments():
    with pytest.raises(InvalidValue, match="unknown schedule.*'never'.*linear"):
        truth_probability("never", 0, 1)
    with pytest.raises(InvalidValue, match="decay"):
        truth_probability("linear", 0, 0)
    with pytest.raises(InvalidType, match="least"):
        truth_probability("linear", 0, 1, "a")  # pyright: ignore[reportArgumentType]
