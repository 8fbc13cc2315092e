"""Pictures of what a recogniser sees."""

import numpy as np
import pytest

from throughtime.plots import to_svg
from throughtime.plots.symbols import symbol_probabilities


@pytest.mark.parametrize("dark", [False, True])
def test_symbols_that_are_seen_have_a_row(dark):
    p = np.array([[0.9, 0.1, 0.0], [0.3, 0.69, 0.01]])
    figure = symbol_probabilities(p, ["a", "blank", "z"], title="how", dark=dark)
    axes, _ = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["a", "blank"]
    np.testing.assert_array_equal(axes.images[0].get_array(), p[:, :2].T)
    assert "how" in to_svg(figure, dark=dark)


def test_most_of_many_symbols():
    p = np.full((1, 50), 0.1)
    p[0, 49] = 0.5
    axes = symbol_probabilities(p, [str(i) for i in range(50)]).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == 30
    assert labels[-1] == "49"


def test_no_step():
    figure = symbol_probabilities(np.zeros((0, 3)), ["a", "b", "c"])
    assert not figure.axes[0].images
    assert to_svg(figure)
