"""Pictures with their texts."""

import numpy as np
import pytest

from throughtime.plots import to_svg
from throughtime.plots.pictures import Captioned, captioned_pictures


@pytest.mark.parametrize("dark", [False, True])
def test_pictures_and_texts(dark):
    colour = np.zeros((4, 4, 3), np.uint8)
    grey = np.full((4, 4), 7, np.uint8)
    shown = [Captioned(colour, "a written text", "a human text")] * 4
    figure = captioned_pictures([*shown, Captioned(grey, "a last one")], dark=dark)
    assert len(figure.axes) == 8
    assert sum(bool(axes.images) for axes in figure.axes) == 5
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), colour)
    np.testing.assert_array_equal(figure.axes[4].images[0].get_array(), grey)
    svg = to_svg(figure, dark=dark)
    for words in ("a written text", "a human text", "a last one"):
        assert words in svg


def test_long_texts_have_several_lines():
    figure = captioned_pictures([Captioned(np.zeros((2, 2)), "one word " * 10)])
    (text,) = figure.axes[0].texts[:1]
    assert text.get_text().count("\n") >= 3


def test_no_picture():
    assert to_svg(captioned_pictures([]))
