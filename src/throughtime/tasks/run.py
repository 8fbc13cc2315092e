"""A run of a task, opened to be measured, asked or continued."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from throughtime.errors import RunError, ThroughtimeError, unknown_name
from throughtime.tasks.own_cell import run_cell
from throughtime.tasks.registry import TASKS, task_class
from throughtime.tasks.source import DataSource
from throughtime.tasks.task import Task
from throughtime.training import RunFolder

TASK_FILE = "task.json"


@dataclass(frozen=True)
class TaskRun:
    """A run folder and what it holds.

    Attributes:
        folder: with its config.
        task: with what it learnt of the training examples.
        model: fresh, or with its best weights and in eval mode.
        source: where the examples come from.
    """

    folder: RunFolder
    task: Task
    model: nn.Module
    source: DataSource

    @property
    def config(self) -> Any:
        """Of the model, as config.json has it."""
        return type(self.task).config_type.from_dict(self.folder.config["model"])


def open_task_run(path: Path, changed: Mapping[str, Any] | None = None) -> TaskRun:
    """Open a run and load its best weights.

    Args:
        path: of the run folder.
        changed: options of answering by name, see ``Task.answering``.

    Raises:
        InvalidValue: an option that the task does not have.
        RunError: no run of a task, or a damaged one.
    """
    run = prepare_task_run(path)
    run.folder.load_weights(run.model)
    run.model.eval()
    if changed:
        for name in changed:
            if name not in run.task.answering:
                raise unknown_name(
                    f"option of answering of {run.task.name!r}",
                    name,
                    run.task.answering or ["none"],
                )
        run.task.options = replace(run.task.options, **changed)
    return run


def is_task_run(path: Path) -> bool:
    """Whether this is the run folder of a task, and of no language model."""
    if not (path / "config.json").is_file():
        return False
    return RunFolder.open(path).config.get("task") in TASKS


def prepare_task_run(path: Path) -> TaskRun:
    """Open a run with fresh weights.

    Raises:
        RunError: no run of a task, or a damaged one.
    """
    folder = RunFolder.open(path)
    name = folder.config.get("task")
    if name not in TASKS:
        raise RunError(
            f"{path} is a run of {name!r}, which is none of {', '.join(TASKS)}; give "
            "a run of one of these"
        )
    kind, file = task_class(name), folder.path / TASK_FILE
    try:
        task = kind.from_dict(json.loads(file.read_text(encoding="utf-8")))
        source = DataSource.from_dict(folder.config["data"])
        values = {**folder.config["model"], "cell": run_cell(folder)}
        model = task.build(kind.config_type.from_dict(values))
    except ThroughtimeError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path} is damaged: {file.name} or config.json cannot be used "
            f"({type(error).__name__}: {error}); restore them from a copy, or train "
            "anew"
        ) from error
    return TaskRun(folder, task, model, source)
