"""``throughtime evaluate RUN [FILE]...``: loss and perplexity of a text."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor

from throughtime.cli.lm_measure import Evaluation, evaluate_tokens, evaluation
from throughtime.cli.lm_run import LanguageModelRun, open_run
from throughtime.cli.lm_text import text_or_held_out
from throughtime.cli.reading import show_reading
from throughtime.data import Text
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models import NeuralCache, UnigramCache
from throughtime.models.dynamic import dynamic_evaluation
from throughtime.models.scoring import token_log_probs

CACHES = ("unigram", "neural")
# What dynamic evaluation chooses from; tau as in its default.
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
# Tokens of the held-out part that caches and rates are chosen on.
CHOSEN_ON = 20_000
# Longer gradients of dynamic evaluation are scaled down to this norm.
MAX_NORM = 1.0


def run_evaluation(
    path: Path, files: Sequence[Path], *, cache: str | None, dynamic: bool
) -> dict[str, Any]:
    """Score a text with the best weights of a run and print the figures.

    Raises:
        InvalidValue: an unknown cache, or a model or text that does not suit it.
    """
    if cache is not None and cache not in CACHES:
        raise unknown_name("--cache", cache, CACHES)
    if cache is not None and dynamic:
        raise InvalidValue("--cache and --dynamic are two commands; give one of them")
    run = open_run(path)
    if dynamic or cache == "neural":
        run.network("--dynamic" if dynamic else "--cache neural")
    adapted = dynamic or cache is not None
    if adapted and not files:
        raise InvalidValue(
            "--cache and --dynamic choose what they need on the run's held-out part, "
            "which must not be the text they are measured on; give a FILE"
        )
    console = Console()
    with show_reading(console) as seen:
        text, name = text_or_held_out(files, run.source, seen)
        tokens = run.encode(text, seen)
    with console.status(f"evaluating {name}"):
        result = evaluate_tokens(run.model, tokens, run.vocabulary)
    _print(console, name, result)
    _print_unknown(console, run, text)
    if not adapted:
        return asdict(result)
    chosen_on = _chosen_on(run)
    with console.status("choosing on the held-out part, then evaluating"):
        if dynamic:
            how, found = _dynamic(run, chosen_on, tokens)
        else:
            how, found = _cached(run, cache or "", chosen_on, tokens)
    adapted_result = evaluation(found, tokens, run.vocabulary)
    _print(console, f"{name}, {how}", adapted_result)
    return {**asdict(result), "adapted": {"how": how, **asdict(adapted_result)}}


def _chosen_on(run: LanguageModelRun) -> Tensor:
    text, _ = text_or_held_out([], run.source)
    return run.encode(text)[:CHOSEN_ON]


def _cached(
    run: LanguageModelRun, kind: str, chosen_on: Tensor, tokens: Tensor
) -> tuple[str, Tensor]:
    """What was chosen, and log P of the tokens with it."""
    if kind == "neural":
        cache = NeuralCache.fit(run.network("--cache neural"), chosen_on)
        how = f"neural cache of {cache.size}, weight {cache.weight:.3f}, "
        how += f"theta {cache.theta:g}"
    else:
        cache = UnigramCache.fit(run.model, chosen_on)
        how = f"unigram cache of {cache.size}, weight {cache.weight:.3f}"
    return how, token_log_probs(cache, tokens)


def _dynamic(
    run: LanguageModelRun, chosen_on: Tensor, tokens: Tensor
) -> tuple[str, Tensor]:
    network = run.network("--dynamic")
    rate = max(
        RATES,
        key=lambda rate: float(
            dynamic_evaluation(
                network, chosen_on, learning_rate=rate, max_norm=MAX_NORM
            ).sum()
        ),
    )
    found = dynamic_evaluation(network, tokens, learning_rate=rate, max_norm=MAX_NORM)
    return f"dynamic evaluation, learning rate {rate:g}", found


def _print(console: Console, name: str, result: Evaluation) -> None:
    console.print(
        f"{name}: perplexity {result.perplexity:.3f}, loss {result.loss:.4f} nats, "
        f"{result.bits_per_character:.4f} bits per character, "
        f"{result.tokens:,} tokens predicted"
    )
    if result.unknown:
        console.print(
            f"{result.unknown:,} of them are unknown; perplexity of the others "
            f"{result.known_perplexity:.3f}"
        )
    if result.impossible:
        console.print(
            f"[yellow]note:[/yellow] {result.impossible:,} tokens have probability 0, "
            "so that the perplexity is infinite; a smoothed model has none"
        )


def _print_unknown(console: Console, run: LanguageModelRun, text: Text) -> None:
    unknown = run.vocabulary.missing(text)
    if unknown:
        console.print(
            f"[yellow]note:[/yellow] {len(unknown)} piece(s) are unknown to the model "
            f"and were read as the unknown token, such as {unknown[0]!r}"
        )
