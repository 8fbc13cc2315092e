"""``throughtime evaluate RUN [FILE]``: loss and perplexity of a text."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from throughtime.cli.lm_data import encode, load_corpus, read
from throughtime.cli.lm_run import evaluate_tokens, open_run
from throughtime.cli.reading import show_reading


def run_evaluation(path: Path, file: Path | None) -> dict[str, Any]:
    """Score a text with the best weights of a run and print the figures."""
    from rich.console import Console

    run = open_run(path)
    console = Console()
    name = "held-out part" if file is None else file.name
    with show_reading(console) as seen:
        if file is None:
            text = load_corpus(run.source, seen).held_out
        else:
            text = read([file], seen)
        tokens = encode(run.vocabulary, text, "evaluated", seen)
    with console.status(f"evaluating {name}"):
        result = evaluate_tokens(run.model, tokens, run.vocabulary)
    console.print(
        f"{name}: perplexity {result.perplexity:.3f}, loss {result.loss:.4f} nats, "
        f"{result.bits_per_character:.4f} bits per character, "
        f"{result.tokens:,} tokens predicted"
    )
    unknown = run.vocabulary.missing(text)
    if unknown:
        console.print(
            f"[yellow]note:[/yellow] {len(unknown)} piece(s) are unknown to the model "
            f"and were read as the unknown token, such as {unknown[0]!r}"
        )
    return asdict(result)
