"""The threshold against numpy.percentile of the whole history."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.errors import InvalidType, InvalidValue
from throughtime.training.adaptive_clipping import AdaptiveClip

norms = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30)


@given(norms, st.floats(0, 100))
def test_is_the_percentile_so_far(values, percentile):
    clip = AdaptiveClip(percentile)
    for count, norm in enumerate(values, 1):
        truth = np.percentile(values[:count], percentile)
        assert clip.threshold(norm) == pytest.approx(truth, rel=1e-12)


def test_ends_of_the_scale():
    values = [3.0, 1.0, 2.0]
    lowest, highest = AdaptiveClip(0), AdaptiveClip(100)
    assert [lowest.threshold(norm) for norm in values] == [3.0, 1.0, 1.0]
    assert [highest.threshold(norm) for norm in values] == [3.0, 3.0, 3.0]


def test_goes_on_from_its_history_to_the_bit():
    values = np.random.default_rng(0).lognormal(size=100).tolist()
    whole = AdaptiveClip(10.0)
    expected = [whole.threshold(norm) for norm in values]
    first = AdaptiveClip(10.0)
    got = [first.threshold(norm) for norm in values[:50]]
    kept = json.loads(json.dumps(first.history))  # as in a checkpoint
    second = AdaptiveClip(10.0, history=kept)
    got += [second.threshold(norm) for norm in values[50:]]
    assert got == expected
    assert second.history == whole.history == sorted(values)


@pytest.mark.parametrize("norm", [math.nan, math.inf, 0.0])
def test_what_is_no_norm_of_a_step_stays_out(norm):
    clip = AdaptiveClip(50)
    assert clip.threshold(norm) == math.inf
    assert clip.threshold(2.0) == 2.0
    assert clip.threshold(norm) == 2.0
    assert clip.history == [2.0]


def test_bad_input():
    with pytest.raises(InvalidValue, match=r"percentile should be .* range \[0, 100\]"):
        AdaptiveClip(101)
    with pytest.raises(InvalidType, match="percentile should be a number, got: str"):
        AdaptiveClip("10")
    with pytest.raises(InvalidValue, match="every norm in history should be a number"):
        AdaptiveClip(history=[1.0, math.nan])
    with pytest.raises(InvalidType, match="norm should be a number, got: NoneType"):
        AdaptiveClip().threshold(None)
