"""The picture of attention has every token and every weight."""

import numpy as np
import pytest
import torch

from throughtime.errors import InvalidShape
from throughtime.plots import to_svg
from throughtime.plots.attention import attention_map

SOURCE, TARGET = ["a", "$5", "house"], ["ein", "x" * 40]
WEIGHTS = torch.tensor([[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]])


@pytest.mark.parametrize("dark", [False, True])
def test_attention_map(dark):
    figure = attention_map(WEIGHTS, SOURCE, TARGET, dark=dark)
    axes = figure.axes[0]
    (image,) = axes.get_images()
    np.testing.assert_array_equal(image.get_array(), WEIGHTS.numpy())
    assert image.get_clim() == (0.0, 1.0)
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", r"\$5", "house"]
    names = [t.get_text() for t in axes.get_yticklabels()]
    assert names == ["ein", "x" * 17 + "…"]
    svg = to_svg(figure, dark=dark)
    assert ">$5<" in svg
    assert ">house<" in svg


def test_line_ends_and_spaces_are_seen():
    figure = attention_map(torch.ones(1, 1), [" "], ["\n"])
    axes = figure.axes[0]
    assert axes.get_xticklabels()[0].get_text() == "␣"
    assert axes.get_yticklabels()[0].get_text() == "¶"


def test_long_sentences_have_room():
    figure = attention_map(torch.ones(30, 30) / 30, ["word"] * 30, ["wort"] * 30)
    width, height = figure.get_size_inches()
    assert min(width, height) / 30 > 0.25


def test_other_shape():
    with pytest.raises(InvalidShape, match=r"shape \(2, 3\)"):
        attention_map(WEIGHTS.t(), SOURCE, TARGET)
