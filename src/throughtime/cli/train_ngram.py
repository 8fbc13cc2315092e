"""``throughtime train lm --model ngram``: from a text to a counted, measured model."""

import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor

from throughtime.checks import parse_memory
from throughtime.cli.generate import GenerateOptions, generate_text
from throughtime.cli.launch import check_alone
from throughtime.cli.lm_data import (
    build_vocabulary,
    encode,
    load_corpus,
    text_source,
)
from throughtime.cli.lm_measure import evaluate_tokens
from throughtime.cli.lm_run import WEIGHTS, open_run
from throughtime.cli.lm_table import print_results
from throughtime.cli.ngram_report import print_storage, write_ngram_report
from throughtime.cli.reading import show_reading
from throughtime.cli.settings import VOCABULARY, split_pairs
from throughtime.data import Vocabulary
from throughtime.errors import InvalidValue
from throughtime.models import NGramLM
from throughtime.models.ngram.binary import save_levels
from throughtime.models.ngram.interpolation import Interpolation
from throughtime.training import RunFolder

# Least occurrences by order, and the threshold of relative entropy.
PRUNING = ("prune", "prune_entropy")
# Tokens of the held-out text that the sample continues, and how long it is.
SAMPLE_PROMPT = 50
SAMPLE_LENGTH = 400


def train_ngram(
    files: list[Path],
    *,
    unit: str,
    order: int,
    smoothing: str,
    independent_lines: bool,
    memory: str | None,
    valid: str,
    settings: list[str],
    out: Path | None,
    overwrite: bool,
) -> dict[str, Any]:
    """Count, smooth, measure on the held-out text, write run folder and report.

    ``settings`` are options of the smoothing, of the vocabulary, and of ``PRUNING``.

    Raises:
        ThroughtimeError: anything the user gave cannot be used; nothing is written.
    """
    check_alone("an n-gram model")
    console = Console()
    values = split_pairs(settings)
    vocabulary_options = {
        VOCABULARY[key]: values.pop(key) for key in VOCABULARY if key in values
    }
    fitting = {key: values.pop(key) for key in PRUNING if key in values}
    if memory is not None:
        parse_memory(memory)
    # Raises here, before the text is read, if an option does not fit.
    NGramLM(order, vocabulary_size=1, smoothing=smoothing, **values)
    path = out or Path("runs") / f"ngram-{datetime.now():%Y%m%d-%H%M%S}"
    RunFolder.check_target(path, overwrite=overwrite)
    with show_reading(console) as seen:
        corpus = load_corpus(text_source(files, valid, unit), seen)
        vocabulary = build_vocabulary(corpus.train, unit, seen, **vocabulary_options)
        train_tokens = encode(vocabulary, corpus.train, "training", seen)
        held_out_tokens = encode(vocabulary, corpus.held_out, "held-out", seen)
    boundary = _boundary(vocabulary) if independent_lines else None
    model = NGramLM(
        order, vocabulary_size=len(vocabulary), smoothing=smoothing, **values
    )
    console.print(
        f"text    {corpus.source.title}\n"
        f"tokens  {len(train_tokens):,} to count, {len(held_out_tokens):,} held out\n"
        f"model   {order}-gram, {smoothing}, {len(vocabulary):,} different tokens",
        highlight=False,
    )
    began = time.perf_counter()
    with console.status("counting"):
        model = fit(model, train_tokens, boundary=boundary, memory=memory, **fitting)
    seconds = time.perf_counter() - began
    config = {
        "task": "lm",
        "kind": "ngram",
        "data": corpus.source.to_dict(),
        "vocabulary": {
            "unit": unit,
            "size": len(vocabulary),
            "sha256": vocabulary.fingerprint(),
        },
        "model": {
            "order": order,
            "smoothing": smoothing,
            "options": values,
            "independent_lines": independent_lines,
            **fitting,
        },
        "training": {"seconds": seconds},
    }
    run = RunFolder.create(
        path,
        config,
        None,
        files={"vocabulary.json": vocabulary.to_json().encode()},
        write=lambda folder: save_ngram(folder, model),
        overwrite=overwrite,
    )
    # What is measured is what was written, rounded as it is there.
    model = open_run(path).ngram("train lm")
    with console.status("measuring on the held-out text"):
        result = evaluate_tokens(model, held_out_tokens, vocabulary)
        prompt = vocabulary.decode(held_out_tokens[:SAMPLE_PROMPT])
        options = GenerateOptions(length=SAMPLE_LENGTH)
        sample = generate_text(model, vocabulary, prompt, options)
    report = write_ngram_report(
        run, model, corpus.source.title, len(train_tokens), result, sample
    )
    print_results(console, {"this model": result}, sample)
    print_storage(console, model, seconds)
    console.print(f"run     {run.path}\nreport  {report}", highlight=False)
    return {
        "run": str(run.path),
        "report": str(report),
        **asdict(result),
        "seconds": seconds,
        "ngrams": [len(level.words) for level in model.levels],
    }


def fit(
    model: NGramLM,
    tokens: Tensor,
    *,
    boundary: int | None,
    prune_entropy: float | None = None,
    **fitting: Any,
) -> NGramLM:
    """Count and smooth; weights that are not given are fitted to the last tenth.

    They are, on counts of the rest of this text; then all of it is counted.
    """
    estimator = model.estimator
    if isinstance(estimator, Interpolation) and estimator.weights is None:
        cut = len(tokens) * 9 // 10
        model.fit(tokens[:cut], boundary=boundary, held_out=tokens[cut:])
    model.fit(tokens, boundary=boundary, **fitting)
    return model if prune_entropy is None else model.pruned(prune_entropy)


def save_ngram(folder: Path, model: NGramLM) -> None:
    """Write the tables of a model into a run folder."""
    notes = {} if model.boundary is None else {"boundary": str(model.boundary)}
    save_levels(folder / WEIGHTS, model.levels, notes)


def _boundary(vocabulary: Vocabulary) -> int:
    """The token that ends lines.

    Raises:
        InvalidValue: there is none.
    """
    if vocabulary.boundary_index is None:
        raise InvalidValue(
            "--independent-lines needs a token that ends lines, and this text has "
            "none; leave it out, or use --unit word"
        )
    return vocabulary.boundary_index
