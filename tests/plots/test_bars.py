"""Bars are as long as their numbers, in the order given, and told apart by kind."""

import math

import pytest

from throughtime.plots import Bar, bars, to_svg

VALUES = [
    Bar("first", 1.5, "1.50", "rnn"),
    Bar("second", 2.0, "2.00", "ngram"),
    Bar("third", math.inf, "inf", "ngram"),
]


@pytest.mark.parametrize("dark", [False, True])
def test_bars(dark):
    figure = bars(VALUES, value_name="bits", dark=dark)
    (axes,) = figure.axes
    # One container per kind; what is infinite has a name and a text alone.
    lengths = [[bar.get_width() for bar in group] for group in axes.containers]
    assert lengths == [[1.5], [2.0, 0.0]]
    assert axes.yaxis_inverted()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["first", "second", "third"]
    hatches = {bar.get_hatch() for group in axes.containers for bar in group}
    assert len(hatches) == 2
    svg = to_svg(figure, dark=dark)
    for word in ("first", "1.50", "inf", "bits", "rnn", "ngram"):
        assert word in svg


def test_one_kind_needs_no_legend():
    figure = bars([Bar("2-grams", 1200, "1,200")], value_name="n-grams")
    assert not figure.legends
