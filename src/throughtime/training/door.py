"""What a training checks before it begins."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from throughtime.errors import InvalidShape, InvalidValue, RunError
from throughtime.training.config import TrainingConfig
from throughtime.training.optimizers import HESSIAN_FREE
from throughtime.training.run_folder import RunFolder
from throughtime.training.team import Team

# Options that a training may change when it goes on; they do not alter its course.
_FREE = ("epochs", "time_budget", "checkpoint_every", "log_every")


def check_data(data: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Inputs, targets and mask.

    Raises:
        InvalidShape: they do not fit.
    """
    if len(data) not in (2, 3):
        raise InvalidShape(
            f"data must be (inputs, targets) or (inputs, targets, mask), got "
            f"{len(data)} parts"
        )
    inputs, targets = data[:2]
    mask = data[2] if len(data) == 3 else None
    if inputs.dim() < 2 or inputs.size(0) == 0 or inputs.size(1) == 0:
        raise InvalidShape(
            "inputs must have at least one step and one stream, (T, B, ...), got "
            f"{tuple(inputs.shape)}"
        )
    for name, part in (("targets", targets), ("mask", mask)):
        if part is not None and part.shape[:2] != inputs.shape[:2]:
            raise InvalidShape(
                f"{name} must have the steps and streams of inputs, "
                f"{tuple(inputs.shape[:2])}, got {tuple(part.shape[:2])}"
            )
    return inputs, targets, mask


def check_needs(
    config: TrainingConfig,
    run: RunFolder | None,
    validate: Callable[[Any], float] | None,
    resume: bool,
) -> None:
    """Raise unless everything is there that the config asks for.

    Raises:
        InvalidValue: something is not.
    """
    if resume and run is None:
        raise InvalidValue("resume needs a run to continue, got run=None")
    if validate is None and config.schedule == "plateau":
        raise InvalidValue(
            "schedule plateau follows the validation loss, got validate=None"
        )
    if validate is None and config.optimizer.lower() == "nt-asgd":
        raise InvalidValue(
            "optimizer nt-asgd follows the validation loss, got validate=None"
        )
    if validate is None and config.early_stopping is not None:
        raise InvalidValue(
            "early_stopping follows the validation loss, got validate=None"
        )


def check_team(team: Team, config: TrainingConfig, streams: int) -> None:
    """Raise unless these processes can train together.

    Raises:
        InvalidValue: fewer streams than processes, or an optimiser for one process.
    """
    team.columns(streams)
    if team.size > 1 and config.optimizer.lower() == HESSIAN_FREE:
        raise InvalidValue(
            f"optimizer {HESSIAN_FREE} works in one process, got {team.size}; use "
            "another optimizer, or one process"
        )


def check_begin(
    run: RunFolder,
    state: Mapping[str, Any],
    config: TrainingConfig,
    shape: list[int],
    resume: bool,
) -> None:
    """Raise unless the run is new, or is resumed with its own options and data.

    Raises:
        RunError: neither.
    """
    if "progress" not in state:
        return
    if not resume:
        if state["progress"]["step"] > 0:
            raise RunError(
                f"{run.path} holds a training of {state['progress']['step']} updates; "
                "continue it with resume=True, or create another run"
            )
        return
    for name, value in config.to_dict().items():
        before = state["config"].get(name, value)
        # As JSON, because a config that was read from a file has lists for tuples.
        if name not in _FREE and _json(before) != _json(value):
            raise RunError(
                f"{name} cannot change within a run: {run.path} was trained with "
                f"{before!r}, got {value!r}"
            )
    if shape != state["data"]:
        raise RunError(
            f"{run.path} was trained on data of steps and streams {state['data']}, "
            f"got {shape}; resume it with the same data"
        )


def _json(value: Any) -> str:
    return json.dumps(value, default=str, sort_keys=True)
