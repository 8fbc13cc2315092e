"""Where a training stands: what a checkpoint holds beside weights and optimiser."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import torch

from throughtime.errors import RunError
from throughtime.training.bptt import Position
from throughtime.training.carried import map_state
from throughtime.training.schedules import Scale


@dataclass
class TrainingState:
    """Where a training stands.

    Attributes:
        step: updates so far.
        epoch: epochs done.
        start: the next window of this epoch runs on from this step.
        counted: steps of this epoch whose loss has counted.
        carried: the model's state before ``start``.
        reach: steps the gradient was last measured to reach back; None: not measured.
        seconds: training time.
        best: lowest validation loss after an epoch.
        bad_epochs: epochs since then.
        bad_updates: updates in a row that were not finite.
        skipped: all that were not finite.
        returns: times training went back to its last checkpoint, since it was written.
        factor: what halving left of the learning rate.
        schedule: what the schedule made of it.
        norms: of all gradients, ascending; for clipping at a percentile of them only.
        stopped: why training ended before its last epoch.
    """

    step: int = 0
    epoch: int = 0
    start: int = 0
    counted: int = 0
    carried: Any = None
    reach: int | None = None
    seconds: float = 0.0
    best: float = math.inf
    bad_epochs: int = 0
    bad_updates: int = 0
    skipped: int = 0
    returns: int = 0
    factor: float = 1.0
    schedule: Scale = Scale()
    norms: list[float] = field(default_factory=list)
    stopped: str = ""

    @property
    def position(self) -> Position:
        """Where in the epoch the next window starts."""
        return Position(self.start, self.counted, self.epoch)

    @property
    def scale(self) -> float:
        """Everything that multiplies the learning rate."""
        return self.factor * self.schedule.scale

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], device: torch.device) -> Self:
        """The state of a checkpoint, with its tensors on ``device``.

        Raises:
            RunError: the checkpoint is that of another version.
        """
        known = {entry.name for entry in fields(cls)}
        for name in values:
            if name not in known:
                raise RunError(
                    f"the last checkpoint is of another version of throughtime, it has "
                    f"{name!r}; continue it with that version, or start a new run"
                )
        state = cls(**values)
        state.schedule = Scale(*state.schedule)
        state.carried = map_state(lambda tensor: tensor.to(device), state.carried)
        return state


def random_state() -> dict[str, Any]:
    """The state of torch's global generators, which dropout draws from."""
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return {"cpu": torch.get_rng_state(), "cuda": devices}


def set_random_state(state: Mapping[str, Any]) -> None:
    """Let torch's global generators go on from ``random_state()``."""
    torch.set_rng_state(state["cpu"])
    for device, device_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(device_state, device)
