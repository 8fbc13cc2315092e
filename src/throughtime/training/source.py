"""What a training takes its gradients from: streams here, examples in ``examples``."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from throughtime.losses import cross_entropy, own_loss
from throughtime.training.adaptive import Reach
from throughtime.training.bptt import Method, Problem
from throughtime.training.carried import batch_dimensions
from throughtime.training.config import TrainingConfig
from throughtime.training.door import check_data
from throughtime.training.hessian_free import HessianFree
from throughtime.training.team import Team
from throughtime.training.training_state import TrainingState
from throughtime.training.update import Gradient, backward, second_order_step
from throughtime.training.within_memory import WithinMemory


class Source(Protocol):
    """Where gradients come from.

    Attributes:
        module: whose parameters learn.
        size: what an epoch counts to, steps or batches.
        shape: of the data; a run goes on with data of the same only.
    """

    module: nn.Module
    size: int
    shape: list[int]

    def gradient(self, at: TrainingState, optimizer: Optimizer) -> Gradient:
        """Put the gradient of the next update into every ``.grad``."""
        ...

    def measure(self, at: TrainingState) -> Reach | None:
        """How far the gradient reaches back, if now is the time to measure it."""
        ...

    def dimensions(self) -> Any:
        """Which dimension of a carried state's tensors are sequences."""
        ...


class Streams:
    """Parallel streams that are read window by window, with a state carried on.

    Args:
        model: ``outputs, state = model(inputs, state)``, time first.
        data: inputs (T, B, ...), targets (T, B, ...), and, optional, a mask (T, B).
        config: how to train.
        loss: ``loss(outputs, targets, mask=..., reduction=...)``; None: the model's own
            or ``cross_entropy``.
        team: whose joined batch ``data`` is.

    Raises:
        InvalidShape: the parts of ``data`` do not fit.
        InvalidValue: fewer streams than processes.
    """

    def __init__(
        self,
        model: nn.Module,
        data: tuple[Tensor, ...],
        config: TrainingConfig,
        loss: Callable[..., Tensor] | None,
        team: Team,
    ) -> None:
        inputs, targets, mask = check_data(data)
        run, chosen = _run_and_loss(model, loss, config)
        reduced = partial(chosen, reduction=config.loss_reduction)

        self.module, self.size = model, len(inputs)
        self.shape = list(inputs.shape[:2])
        self._config = config
        self._joined = Problem(
            model, run, reduced, inputs, targets, mask, config.loss_reduction
        )
        self._part = self._joined.part(team.columns(inputs.size(1)))
        self._method = cache(self._make_method)

    def _make_method(self, reach: int | None) -> Method:
        chosen = self._config.method(reach)
        if self._config.memory is None:
            return chosen
        return WithinMemory(chosen, self._config.memory, self._part)

    def gradient(self, at: TrainingState, optimizer: Optimizer) -> Gradient:
        """See ``Source``."""
        method, config = self._method(at.reach), self._config
        if isinstance(optimizer, HessianFree):
            return second_order_step(
                self._part,
                method,
                at.position,
                at.carried,
                optimizer,
                share=config.curvature_share,
            )
        return backward(
            self._part,
            method,
            at.position,
            at.carried,
            windows=config.accumulate,
            omega=config.omega,
            joined=self._joined,
        )

    def measure(self, at: TrainingState) -> Reach | None:
        """See ``Source``."""
        config = self._config
        if config.truncation != "adaptive" or at.step % config.measure_every:
            return None
        return config.adaptive().measure(self._joined, at.step)

    def dimensions(self) -> Any:
        """See ``Source``."""
        return batch_dimensions(self._part.run, self._part.inputs[:1])


def _run_and_loss(
    model: nn.Module, loss: Callable[..., Tensor] | None, config: TrainingConfig
) -> tuple[Callable[..., tuple[Tensor, Any]], Callable[..., Tensor]]:
    """What maps inputs to outputs, and what maps those to the loss."""
    # Curvature is that of the loss in the outputs, which such a model never holds.
    own = own_loss(model) if loss is None and not config.second_order else None
    if own is not None:
        return own.features, own.features_loss
    return model, cross_entropy if loss is None else loss
