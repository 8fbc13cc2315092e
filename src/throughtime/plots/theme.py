"""Colours and frame of every figure, light and dark; no global style is touched."""

from collections.abc import Generator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by colour-blind eyes; two lighter ones for dark.
_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#A87F00", "#56B4E9")
_DARK = ("#56B4E9", "#FF9A4D", "#3FD0A3", "#E79BC5", "#F0E442", "#8FA6FF")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))


def colours(dark: bool) -> tuple[str, ...]:
    """Line colours in order of use."""
    return _DARK if dark else _LIGHT


def line_style(index: int, dark: bool) -> dict[str, Any]:
    """Colour and dash pattern of the line number ``index``."""
    palette = colours(dark)
    return {
        "color": palette[index % len(palette)],
        "linestyle": _DASHES[index % len(_DASHES)],
        "linewidth": 1.8,
    }


@contextmanager
def styled(dark: bool) -> Generator[None]:
    """matplotlib settings of our figures, inside the block only."""
    ink, grid = ("#E6E6E6", "#3A3F47") if dark else ("#222222", "#DDDDDD")
    settings: Any = {
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "grid.color": grid,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 11,
        "font.family": "sans-serif",
        "legend.frameon": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "throughtime",
    }
    with matplotlib.rc_context(settings):
        yield


def new_figure(width: float = 7.0, height: float = 3.6) -> Figure:
    """An empty figure, inches, with room for labels worked out when drawn."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def add_legend(figure: Figure, **options: Any) -> None:
    """A legend beside the axes, if anything in them has a name."""
    if any(axes.get_legend_handles_labels()[0] for axes in figure.axes):
        figure.legend(**options)


def to_svg(figure: Figure, *, dark: bool = False) -> str:
    """The figure as an SVG element, for a page of that theme."""
    buffer = StringIO()
    with styled(dark):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
