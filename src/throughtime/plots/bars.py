"""One number each of several things, as bars."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from throughtime.plots.theme import add_legend, colours, new_figure, styled

# Told apart without colour, too.
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++")


class Bar(NamedTuple):
    """A line of ``bars``.

    name: what stands before it.
    value: its length.
    text: what stands behind it.
    group: what kind it is; each kind has a colour and a hatching.
    """

    name: str
    value: float
    text: str
    group: str = ""


def bars(values: Sequence[Bar], *, value_name: str, dark: bool = False) -> Figure:
    """A horizontal bar each, the first on top, from zero.

    Args:
        values: what to draw; those that are not finite have a text alone.
        value_name: title of the axis.
        dark: for a dark page.
    """
    groups = list(dict.fromkeys(bar.group for bar in values))
    with styled(dark):
        figure = new_figure(7.0, 0.9 + 0.32 * len(values))
        axes = figure.add_subplot()
        places = range(len(values))
        lengths = [bar.value if bar.value < float("inf") else 0.0 for bar in values]
        for index, group in enumerate(groups):
            mine = [place for place in places if values[place].group == group]
            axes.barh(
                mine,
                [lengths[place] for place in mine],
                height=0.7,
                color=colours(dark)[index % len(colours(dark))],
                hatch=_HATCHES[index % len(_HATCHES)],
                edgecolor="#1B1E23" if dark else "white",
                linewidth=0,
                label=group or None,
            )
        for place, bar, length in zip(places, values, lengths, strict=True):
            axes.annotate(
                bar.text,
                (length, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
        axes.set_yticks(list(places), [bar.name for bar in values])
        axes.invert_yaxis()
        axes.margins(x=0.18)
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.set_xlabel(value_name)
        if len(groups) > 1:
            add_legend(figure, loc="outside upper center", ncols=4)
    return figure
