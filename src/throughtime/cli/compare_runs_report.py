"""The page of ``throughtime compare``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from throughtime.plots import Bar, bars
from throughtime.report import Figure, Report, Section, Table, render
from throughtime.training.checkpoint import write_atomically

if TYPE_CHECKING:
    from throughtime.cli.compare_runs import Row


def write_page(path: Path, title: str, rows: "Sequence[Row]") -> None:
    """Write the page; ``rows`` are ordered, the best first."""
    best = rows[0]
    report = Report(
        title=f"Language models on {title}",
        outcome=(
            f"{best.model} predicts it best: "
            f"{best.evaluation.bits_per_character:.4f} bits per character, perplexity "
            f"{best.evaluation.perplexity:,.2f} per token."
        ),
        sections=(
            Section(
                "Quality",
                figure=Figure(
                    lambda dark: _draw(rows, dark),
                    "A bar per model: bits per character.",
                    "Bits per character; less is better. It can be compared between "
                    "models that read different tokens.",
                ),
            ),
            Section("All figures", table=_table(rows)),
            *_weights(rows),
        ),
    )
    write_atomically(path, render(report).encode())


def _draw(rows: "Sequence[Row]", dark: bool) -> object:
    values = [
        Bar(
            row.model,
            row.evaluation.bits_per_character,
            f"{row.evaluation.bits_per_character:.3f}",
            row.kind,
        )
        for row in rows
    ]
    return bars(values, value_name="bits per character", dark=dark)


def _table(rows: "Sequence[Row]") -> Table:
    header = (
        "model",
        "kind",
        "unit",
        "perplexity",
        "without unknowns",
        "bits per character",
        "parameters or n-grams",
        "MB",
        "tokens scored per second",
    )
    lines = [
        (
            row.model,
            row.kind,
            row.unit,
            f"{row.evaluation.perplexity:,.3f}",
            f"{row.evaluation.known_perplexity:,.3f}",
            f"{row.evaluation.bits_per_character:.4f}",
            f"{row.size:,}",
            f"{row.bytes / 1e6:,.1f}",
            f"{row.tokens_per_second:,.0f}",
        )
        for row in rows
    ]
    return Table(header, lines)


def _weights(rows: "Sequence[Row]") -> list[Section]:
    mixed = [row.weights for row in rows if row.weights is not None]
    if not mixed:
        return []
    lines = [(name, f"{weight:.4f}") for name, weight in mixed[0].items()]
    text = "P = Σ λ P over the models, with the λ that suit the validation text best."
    return [Section("Mixture", text, table=Table(("model", "λ"), lines))]
