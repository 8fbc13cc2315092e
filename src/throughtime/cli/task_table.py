"""Figures of models side by side, in the terminal and in reports."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from throughtime.tasks.task import Evaluation

# Shares of 1, which people read in per cent.
SHARES = ("accuracy", "F1", "precision", "recall", "coverage", "error rate")


def shown(name: str, value: float) -> str:
    """A figure as text.

    >>> shown("accuracy", 0.9312), shown("loss", 0.123456), shown("mae", 0.0123456)
    ('93.12 %', '0.1235', '0.01235')
    """
    if any(share in name for share in SHARES):
        return f"{value:.2%}".replace("%", " %")
    if abs(value) >= 10:
        return f"{value:.2f}"
    return f"{value:.4f}" if abs(value) >= 0.1 else f"{value:.4g}"


def rows(results: Mapping[str, Evaluation]) -> tuple[list[str], list[list[str]]]:
    """The names of all figures, and a row per model; blank where one has it not."""
    names = list(dict.fromkeys(n for found in results.values() for n in found.figures))
    lines = [
        [model]
        + [
            shown(name, found.figures[name]) if name in found.figures else ""
            for name in names
        ]
        for model, found in results.items()
    ]
    return names, lines


def print_figures(
    console: Console, title: str, results: Mapping[str, Evaluation]
) -> None:
    """A line per model."""
    names, lines = rows(results)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(title)
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for line in lines:
        table.add_row(*line)
    console.print(table)
