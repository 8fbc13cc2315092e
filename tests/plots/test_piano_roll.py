"""Pictures of pieces hold their notes."""

import pytest
from matplotlib.collections import PolyCollection

from throughtime.plots import to_svg
from throughtime.plots.piano_roll import piano_rolls

ROLLS = {
    "a real one": [(60, 64), (60,), None, (60,)],
    "a made one": [(72,), (), (72,)],
}


@pytest.mark.parametrize("dark", [False, True])
def test_held_notes_are_bars(dark):
    figure = piano_rolls(ROLLS, begun=2, dark=dark)
    drawn = []
    for axes in figure.axes:
        bars = set()
        for collection in axes.collections:
            assert isinstance(collection, PolyCollection)
            for path in collection.get_paths():
                box = path.get_extents()
                bars.add((box.x0, box.x1, round((box.y0 + box.y1) / 2)))
        drawn.append(bars)
        assert [line.get_xdata()[0] for line in axes.lines] == [2]
    assert drawn == [{(0, 2, 60), (0, 1, 64), (3, 4, 60)}, {(0, 1, 72), (2, 3, 72)}]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["C4", "C5"]
    svg = to_svg(figure, dark=dark)
    for word in ("a real one", "a made one", "step", "C4"):
        assert word in svg


def test_silence_can_be_drawn():
    figure = piano_rolls({"nothing": [(), None], "no step": []})
    assert [len(axes.collections) for axes in figure.axes] == [0, 0]
    assert not figure.axes[0].lines
    to_svg(figure)
