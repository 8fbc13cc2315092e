"""Several models side by side: quality against speed, and how far gradients reach."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from throughtime.plots.theme import add_legend, colours, new_figure, styled

_MARKERS = ("o", "^", "s", "D")
# Where a name may stand beside its point: the distance in points, then the direction.
_DISTANCES = (5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100)
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_FONT = 9
_LINE = {"arrowstyle": "-", "lw": 0.5, "color": "gray", "shrinkA": 0, "shrinkB": 4}
_HORIZONTAL = {1: "left", 0: "center", -1: "right"}
_VERTICAL = {1: "bottom", 0: "center", -1: "top"}


class Measured(NamedTuple):
    """A point of ``quality_against_speed``.

    name: what stands beside it.
    speed: tokens per second in training.
    quality: bits per character, or another figure of which less is better.
    group: what kind it is; each kind has a colour and a marker.
    """

    name: str
    speed: float
    quality: float
    group: str


def quality_against_speed(
    points: Sequence[Measured],
    *,
    quality_name: str = "bits per character",
    dark: bool = False,
) -> Figure:
    """A point per model; the best are at the bottom right.

    Args:
        points: what was measured.
        quality_name: title of the axis.
        dark: for a dark page.
    """
    with styled(dark):
        figure = new_figure(7.0, 3.2 + min(5.0, 0.1 * len(points)))
        axes = figure.add_subplot()
        groups = list(dict.fromkeys(point.group for point in points))
        for index, group in enumerate(sorted(groups)):
            mine = [point for point in points if point.group == group]
            axes.plot(
                [point.speed for point in mine],
                [point.quality for point in mine],
                linestyle="none",
                marker=_MARKERS[index % len(_MARKERS)],
                markersize=7,
                color=colours(dark)[index % len(colours(dark))],
                label=group,
            )
        axes.set_xscale("log")
        axes.set_xlabel("tokens per second in training")
        axes.set_ylabel(f"{quality_name}, less is better")
        axes.margins(0.12, 0.12)
        _whole_numbers(axes)
        add_legend(figure, loc="outside upper center", ncols=4)
        _name_points(figure, axes, points)
    return figure


def _whole_numbers(axes: Axes) -> None:
    """20,000 instead of 2 times a power of ten, and a few of them in any range."""
    low, high = axes.get_xlim()
    subs = (1, 1.5, 2, 3, 5, 7) if high < 10 * low else (1, 2, 5)
    few = high < 4 * low
    axes.xaxis.set_major_locator(MaxNLocator(5) if few else LogLocator(subs=subs))
    axes.set_xlim(low, high)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def _name_points(figure: Figure, axes: Axes, points: Sequence[Measured]) -> None:
    """Write each name where it hides no point and no other name.

    As close as there is room; further away with a line to the point. A name for which
    there is no room at all is left out; the best come first.
    """
    figure.draw_without_rendering()  # now the axes have their place
    figure.set_layout_engine("none")
    pixels = figure.dpi / 72
    spots = {p: axes.transData.transform((p.speed, p.quality)) for p in points}
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in spots.values()]
    for point in sorted(points, key=lambda p: p.quality):
        text = figure.text(0, 0, point.name, fontsize=_FONT)
        width, height = text.get_window_extent().size
        text.remove()
        for distance, way in ((d, way) for d in _DISTANCES for way in _DIRECTIONS):
            x, y = spots[point] + np.multiply(way, distance * pixels)
            corner = x + (way[0] - 1) / 2 * width, y + (way[1] - 1) / 2 * height
            box = Bbox.from_bounds(*corner, width, height)
            inside = all(map(axes.bbox.contains, *box.get_points().T))
            if inside and not box.count_overlaps(taken):
                axes.annotate(
                    point.name,
                    (point.speed, point.quality),
                    xytext=(distance * way[0], distance * way[1]),
                    textcoords="offset points",
                    ha=_HORIZONTAL[way[0]],
                    va=_VERTICAL[way[1]],
                    fontsize=_FONT,
                    arrowprops=_LINE if distance > _DISTANCES[0] else None,
                )
                taken.append(box)
                break


def gradient_reach(
    shares: Mapping[str, Iterable[float | None]], *, dark: bool = False
) -> Figure:
    """A panel per model: its gradient norm against lag, the others' behind it in grey.

    Args:
        shares: ‖∂L/∂s_{T-k}‖ / ‖∂L/∂s_T‖ for k = 0, 1, ... by name, in the order of the
            panels; None where there is none.
        dark: for a dark page.
    """
    lines = {
        name: np.array([np.nan if v is None or v <= 0 else v for v in values], float)
        for name, values in shares.items()
    }
    columns = min(3 if len(lines) in (5, 6) else 4, max(1, len(lines)))
    rows = max(1, -(-len(lines) // columns))
    with styled(dark):
        figure = new_figure(7.6, 0.6 + 1.75 * rows)
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[len(lines) :]:
            axes.set_visible(False)
        for index, name in enumerate(lines):
            axes = panels.flat[index]
            for other, line in lines.items():
                if other != name:
                    axes.plot(line, color="#555B63" if dark else "#CBD0D6", lw=0.7)
            axes.plot(lines[name], color=colours(dark)[0], lw=2.0, label=name)
            axes.axhline(0.01, color="gray", linewidth=0.8, linestyle=":")
            axes.set_title(name, fontsize=9)
            axes.set_yscale("log")
            axes.grid(False)
            if index + columns >= len(lines):  # nothing below it
                axes.xaxis.set_tick_params(labelbottom=True)
        finite = [line[np.isfinite(line)] for line in lines.values()]
        highest = max((line.max() for line in finite if line.size), default=1.0)
        panels.flat[0].set_ylim(1e-4, max(2.0, 2 * highest))
        figure.supxlabel("lag k (steps back from the loss)", fontsize=11)
        figure.supylabel("share of the gradient left", fontsize=11)
    return figure
