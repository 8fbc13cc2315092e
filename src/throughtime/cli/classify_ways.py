"""Ways of ``train classify`` that make no run: baselines alone; cross-validation."""

import random
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from rich.console import Console

from throughtime.cli.progress import show_progress
from throughtime.cli.task_settings import TaskSettings
from throughtime.cli.task_table import print_figures
from throughtime.errors import DataError, InvalidValue
from throughtime.tasks.classify import Classify
from throughtime.tasks.measure import MODEL, mean_loss
from throughtime.tasks.source import DataSource, load_parts
from throughtime.tasks.splitting import random_split
from throughtime.tasks.task import Evaluation, RawExample
from throughtime.training import TrainingConfig, train

# Share of each fold's training examples that chooses the best weights.
CHOSEN_ON = 0.1


def compare_baselines(settings: TaskSettings, source: DataSource) -> dict[str, Any]:
    """Print what simple methods make of the held-out and test examples."""
    options = Classify.options_type(**settings.options)
    console = Console()
    with console.status("reading"):
        parts = load_parts(Classify, options, source)
        task = Classify.fit(parts.train, options)
    figures = {}
    for name, raw in (("held out", parts.held_out), ("test", parts.test)):
        if raw:
            with console.status(f"measuring {name}"):
                found = task.baselines(parts.train, raw)
            print_figures(console, name, found)
            figures[name.replace(" ", "_")] = {n: e.figures for n, e in found.items()}
    return figures


def cross_validate(settings: TaskSettings, source: DataSource) -> dict[str, Any]:
    """Hold out one fold after the other, train on the rest, print means and spreads.

    The network of each fold is chosen on a tenth of the examples it is trained on.

    Raises:
        DataError: fewer examples or groups than folds.
        InvalidValue: held-out or test files are given.
    """
    if isinstance(source.valid, tuple) or source.test:
        raise InvalidValue(
            "folds hold out every example once, so --valid and --test have no part; "
            "leave them out"
        )
    options = Classify.options_type(**settings.options)
    config = TrainingConfig.from_dict(settings.training)
    console = Console()
    raw = Classify.read([Path(file) for file in source.files], options)
    folds = make_folds(raw, str(options.folds), config.seed)
    found: dict[str, list[Evaluation]] = {}
    for number, (name, held_out) in enumerate(folds.items(), start=1):
        chosen = {id(example) for example in held_out}
        rest = [example for example in raw if id(example) not in chosen]
        console.print(f"fold {number} of {len(folds)}: {name}", highlight=False)
        results = _fold(settings, config, rest, held_out, console)
        print_figures(console, name, results)
        for model, evaluation in results.items():
            found.setdefault(model, []).append(evaluation)
    means = {model: _mean(parts) for model, parts in found.items()}
    print_figures(console, f"mean of {len(folds)} folds", means)
    return {
        "folds": {
            name: {model: parts[i].figures for model, parts in found.items()}
            for i, name in enumerate(folds)
        },
        "mean": {model: evaluation.figures for model, evaluation in means.items()},
    }


def make_folds(
    raw: Sequence[RawExample], folds: str, seed: int
) -> dict[str, list[RawExample]]:
    """The examples of each fold, drawn at random, or those of each group.

    Raises:
        DataError: fewer examples or groups than folds.

    >>> raw = [RawExample(i, None, "") for i in range(5)]
    >>> [len(fold) for fold in make_folds(raw, "2", seed=0).values()]
    [3, 2]
    """
    if folds == "group":
        groups: dict[str, list[RawExample]] = {}
        for example in raw:
            if example.group is None:
                raise DataError(
                    f"{example.where}: no group; name the column that holds it with "
                    "--group, or give a number of folds"
                )
            groups.setdefault(example.group, []).append(example)
        if len(groups) < 2:
            raise DataError(f"all {len(raw)} examples are of one group; give more")
        return dict(sorted(groups.items()))
    count = int(folds)
    if len(raw) < count:
        raise DataError(f"{len(raw)} examples are too few for {count} folds")
    order = list(range(len(raw)))
    random.Random(seed).shuffle(order)
    return {f"fold {k + 1}": [raw[i] for i in order[k::count]] for k in range(count)}


def _fold(
    settings: TaskSettings,
    config: TrainingConfig,
    rest: list[RawExample],
    held_out: list[RawExample],
    console: Console,
) -> dict[str, Evaluation]:
    options = Classify.options_type(**settings.options)
    if options.baselines_only:
        return Classify.fit(rest, options).baselines(rest, held_out)
    train_raw, choose = random_split(rest, CHOSEN_ON, config.seed)
    task = Classify.fit(train_raw, options)
    torch.manual_seed(config.seed)
    model = task.build(Classify.config_type.from_dict(settings.model))
    examples = task.encode(choose)
    records = train(
        model,
        task.encode(train_raw),
        config,
        validate=lambda model: mean_loss(model, examples, config.batch_size),
    )
    show_progress(records, Console(quiet=True), what="targets")
    model.eval()
    with console.status("measuring"):
        results = {MODEL: task.evaluate(model, held_out, task.encode(held_out))}
        return {**results, **task.baselines(rest, held_out)}


def _mean(parts: Sequence[Evaluation]) -> Evaluation:
    figures: dict[str, float] = {}
    for name in parts[0].figures:
        values = [part.figures[name] for part in parts]
        figures[name] = mean(values)
        figures[f"{name} ±"] = stdev(values)
    return Evaluation(figures)
