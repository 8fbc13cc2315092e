"""``throughtime complete RUN TEXT``: the likeliest next words."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from throughtime.checks import positive_int
from throughtime.cli.lm_run import open_run
from throughtime.models.completion import complete, split_prefix


def run_completion(
    path: Path, text: str, *, count: int, unfinished: bool
) -> dict[str, Any]:
    """Print the likeliest words after a text, or endings of its last word."""
    positive_int("count", count)
    run = open_run(path)
    begun = split_prefix(text)[1]
    known = run.vocabulary.unit == "word" and begun in run.vocabulary.tokens
    if known and not unfinished:
        text, begun = text + " ", ""
    console = Console()
    with console.status("looking for words"):
        # One more, as the unknown token is no word to suggest.
        found = complete(run.model, run.vocabulary, text, count=count + 1)
    names = run.vocabulary.tokens
    unknown, end = run.vocabulary.unknown_index, run.vocabulary.boundary_index
    hidden = None if unknown is None else names[unknown]
    found = [suggestion for suggestion in found if suggestion.text != hidden][:count]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("next word")
    table.add_column("probability", justify="right")
    if begun:
        table.add_column(f"among words in {begun}-", justify="right")
    for suggestion in found:
        share = [f"{suggestion.share:.4f}"] if begun else []
        ends = end is not None and suggestion.text == names[end]
        shown = "(end of the line)" if ends else suggestion.text
        table.add_row(shown, f"{suggestion.probability:.4f}", *share)
    console.print(table)
    return {"text": text, "suggestions": [asdict(s) for s in found]}
