"""``throughtime evaluate RUN [FILE]...``: loss and perplexity of a text."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor

from throughtime.cli.lm_data import encode, load_corpus
from throughtime.cli.lm_measure import Evaluation, evaluate_tokens, evaluation
from throughtime.cli.lm_run import LanguageModelRun, open_run
from throughtime.cli.lm_text import text_or_held_out
from throughtime.cli.reading import show_reading
from throughtime.data import Text
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models import NeuralCache, UnigramCache
from throughtime.models.dynamic import dynamic_evaluation, gradient_statistics
from throughtime.models.scoring import token_log_probs

CACHES = ("unigram", "neural")
# Of a unigram cache: how much less a token counts than the next one.
DECAYS = (1.0, 0.999, 0.99)
# Dynamic evaluation: the rates it chooses from, its windows and pull to the start.
RATES = (1e-4, 2e-4, 5e-4)
TAU, DECAY = 20, 0.01
# Tokens of the held-out part that caches and rates are chosen on.
CHOSEN_ON = {"unigram": 100_000, "neural": 20_000, "dynamic": 10_000}
# Tokens of the training text for the statistics of dynamic evaluation.
STATISTICS_ON = 1_000_000


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
    if adapted and run.source is None:
        raise InvalidValue(
            "--cache chooses what it needs on a run's held-out part, and an ARPA file "
            "comes without one; give a run"
        )
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
    with console.status("choosing on the held-out part, then evaluating"):
        if cache is None:
            how, found = _dynamic(run, tokens)
        else:
            how, found = _cached(run, cache, tokens)
    adapted_result = evaluation(found, tokens, run.vocabulary)
    _print(console, f"{name}, {how}", adapted_result)
    return {**asdict(result), "adapted": {"how": how, **asdict(adapted_result)}}


def _held_out(run: LanguageModelRun, purpose: str) -> Tensor:
    text, _ = text_or_held_out([], run.source)
    return run.encode(text)[: CHOSEN_ON[purpose]]


def _cached(run: LanguageModelRun, kind: str, tokens: Tensor) -> tuple[str, Tensor]:
    """What was chosen, and log P of the tokens with it."""
    chosen_on = _held_out(run, kind)
    if kind == "neural":
        cache = NeuralCache.fit(run.network("--cache neural"), chosen_on)
        how = f"neural cache of {cache.size}, weight {cache.weight:.3f}, "
        how += f"theta {cache.theta:g}"
    else:
        cache = UnigramCache.fit(run.model, chosen_on, decays=DECAYS)
        how = f"unigram cache of {cache.size}, weight {cache.weight:.3f}, "
        how += f"decay {cache.decay:g}"
    return how, token_log_probs(cache, tokens)


def _dynamic(run: LanguageModelRun, tokens: Tensor) -> tuple[str, Tensor]:
    """The rate that was chosen, and log P of the tokens with it."""
    network = run.network("--dynamic")
    assert run.source is not None  # every network was trained on a text
    train = encode(run.vocabulary, load_corpus(run.source).train, "training")
    train = train[:STATISTICS_ON]
    streams = min(100, len(train) // (2 * TAU))
    statistics = gradient_statistics(network, train, tau=TAU, batch_size=streams)
    chosen_on = _held_out(run, "dynamic")
    learn = partial(
        dynamic_evaluation, network, tau=TAU, decay=DECAY, statistics=statistics
    )
    totals = {rate: float(learn(chosen_on, learning_rate=rate).sum()) for rate in RATES}
    rate = max(totals, key=lambda rate: totals[rate])
    how = f"dynamic evaluation, learning rate {rate:g}"
    return how, learn(tokens, learning_rate=rate)


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
