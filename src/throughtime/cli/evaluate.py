"""``throughtime evaluate RUN [FILE]``: loss and perplexity of a text."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from throughtime.cli.lm_data import encode, load_texts
from throughtime.cli.lm_run import evaluate_tokens, open_run
from throughtime.data import read_text


def run_evaluation(path: Path, file: Path | None) -> dict[str, Any]:
    """Score a text with the best weights of a run and print the figures."""
    from rich.console import Console

    run = open_run(path)
    console = Console()
    if file is None:
        text, name = load_texts(run.source).held_out, "held-out part"
    else:
        text, name = read_text([file]), file.name
    with console.status(f"evaluating {name}"):
        tokens = encode(run.vocabulary, text, "evaluated")
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
