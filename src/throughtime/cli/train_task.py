"""``throughtime train TASK``: from files to a trained, measured, reported model."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn

from throughtime.cli.launch import check_alone, check_same, launch_entry
from throughtime.cli.lm_measure import count_parameters
from throughtime.cli.progress import show_progress
from throughtime.cli.report_parts import recurrent_layers
from throughtime.cli.settings import parse_value
from throughtime.cli.task_report import write_task_report
from throughtime.cli.task_settings import sort_task_settings
from throughtime.cli.task_table import print_figures
from throughtime.data.examples import Examples
from throughtime.errors import InvalidValue, RunError
from throughtime.models.network import ABOUT_STATES, NONE
from throughtime.tasks.measure import check_targets, mean_loss, measure
from throughtime.tasks.own_cell import keep_own_cell
from throughtime.tasks.registry import task_class
from throughtime.tasks.run import TASK_FILE, TaskRun, prepare_task_run
from throughtime.tasks.source import Parts, data_source, fingerprint, load_parts
from throughtime.tasks.task import Task
from throughtime.training import RunFolder, TrainingConfig, train
from throughtime.training.door import check_team
from throughtime.training.examples import check_options
from throughtime.training.team import ALONE, Team
from throughtime.training.tensorboard import open_writer

# What may change when a run goes on.
CHANGING = ("epochs", "time_budget")
WITHOUT = "no hidden state"


@dataclass(frozen=True)
class Training:
    """Everything a training needs, checked and in memory."""

    run: TaskRun
    config: TrainingConfig
    parts: Parts
    train: Examples
    held_out: Examples
    test: Examples | None
    resumed: bool
    team: Team = ALONE


def start_task(
    name: str,
    files: list[Path],
    *,
    valid: list[str],
    test: list[Path],
    given: dict[str, Any],
    settings: list[str],
    out: Path | None,
    overwrite: bool,
    team: Team = ALONE,
) -> Training:
    """Read the data, build the network, make the run folder.

    Args:
        name: of the task.
        files: to train on.
        valid: one share, or files.
        test: files.
        given: options with a name of their own on the command line.
        settings: ``key=value`` for any others.
        out: the folder to make; None: one with date and time.
        overwrite: whether a run there is replaced.
        team: processes that train together.

    Raises:
        ThroughtimeError: anything the user gave cannot be used; nothing is written.
    """
    kind = task_class(name)
    sorted_ = sort_task_settings(kind, given, settings)
    options = kind.options_type(**sorted_.options)
    model_config = kind.config_type.from_dict(sorted_.model)
    config = TrainingConfig.from_dict(sorted_.training)
    check_options(config)
    check_team(team, config, config.batch_size)
    path = out or Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    path = Path(team.share(str(path)))
    if team.is_first:
        RunFolder.check_target(path, overwrite=overwrite)
    source = data_source(files, valid, test, config.seed)
    with Console(quiet=not team.is_first).status("reading"):
        parts = load_parts(kind, options, source)
        task = kind.fit(parts.train, options)
        examples = encode_parts(task, parts)
    entry = {**source.to_dict(), "sha256": fingerprint(source)}
    check_same(team, {"content of the data": entry["sha256"]})
    torch.manual_seed(config.seed)
    model = task.build(model_config)
    for raw, part in zip(
        (parts.train, parts.held_out, parts.test), examples, strict=True
    ):
        if part is not None:
            check_targets(model, raw, part, config.batch_size)
    own = keep_own_cell(model_config.cell)
    notes = {
        "task": name,
        "data": entry,
        "model": {**model_config.to_dict(), "cell": own.cell},
        "training": config.to_dict(),
        **own.config,
        **launch_entry(),
    }
    folder = RunFolder(path, notes)
    if team.is_first:
        content = json.dumps(task.to_dict(), ensure_ascii=False).encode()
        folder = RunFolder.create(
            path,
            notes,
            model,
            files={TASK_FILE: content, **task.files(parts.train), **own.files},
            overwrite=overwrite,
        )
    run = TaskRun(folder, task, model, source)
    return Training(run, config, parts, *examples, False, team)


def encode_parts(
    task: Task, parts: Parts
) -> tuple[Examples, Examples, Examples | None]:
    """All parts as tensors, so that none is found wanting after the training."""
    test = task.encode(parts.test) if parts.test else None
    return task.encode(parts.train), task.encode(parts.held_out), test


def without_run(
    name: str,
    files: list[Path],
    *,
    valid: list[str],
    test: list[Path],
    given: dict[str, Any],
    settings: list[str],
) -> dict[str, Any]:
    """What ``train classify`` does that makes no run: baselines, cross-validation."""
    from throughtime.cli.classify_ways import compare_baselines, cross_validate

    check_alone("cross-validation")
    found = sort_task_settings(task_class(name), given, settings)
    seed = TrainingConfig.from_dict(found.training).seed
    source = data_source(files, valid, test, seed)
    if found.options.get("folds"):
        return cross_validate(found, source)
    return compare_baselines(found, source)


def resume_task(
    name: str,
    path: Path,
    *,
    changed: dict[str, Any] | None = None,
    settings: list[str] | None = None,
    others: dict[str, Any] | None = None,
    team: Team = ALONE,
) -> Training:
    """Open a run to continue it.

    Raises:
        InvalidValue: an option that cannot change within a run.
        RunError: no run of this task, a damaged one, or its data has changed.
    """
    run = prepare_task_run(path)
    if run.task.name != name:
        raise RunError(
            f"{path} is a run of 'train {run.task.name}', not of 'train {name}'; "
            "continue it with that"
        )
    training = dict(run.folder.config["training"])
    found = dict(changed or {})
    for pair in settings or []:
        key, _, text = pair.partition("=")
        found[key] = parse_value(text)
    found |= {key: value for key, value in (others or {}).items() if value is not None}
    for key, value in found.items():
        if key not in CHANGING:
            raise InvalidValue(
                f"{key} cannot change within a run ({' and '.join(CHANGING)} can); "
                "leave it out, or start a new run without --resume"
            )
        training[key] = value
    config = TrainingConfig.from_dict(training)
    with Console(quiet=not team.is_first).status("reading"):
        parts = load_parts(type(run.task), run.task.options, run.source)
        examples = encode_parts(run.task, parts)
        run.task.files(parts.train)  # made anew for the report
    return Training(run, config, parts, *examples, True, team)


def run_task(
    training: Training, *, tensorboard: bool, against_none: bool = False
) -> dict[str, Any]:
    """Train, measure beside the baselines, write the report.

    Args:
        training: what ``start_task`` or ``resume_task`` has made.
        tensorboard: also write its events.
        against_none: also train without hidden state, and measure that beside it.

    Returns:
        The figures of held-out and test parts, and the paths of run and report; in a
        team the first process's alone.
    """
    run, team, parts = training.run, training.team, training.parts
    console = Console(quiet=not team.is_first)
    counts = f"{len(parts.train):,} to train on, {len(parts.held_out):,} held out"
    counts += f", {len(parts.test):,} to test on" if parts.test else ""
    console.print(
        f"data    {run.source.title}: {counts}\n"
        f"learnt  {run.task.describe()}\n"
        f"model   {run.config.cell}, {count_parameters(run.model):,} parameters\n"
        f"run     {run.folder.path} (backend {backends(run)}, "
        f"{torch.get_num_threads()} threads"
        + (f", {team.size} processes)" if team.size > 1 else ")"),
        highlight=False,
    )
    writer = None
    if tensorboard and team.is_first:
        writer = open_writer(run.folder.path / "tensorboard")
    size = training.config.batch_size
    records = train(
        run.model,
        training.train,
        training.config,
        run=run.folder,
        validate=lambda model: mean_loss(model, training.held_out, size),
        resume=training.resumed,
        team=team,
    )
    show_progress(
        records,
        console,
        writer=writer,
        time_budget=training.config.time_budget,
        what="targets",
    )
    if not team.is_first:
        return {}
    run.folder.load_weights(run.model)
    measured = {"held out": (parts.held_out, training.held_out)}
    if training.test is not None:
        measured["test"] = (parts.test, training.test)
    with console.status("measuring"):
        results = {
            name: measure(run, raw, examples, parts.train)
            for name, (raw, examples) in measured.items()
        }
    if against_none:
        console.print("the same without hidden state", highlight=False)
        other = without_state(training, console)
        for name, (raw, examples) in measured.items():
            found = run.task.evaluate(other, raw, examples)
            model, *rest = results[name].items()
            results[name] = dict([model, (WITHOUT, found), *rest])
    with console.status("writing the report"):
        report = write_task_report(training, results)
    for part, found in results.items():
        print_figures(console, part, found)
    console.print(f"run     {run.folder.path}\nreport  {report}", highlight=False)
    return {
        "run": str(run.folder.path),
        "report": str(report),
        **{
            part.replace(" ", "_"): {name: e.figures for name, e in found.items()}
            for part, found in results.items()
        },
    }


def without_state(training: Training, console: Console) -> nn.Module:
    """The same network without hidden state, trained in the same way.

    Raises:
        InvalidValue: the network has none either.
    """
    run, config = training.run, training.config
    if run.config.cell == NONE:
        raise InvalidValue(
            "--against-none compares with a network without hidden state, and --cell "
            "none is one; leave one of them out"
        )
    about_states = {
        name: False if isinstance(value, bool) else 0.0
        for name, value in run.config.to_dict().items()
        if name in ABOUT_STATES
    }
    torch.manual_seed(config.seed)
    model = run.task.build(
        replace(run.config, cell=NONE, cell_options={}, **about_states)
    )
    size = config.batch_size
    records = train(
        model,
        training.train,
        replace(config, truncation="full"),
        validate=lambda model: mean_loss(model, training.held_out, size),
    )
    show_progress(records, console, time_budget=config.time_budget, what="targets")
    return model.eval()


def backends(run: TaskRun) -> str:
    """What runs the time loops of a model."""
    used = {layers.backend_used for _, layers in recurrent_layers(run.model)}
    return ", ".join(sorted(used)) or "none"


def all_settings(training: Training) -> dict[str, Any]:
    """Every option of task, model and training."""
    return {
        **asdict(training.run.task.options),
        **training.run.config.to_dict(),
        **training.config.to_dict(),
    }
