"""What a comparison of cells shows: the table, the pictures and the page."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as ConsoleTable

from throughtime.plots import Measured, gradient_reach, quality_against_speed, to_svg
from throughtime.report import Figure, Report, Section, Table, render
from throughtime.training.checkpoint import write_atomically

_HEADER = (
    "cell",
    "H",
    "params",
    "perplexity",
    "bits/\nchar",
    "tokens\nper s",
    "reach",
    "path",
)
_REACH = (
    "Reach: from so many steps back on, less than 1 % of the gradient of the last "
    "step's loss is left."
)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table as text."""
    if row["status"] != "done":
        return (row["title"], str(row["hidden_size"]), row["status"], *[""] * 5)
    return (
        row["title"],
        str(row["hidden_size"]),
        f"{row['parameters']:,}",
        f"{row['perplexity']:.3f}",
        f"{row['bits_per_character']:.3f}",
        f"{row['tokens_per_second']:,.0f}",
        _reach(row),
        row["backend"],
    )


def _reach(row: dict[str, Any]) -> str:
    """The horizon, with a plus where the window ended before the gradient did."""
    more = "+" if row["gradient_reach"] >= row["gradient_lags"] else ""
    return f"{row['gradient_reach']}{more}"


def print_table(console: Console, result: dict[str, Any]) -> None:
    """The table, the best first, and below it what failed and why."""
    table = ConsoleTable(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for index, name in enumerate(_HEADER):
        side = "left" if name in ("cell", "path") else "right"
        table.add_column(name, justify=side, no_wrap=index > 0, overflow="fold")
    for row in result["cells"]:
        table.add_row(*_cells(row))
    console.print(table)
    for title, reason in _reasons(result):
        console.print(f"[bold]{title}[/bold] {reason}", highlight=False)
    console.print(f"[dim]{_REACH}[/dim]", highlight=False)


def _reasons(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (row["title"], f"{row['status']}: {row['reason']}")
        for row in result["cells"]
        if row["reason"]
    ]


def write_pages(folder: Path, result: dict[str, Any]) -> Path:
    """Write the pictures and ``report.html``; the path of the latter."""
    done = [row for row in result["cells"] if row["status"] == "done"]
    pictures: dict[str, Callable[[bool], Any]] = {}
    if done:
        pictures = {
            "quality_speed": lambda dark: quality_against_speed(
                _points(done), dark=dark
            ),
            "gradient_reach": lambda dark: gradient_reach(_lines(done), dark=dark),
        }
    for name, draw in pictures.items():
        for dark, theme in ((False, "light"), (True, "dark")):
            svg = to_svg(draw(dark), dark=dark)
            write_atomically(folder / f"{name}_{theme}.svg", svg.encode())
    path = folder / "report.html"
    write_atomically(path, render(_report(result, done, pictures)).encode())
    return path


def _points(done: Sequence[dict[str, Any]]) -> list[Measured]:
    return [
        Measured(
            row["title"],
            row["tokens_per_second"],
            row["bits_per_character"],
            row["backend"],
        )
        for row in done
    ]


def _lines(done: Sequence[dict[str, Any]]) -> dict[str, list[float | None]]:
    return {f"{r['title']}\n{_reach(r)} steps": r["gradient_shares"] for r in done}


def _report(
    result: dict[str, Any],
    done: Sequence[dict[str, Any]],
    pictures: dict[str, Callable[[bool], Any]],
) -> Report:
    rows = [_cells(row) for row in result["cells"]]
    sections = [
        Section(
            "Held-out text",
            "The same text in the same order, the same seed, and as many parameters as "
            f"come closest to {result['parameters']:,} for each cell. {_REACH}",
            table=Table(_HEADER, rows),
        )
    ]
    if reasons := _reasons(result):
        table = Table(("cell", "what happened"), reasons)
        sections.append(Section("Not measured", table=table))
    if done:
        sections += [
            Section(
                "Quality and speed",
                figure=Figure(
                    pictures["quality_speed"],
                    "Bits per character against tokens per second, a point per cell.",
                    "The best cells are at the bottom right. The path says what runs a "
                    "cell: the compiled core (native) or plain torch (scan, loop).",
                ),
            ),
            Section(
                "Gradient through time",
                figure=Figure(
                    pictures["gradient_reach"],
                    "Share of the gradient left against lag, a panel per cell.",
                    "‖∂L/∂s‖, of the whole state, so many steps before the loss, as a "
                    "share of that at the loss; the other cells in grey. The dotted "
                    "line is 1 %.",
                ),
            ),
        ]
    settings = [(k, str(v)) for k, v in result["training"].items()]
    settings += [(k, str(result[k])) for k in ("minutes", "threads", "unit")]
    sections.append(Section("Settings", table=Table(("option", "value"), settings)))
    return Report(
        f"Cells compared on {result['text']}", _outcome(result, done), sections
    )


def _outcome(result: dict[str, Any], done: Sequence[dict[str, Any]]) -> str:
    if not done:
        return "No cell could be measured."
    best, fast = done[0], max(done, key=lambda row: row["tokens_per_second"])
    sentence = (
        f"Of {len(done)} cells {best['title']} predicts the held-out text best, with "
        f"{best['bits_per_character']:.3f} bits per character"
    )
    if best is fast:
        return f"{sentence}, and trains fastest."
    return f"{sentence}; {fast['title']} trains fastest."
