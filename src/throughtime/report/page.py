"""Render a report: no script, no outside resource, light and dark."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from throughtime.plots.theme import to_svg

# What has more letters than this is words, not a figure with its unit.
LETTERS = 6


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first column names the row.

    Attributes:
        header: titles of the columns.
        rows: as many entries each.
        caption: what the table shows.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    @property
    def words(self) -> list[bool]:
        """Which columns hold words, and no figures: these are set to the left.

        >>> Table(("", "text", "figure"), [("a", "very good", "93 %")]).words
        [False, True, False]
        """
        columns = [[row[i] for row in self.rows] for i in range(len(self.header))]
        return [
            i > 0 and any(sum(map(str.isalpha, entry)) > LETTERS for entry in column)
            for i, column in enumerate(columns)
        ]


@dataclass(frozen=True)
class Figure:
    """A picture, drawn twice.

    Attributes:
        draw: from ``dark`` to a matplotlib figure.
        text: what it shows, for those who cannot see it.
        caption: how to read it.
    """

    draw: Callable[[bool], Any]
    text: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with what belongs under it, in this order.

    Attributes:
        title: the heading.
        text: one paragraph.
        figure: a picture.
        table: a table.
        sample: text shown as it is.
    """

    title: str
    text: str = ""
    figure: Figure | None = None
    table: Table | None = None
    sample: str | None = None


@dataclass(frozen=True)
class Report:
    """A whole page.

    Attributes:
        title: what was done.
        outcome: the result in one sentence.
        sections: the rest.
    """

    title: str
    outcome: str
    sections: Sequence[Section] = field(default_factory=tuple)


def render(report: Report) -> str:
    """The page as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("throughtime.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["picture"] = _data_url
    return environment.get_template("report.html").render(report=report)


def _data_url(figure: Figure, dark: bool) -> str:
    svg = to_svg(figure.draw(dark), dark=dark)
    encoded = base64.b64encode(svg.encode()).decode()
    return f"data:image/svg+xml;base64,{encoded}"
