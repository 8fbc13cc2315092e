"""How well a model answers, beside what simple methods make of the same examples."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from throughtime.data.examples import Examples
from throughtime.errors import DataError
from throughtime.tasks.run import TaskRun
from throughtime.tasks.task import Evaluation, RawExample

MODEL = "this model"


def mean_loss(model: nn.Module, examples: Examples, batch_size: int) -> float:
    """The loss per target of all examples, in eval mode; NaN if there is no target."""
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    try:
        with torch.no_grad():
            for batch in examples.batches(batch_size):
                loss, targets = model.batch_loss(batch)  # pyright: ignore
                total, count = total + loss.item(), count + targets
    finally:
        model.train(was_training)
    return total / count if count else math.nan


def check_targets(
    model: nn.Module, raw: Sequence[RawExample], examples: Examples, batch_size: int
) -> None:
    """Raise unless there is something to answer.

    Raises:
        DataError: no example has a target.
    """
    was_training = model.training
    model.eval()
    with torch.no_grad():
        counts = (model.batch_loss(b)[1] for b in examples.batches(batch_size))  # pyright: ignore
        found = any(counts)
    model.train(was_training)
    if not found:
        raise DataError(
            f"{raw[0].where}: none of the {len(raw):,} examples of this part has a "
            "target to compare with, such as a label that is known from training; "
            "give some that have"
        )


def measure(
    run: TaskRun,
    raw: Sequence[RawExample],
    examples: Examples,
    train: Sequence[RawExample] | None = None,
) -> dict[str, Evaluation]:
    """The figures of a run's model, and, given what it was trained on, of baselines."""
    run.model.eval()
    with torch.no_grad():
        results = {MODEL: run.task.evaluate(run.model, raw, examples)}
    if train is not None:
        results |= run.task.baselines(train, raw)
    return results
