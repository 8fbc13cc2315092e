"""The figures of a training on its held-out text, and a sample, in the terminal."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from throughtime.cli.lm_measure import Evaluation


def print_results(
    console: Console, results: Mapping[str, Evaluation], sample: str
) -> None:
    """A line per model, then what the first of them wrote."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("held-out text")
    for name in ("perplexity", "bits per character", "nats per token"):
        table.add_column(name, justify="right")
    for name, row in results.items():
        table.add_row(
            name,
            f"{row.perplexity:.3f}",
            f"{row.bits_per_character:.4f}",
            f"{row.loss:.4f}",
        )
    console.print(table)
    console.print(
        Panel(Text(sample.strip("\n")), title="sample", title_align="left", width=80)
    )
