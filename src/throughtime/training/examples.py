"""Gradients of separate sequences, batch by batch, in another order every epoch."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from throughtime.data.examples import Batch, Examples
from throughtime.errors import InvalidType, InvalidValue
from throughtime.training.adaptive import Reach
from throughtime.training.batch_order import BatchOrder
from throughtime.training.bptt import Position, TruncatedBPTT
from throughtime.training.clipping import global_norm
from throughtime.training.config import TrainingConfig
from throughtime.training.random_truncation import (
    RandomTruncatedBPTT,
    carry_gains,
    randomly_truncated,
)
from throughtime.training.team import Team
from throughtime.training.training_state import TrainingState
from throughtime.training.update import Gradient


class ExampleSource:
    """Batches of examples; each example counts once in an epoch.

    The gradient flows back through whole sequences, or, with ``truncation``
    ``chunked`` or ``random``, is cut at borders that are drawn anew for every batch.

    Args:
        model: an ``ExampleModel``.
        examples: to train on.
        config: how to train.
        team: processes that share every batch.

    Raises:
        InvalidType: the model has no ``batch_loss``.
        InvalidValue: no examples, or an option that belongs to streams.
    """

    def __init__(
        self, model: nn.Module, examples: Examples, config: TrainingConfig, team: Team
    ) -> None:
        if not callable(getattr(model, "batch_loss", None)):
            raise InvalidType(
                "a model of separate examples needs a method batch_loss(batch), "
                f"{type(model).__name__} has none; see training.ExampleModel"
            )
        if len(examples) == 0:
            raise InvalidValue("examples must have at least one example, got none")
        check_options(config)
        self.module, self._model = model, model
        self._examples, self._config, self._team = examples, config, team
        lengths = examples.lengths
        self._order = BatchOrder(lengths, config.batch_size, config.seed)
        self.size = len(self._order)
        self.shape = [int(lengths.sum()), len(examples)]
        self._epoch: tuple[int, list[Tensor]] = (-1, [])

    def _indices(self, epoch: int, number: int) -> list[int]:
        """This process's part of a batch; other processes have the rest."""
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._order.epoch(epoch))
        chosen = self._epoch[1][number].tolist()
        return chosen[self._team.rank :: self._team.size]

    def gradient(self, at: TrainingState, optimizer: Optimizer) -> Gradient:
        """See ``Source``."""
        del optimizer
        last = min(at.counted + self._config.accumulate, self.size)
        value, count = 0.0, 0
        device = next(self.module.parameters()).device
        for number in range(at.counted, last):
            indices = self._indices(at.epoch, number)
            if not indices:  # fewer examples than processes
                continue
            batch = _on(self._examples.batch(indices), device)
            with self._truncated():
                loss, targets = self._model.batch_loss(batch)  # pyright: ignore
            if loss.requires_grad:
                loss.backward()
            value, count = value + loss.item(), count + targets
        total = torch.tensor([float(count)], dtype=torch.float64)
        self._team.sum([total])
        counted = max(int(total), 1)
        grads = [p.grad for p in self.module.parameters() if p.grad is not None]
        if self._config.loss_reduction == "mean":
            for grad in grads:
                grad /= counted
        norm = global_norm(grads)
        after = Position(0, last, at.epoch)
        return Gradient(value / counted, norm, int(total), None, after)

    def _truncated(self) -> AbstractContextManager[None]:
        """Inside, recurrent layers cut their gradient as the config says."""
        config = self._config
        if config.truncation in (None, "full"):
            return nullcontext()
        method = config.method()
        if isinstance(method, RandomTruncatedBPTT):
            return randomly_truncated(self.module, method)
        if not isinstance(method, TruncatedBPTT):  # tau is None
            return nullcontext()
        tau = method.tau
        offset = int(torch.randint(tau, ()))

        def gain(steps: int, sequences: int) -> Tensor:
            borders = (torch.arange(steps) + offset) % tau == 0
            return (~borders).double().unsqueeze(1).expand(steps, sequences)

        return carry_gains(self.module, gain)

    def measure(self, at: TrainingState) -> Reach | None:
        """See ``Source``: of streams only."""
        del at

    def dimensions(self) -> Any:
        """See ``Source``: nothing is carried."""


def check_options(config: TrainingConfig) -> None:
    """Raise unless every option has a meaning for separate examples.

    Raises:
        InvalidValue: one has not.
    """
    if config.truncation in ("sliding", "adaptive"):
        raise InvalidValue(
            f"truncation {config.truncation!r} is for streams; separate examples take "
            "full, chunked and random"
        )
    for name, used in (
        ("stride", config.stride is not None),
        ("memory", config.memory is not None),
        ("omega", bool(config.omega)),
        ("optimizer", config.second_order),
    ):
        if used:
            raise InvalidValue(
                f"{name}={getattr(config, name)!r} is for streams, not for separate "
                "examples; leave it out"
            )


def _on(batch: Batch, device: torch.device) -> Batch:
    return {name: part.to(device) for name, part in batch.items()}
