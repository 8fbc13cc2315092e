"""``throughtime compare-cells``: several cells, one text, one budget, one table."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from throughtime.cells import CELLS, cell_title, find_cell
from throughtime.checks import number, positive_int
from throughtime.cli.budget import hidden_size_for
from throughtime.cli.compare_report import print_table, write_pages
from throughtime.cli.defaults import COMPARED, COMPARED_EPOCHS, DEFAULTS
from throughtime.cli.launch import check_alone
from throughtime.cli.lm_data import (
    Corpus,
    build_vocabulary,
    encode,
    load_corpus,
    text_source,
)
from throughtime.cli.lm_measure import count_parameters, evaluate_tokens
from throughtime.cli.lm_report import measure_flow
from throughtime.cli.progress import show_progress
from throughtime.cli.reading import show_reading
from throughtime.cli.settings import sort_settings
from throughtime.cli.train_lm import VALIDATION_STREAMS, check_length, full_tau
from throughtime.data import Vocabulary, streams
from throughtime.diagnostics import GradientFlow
from throughtime.errors import InvalidValue, RunError, ThroughtimeError, TrainingError
from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.training import StepInfo, TrainingConfig, train
from throughtime.training.checkpoint import write_atomically

FILE = "compare.json"
FORMAT = 1
# A model whose loss is so many times that of guessing has not learnt but diverged.
_LOST = 2
# With a limit on time the number of epochs must not end the training.
_MANY = 1_000_000


@dataclass(frozen=True)
class Entry:
    """One cell of the comparison and how it is trained."""

    name: str
    title: str
    model: LanguageModelConfig
    training: TrainingConfig


@dataclass(frozen=True)
class Comparison:
    """Everything the comparison needs, checked and in memory."""

    path: Path
    entries: tuple[Entry, ...]
    parameters: int
    minutes: float | None
    vocabulary: Vocabulary
    texts: Corpus
    train_tokens: Tensor
    held_out_tokens: Tensor


def plan_comparison(
    files: list[Path],
    *,
    unit: str,
    valid: str,
    cells: str | None,
    every: bool,
    parameters: int,
    minutes: float | None,
    settings: list[str],
    out: Path | None,
    overwrite: bool,
) -> Comparison:
    """Read the text and size the models; the folder is made when all is sound.

    Raises:
        ThroughtimeError: anything the user gave cannot be used; nothing is written.
    """
    check_alone("compare-cells")
    names = _names(cells, every)
    positive_int("parameters", parameters)
    keys = {pair.partition("=")[0] for pair in settings}
    if "hidden_size" in keys:
        raise InvalidValue("hidden_size follows from --parameters; leave it out")
    if minutes is not None:
        number("minutes", minutes, minimum=0, exclude_minimum=True)
        if keys & {"epochs", "time_budget"}:
            raise InvalidValue("--minutes and epochs contradict each other; keep one")
        settings = [*settings, f"epochs={_MANY}", f"time_budget={60 * minutes}"]
        settings += [] if "schedule" in keys else ["schedule=constant"]
        keys |= {"epochs", "schedule"}
    defaults = {**DEFAULTS, "epochs": COMPARED_EPOCHS}
    usual = [f"{k}={v}" for k, v in defaults.items() if k not in keys]
    sorted_ = {name: sort_settings(name, [*usual, *settings]) for name in names}
    path = out or Path("runs") / f"compare-{datetime.now():%Y%m%d-%H%M%S}"
    _check_target(path, overwrite)
    some = next(iter(sorted_.values()))
    training = TrainingConfig.from_dict(full_tau(some.training))
    with show_reading(Console()) as seen:
        texts = load_corpus(text_source(files, valid, unit), seen)
        vocabulary = build_vocabulary(texts.train, unit, seen, **some.vocabulary)
        train_tokens = encode(vocabulary, texts.train, "training", seen)
        held_out_tokens = encode(vocabulary, texts.held_out, "held-out", seen)
    check_length(train_tokens, training)
    titles = _titles(names)
    entries = []
    for name in names:
        model = LanguageModelConfig.from_dict(sorted_[name].model)
        size = hidden_size_for(parameters, len(vocabulary), model)
        entries.append(
            Entry(name, titles[name], replace(model, hidden_size=size), training)
        )
    return Comparison(
        path,
        tuple(entries),
        parameters,
        minutes,
        vocabulary,
        texts,
        train_tokens,
        held_out_tokens,
    )


def _names(cells: str | None, every: bool) -> list[str]:
    """The cells asked for, each once, all of them known."""
    if every and cells is not None:
        raise InvalidValue("--all and --cells contradict each other; keep one")
    if cells is None:
        return list(CELLS if every else COMPARED)
    names = list(dict.fromkeys(n.strip() for n in cells.split(",") if n.strip()))
    if not names:
        raise InvalidValue("--cells names no cell; write --cells lstm,gru")
    for name in names:
        find_cell(name)
    return names


def _titles(names: list[str]) -> dict[str, str]:
    """Short names; two cells of one name in different files keep their files."""
    short = [cell_title(name) for name in names]
    return {
        name: title if short.count(title) == 1 else name
        for name, title in zip(names, short, strict=True)
    }


def _check_target(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise RunError(
            f"{path} exists; replace what is in it with --overwrite, or choose "
            "another --out"
        )
    if not (path / FILE).is_file():
        raise RunError(
            f"{path} exists and holds no comparison, so --overwrite does not touch it; "
            "choose another --out"
        )


def run_comparison(plan: Comparison) -> dict[str, Any]:
    """Train one cell after the other, then print the table and write the pages.

    What fails is kept with its reason. When stopped by the keyboard, what is done by
    then is printed and written, and ``interrupted`` is true.

    Raises:
        RunError: the folder cannot be written.
    """
    console = Console()
    console.print(
        f"text    {plan.texts.source.title}\n"
        f"tokens  {len(plan.train_tokens):,} to train on, "
        f"{len(plan.held_out_tokens):,} held out\n"
        f"budget  {plan.parameters:,} parameters, {_budget(plan)} for each of "
        f"{len(plan.entries)} cells\n"
        f"folder  {plan.path}",
        highlight=False,
    )
    try:
        plan.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"cannot make {plan.path} ({error.strerror}); choose another --out"
        ) from error
    rows = [_row(entry) for entry in plan.entries]
    interrupted = False
    for index, entry in enumerate(plan.entries):
        console.print(f"{index + 1} of {len(rows)}  [bold]{entry.title}[/bold]")
        try:
            rows[index] |= {"status": "done", **measure(plan, entry, console)}
        except KeyboardInterrupt:
            rows[index] |= {"status": "stopped", "reason": "stopped by the keyboard"}
            interrupted = True
            break
        except (ThroughtimeError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            rows[index] |= {"status": "failed", "reason": reason}
            console.print(f"[red]failed[/red]: {reason}", highlight=False)
        _save(plan, rows, interrupted)
    result = _save(plan, rows, interrupted)
    print_table(console, result)
    report = write_pages(plan.path, result)
    console.print(f"folder  {plan.path}\nreport  {report}", highlight=False)
    return result


def _budget(plan: Comparison) -> str:
    if plan.minutes is not None:
        return f"{plan.minutes:g} minutes of training"
    epochs = plan.entries[0].training.epochs
    return f"{epochs} epoch{'s' * (epochs > 1)}"


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "cell": entry.name,
        "title": entry.title,
        "hidden_size": entry.model.hidden_size,
        "status": "not run",
        "reason": "",
    }


def measure(plan: Comparison, entry: Entry, console: Console) -> dict[str, Any]:
    """Train one cell and return its figures.

    Raises:
        ThroughtimeError: the training diverges, or the model cannot be made.
    """
    torch.manual_seed(entry.training.seed)
    model = LanguageModel(len(plan.vocabulary), entry.model)
    parameters = count_parameters(model)
    console.print(
        f"hidden size {entry.model.hidden_size}, {parameters:,} parameters, "
        f"backend {model.recurrent.backend_used}",
        highlight=False,
    )
    batch = min(VALIDATION_STREAMS, len(plan.held_out_tokens) - 1)

    def validate(model: LanguageModel) -> float:
        return evaluate_tokens(model, plan.held_out_tokens, plan.vocabulary, batch).loss

    config = entry.training
    steps: list[StepInfo] = []
    records = train(
        model,
        streams(plan.train_tokens, config.batch_size),
        config,
        validate=validate,
    )
    show_progress(records, console, time_budget=config.time_budget, seen=steps.append)
    result = evaluate_tokens(model, plan.held_out_tokens, plan.vocabulary, batch)
    guessing = math.log(len(plan.vocabulary))
    if not result.loss < _LOST * guessing:
        raise TrainingError(
            f"the training diverged: {result.loss:.3g} nats per token of the held-out "
            f"text, where guessing costs {guessing:.3g}"
        )
    flow = _furthest(measure_flow(model, plan.held_out_tokens, whole_state=True))
    return {
        "parameters": parameters,
        "backend": model.recurrent.backend_used,
        **asdict(result),
        "tokens_per_second": median(step.tokens_per_second for step in steps),
        "updates": steps[-1].step,
        "skipped": sum(step.skipped for step in steps),
        "seconds": steps[-1].seconds,
        "gradient_reach": flow.horizon,
        "gradient_lags": len(flow.by_lag),
        "gradient_shares": _shares(flow),
    }


def _furthest(flows: Mapping[str, GradientFlow]) -> GradientFlow:
    """Of several layers the one whose gradient reaches furthest."""
    return max(flows.values(), key=lambda flow: flow.horizon)


def _shares(flow: GradientFlow) -> list[float | None]:
    norms = flow.by_lag.tolist()
    return [n / norms[0] if math.isfinite(n / norms[0]) else None for n in norms]


def _save(
    plan: Comparison, rows: list[dict[str, Any]], interrupted: bool
) -> dict[str, Any]:
    """Write compare.json, the best first, and return what is in it."""
    training = plan.entries[0].training.to_dict()
    result = {
        "format": FORMAT,
        "folder": str(plan.path),
        "text": plan.texts.source.title,
        "data": plan.texts.source.to_dict(),
        "unit": plan.vocabulary.unit,
        "parameters": plan.parameters,
        "minutes": plan.minutes,
        "training": training,
        "threads": torch.get_num_threads(),
        "interrupted": interrupted,
        "cells": sorted(rows, key=lambda row: row.get("loss", math.inf)),
    }
    text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    write_atomically(plan.path / FILE, text.encode())
    return result
