"""Pictures with what was written about them."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from throughtime.plots.theme import new_figure, styled

COLUMNS = 4
LETTERS = 27


class Captioned(NamedTuple):
    """A picture of ``captioned_pictures``.

    picture: (height, width) or (height, width, 3), 0 to 255.
    text: what was written about it.
    other: what a person wrote, below it in small letters.
    """

    picture: ArrayLike
    text: str
    other: str = ""


def captioned_pictures(pictures: Sequence[Captioned], *, dark: bool = False) -> Figure:
    """Small pictures in rows of four, each with its texts below it.

    Args:
        pictures: what to draw.
        dark: for a dark page.
    """
    rows = max(1, -(-len(pictures) // COLUMNS))
    wrapped = [
        (textwrap.fill(p.text, LETTERS), textwrap.fill(p.other, LETTERS + 4))
        for p in pictures
    ]
    most = max((a.count("\n") + b.count("\n") + 2 for a, b in wrapped), default=1)
    with styled(dark):
        height = rows * (1.8 + 0.16 * most) + 0.3
        figure = new_figure(7.6, height)
        # Room for the last texts, which hang below their axes.
        room = 0.3 / height
        figure.set_layout_engine("constrained", rect=(0, room, 1, 1 - room))
        grid = figure.subplots(rows, COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, shown, texts in zip(grid.flat, pictures, wrapped, strict=False):
            axes.imshow(shown.picture, cmap="gray", vmin=0, vmax=255)
            lines = texts[0].count("\n") + 1
            axes.text(
                0.5,
                -0.04,
                texts[0],
                fontsize=8,
                ha="center",
                va="top",
                transform=axes.transAxes,
            )
            axes.annotate(
                texts[1],
                (0.5, -0.04),
                xytext=(0, -10.5 * lines - 3),
                xycoords="axes fraction",
                textcoords="offset points",
                fontsize=7,
                ha="center",
                va="top",
                color="gray",
            )
    return figure
