"""What a training reports while it runs; the same records go to metrics.jsonl."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from throughtime.metrics import perplexity


@dataclass(frozen=True)
class StepInfo:
    """One update, or one that was skipped.

    Attributes:
        step: updates so far.
        epoch: epoch it belongs to, from 1.
        fraction: share of all epochs that is done, in [0, 1].
        loss: per target that counts, whatever the reduction, in nats.
        grad_norm: joint norm of the gradient before clipping.
        clipped: whether clipping by norm changed it.
        skipped: whether loss or gradient was not finite, so that nothing was updated.
        learning_rate: of this update.
        tokens: targets counted in this update.
        tokens_per_second: speed of this update.
        seconds: training time so far.
    """

    step: int
    epoch: int
    fraction: float
    loss: float
    grad_norm: float
    clipped: bool
    skipped: bool
    learning_rate: float
    tokens: int
    tokens_per_second: float
    seconds: float

    @property
    def perplexity(self) -> float:
        """e^loss."""
        return perplexity(self.loss)


@dataclass(frozen=True)
class ValidationInfo:
    """The validation loss after an epoch, or where the time budget ended it.

    Attributes:
        step: updates so far.
        epoch: the epoch it ended, from 1.
        loss: in nats per token.
        best: the lowest so far.
        improved: whether this is it.
        learning_rate: from here on.
        seconds: training time so far.
    """

    step: int
    epoch: int
    loss: float
    best: float
    improved: bool
    learning_rate: float
    seconds: float

    @property
    def perplexity(self) -> float:
        """e^loss."""
        return perplexity(self.loss)


@dataclass(frozen=True)
class EventInfo:
    """Something out of the ordinary, in plain words.

    Attributes:
        step: updates so far.
        kind: ``skipped``, ``restored``, ``reach``, ``early_stopping`` or
            ``time_budget``.
        message: what happened and what was done.
        value: what was measured, of ``reach`` in steps; None of other kinds.
    """

    step: int
    kind: str
    message: str
    value: float | None = None


Record = StepInfo | ValidationInfo | EventInfo
_KINDS = {StepInfo: "step", ValidationInfo: "validation", EventInfo: "event"}


def to_json(record: Record) -> dict[str, Any]:
    """The line of metrics.jsonl; numbers that are not finite become null.

    >>> to_json(EventInfo(3, "skipped", "update 3 was skipped"))["record"]
    'event'
    """
    plain: dict[str, Any] = {"record": _KINDS[type(record)], **asdict(record)}
    if not isinstance(record, EventInfo):
        plain["perplexity"] = record.perplexity
    return {
        key: None if isinstance(v, float) and not math.isfinite(v) else v
        for key, v in plain.items()
    }
