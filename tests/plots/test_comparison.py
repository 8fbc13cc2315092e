"""Pictures of a comparison hold its data, and names do not hide each other."""

import numpy as np
import pytest
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from throughtime.plots import Measured, gradient_reach, quality_against_speed

POINTS = [
    Measured("gru", 150_000, 2.1, "native"),
    Measured("lstm", 120_000, 2.2, "native"),
    Measured("mine", 30_000, 2.2, "loop"),
]


@pytest.mark.parametrize("dark", [False, True])
def test_a_point_per_model_and_a_marker_per_group(dark):
    figure = quality_against_speed(POINTS, dark=dark)
    axes = figure.axes[0]
    groups = {str(line.get_label()): line for line in axes.lines}
    assert sorted(groups) == ["loop", "native"]
    assert np.asarray(groups["native"].get_xydata()).tolist() == [
        [150_000, 2.1],
        [120_000, 2.2],
    ]
    # Told apart without colour, too.
    assert groups["native"].get_marker() != groups["loop"].get_marker()
    named = {t.get_text(): t.xy for t in axes.texts if isinstance(t, Annotation)}
    assert named == {p.name: (p.speed, p.quality) for p in POINTS}


def test_names_hide_nothing():
    generator = np.random.default_rng(0)
    points = [
        Measured(
            f"a_long_name_{k}",
            float(10 ** generator.uniform(4, 5.5)),
            float(generator.normal(2, 0.1)),
            "native",
        )
        for k in range(20)
    ]
    axes = quality_against_speed(points).axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    for k, box in enumerate(boxes):
        assert all(Bbox.intersection(box, other) is None for other in boxes[k + 1 :])
        assert axes.bbox.x0 <= box.x0
        assert box.x1 <= axes.bbox.x1


@pytest.mark.parametrize("speeds", [(5e4,), (5e4, 6e4), (2e4, 9e4), (1e3, 9e5)])
def test_some_speeds_are_named_on_the_axis(speeds):
    points = [Measured(str(s), s, 2.0, "native") for s in speeds]
    figure = quality_against_speed(points)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    ticks = [x for x in axes.xaxis.get_ticklocs() if low <= x <= high]
    assert 2 <= len(ticks) <= 12


@pytest.mark.parametrize("count", [1, 4, 5, 13])
def test_a_panel_per_model_with_the_others_behind(count):
    shares = {f"cell {k}": [1.0, 0.5 / (k + 1), 0.0, None] for k in range(count)}
    panels = [a for a in gradient_reach(shares).axes if a.get_visible()]
    assert [axes.get_title() for axes in panels] == list(shares)
    for k, axes in enumerate(panels):
        (line,) = [one for one in axes.lines if one.get_label() == f"cell {k}"]
        got = np.asarray(line.get_ydata())
        assert got[:2].tolist() == [1.0, 0.5 / (k + 1)]
        assert np.isnan(got[2:]).all()
        assert len(axes.lines) == count + 1  # all models, and the line of 1 %
        assert axes.get_yscale() == "log"
