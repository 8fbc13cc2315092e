"""What an n-gram model is and takes: a table in the terminal, and the report."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as TerminalTable

from throughtime import __version__
from throughtime.cli.lm_measure import Evaluation
from throughtime.models import NGramLM
from throughtime.plots import Bar, bars
from throughtime.report import Figure, Report, Section, Table, render
from throughtime.training import RunFolder
from throughtime.training.checkpoint import write_atomically


def print_storage(console: Console, model: NGramLM, seconds: float) -> None:
    """n-grams, contexts and bytes of every order."""
    table = TerminalTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("order", "n-grams", "contexts", "followers of one", "MB"):
        table.add_column(name, justify="right")
    for row in model.storage():
        table.add_row(
            str(row.order),
            f"{row.ngrams:,}",
            f"{row.contexts:,}",
            f"{row.ngrams / max(row.contexts, 1):,.1f}",
            f"{row.bytes / 1e6:,.2f}",
        )
    console.print(table)
    console.print(f"counted and smoothed in {seconds:.2f} s", highlight=False)


def write_ngram_report(
    run: RunFolder,
    model: NGramLM,
    title: str,
    tokens: int,
    result: Evaluation,
    sample: str,
) -> Path:
    """Write ``report.html`` into the run folder and return its path."""
    settings: dict[str, Any] = {
        **run.config["model"],
        "tokens counted": f"{tokens:,}",
        "seconds": f"{run.config['training']['seconds']:.2f}",
        "versions": f"throughtime {__version__}, numpy {np.__version__}, "
        f"Python {platform.python_version()}",
    }
    report = Report(
        title=f"Language model of {title}",
        outcome=(
            f"The {model.order}-gram model ({model.smoothing}) predicts the held-out "
            f"text with perplexity {result.perplexity:,.3f} per token, "
            f"{result.bits_per_character:.4f} bits per character."
        ),
        sections=(
            Section(
                "Held-out text",
                table=Table(
                    ("", "perplexity", "bits per character", "nats per token"),
                    [
                        (
                            "this model",
                            f"{result.perplexity:,.3f}",
                            f"{result.bits_per_character:.4f}",
                            f"{result.loss:.4f}",
                        )
                    ],
                    f"It predicts {result.tokens:,} tokens.",
                ),
            ),
            Section(
                "Sample",
                "The model continues the beginning of the held-out text.",
                sample=sample.strip("\n"),
            ),
            _storage(model),
            Section(
                "Settings",
                table=Table(
                    ("option", "value"), [(k, str(v)) for k, v in settings.items()]
                ),
            ),
        ),
    )
    path = run.path / "report.html"
    write_atomically(path, render(report).encode())
    return path


def _storage(model: NGramLM) -> Section:
    rows = model.storage()
    values = [Bar(f"{row.order}-grams", row.ngrams, f"{row.ngrams:,}") for row in rows]
    return Section(
        "What it takes",
        "Different n-grams of every order. Their number grows with the order and with "
        "the text, which is why n beyond 5 is seldom worth it for words.",
        figure=Figure(
            lambda dark: bars(values, value_name="different n-grams", dark=dark),
            "A bar per order: how many different n-grams the text has.",
        ),
        table=Table(
            ("order", "n-grams", "contexts", "bytes"),
            [
                (str(r.order), f"{r.ngrams:,}", f"{r.contexts:,}", f"{r.bytes:,}")
                for r in rows
            ],
        ),
    )
