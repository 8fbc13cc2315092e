"""Backpropagation through time: which steps the gradient flows back over.

    L = Σ_t l_t,   ∂L/∂W = Σ_t Σ_{k<=t} ∂l_t/∂h_t ∂h_t/∂h_k ∂⁺h_k/∂W

``BPTT`` keeps the whole inner sum. ``TruncatedBPTT`` cuts it: every ``stride`` steps
the gradient flows back over the last ``tau`` steps, BPTT(h; h') of Williams and Peng,
"An efficient gradient-based algorithm for on-line training of recurrent network
trajectories", Neural Computation 2, 1990. The state itself is carried on, detached.

Further methods, of the same shape, are in ``sliding`` and ``random_truncation``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from throughtime.checks import positive_int
from throughtime.errors import InvalidValue
from throughtime.training.carried import detach_state

Loss = Callable[..., Tensor]


class Position(NamedTuple):
    """Where a pass over all steps stands.

    start: the next window runs on from this step.
    counted: steps whose loss has counted.
    epoch: passes before this one; what is drawn at random is drawn anew in each.
    """

    start: int = 0
    counted: int = 0
    epoch: int = 0


class Window(NamedTuple):
    """The steps of one backward pass.

    start, stop: the model runs on steps start..stop-1 from the carried state.
    loss_start: first step whose loss counts; every step counts in one window only.
    carry: the detached state before this step starts the next window.
    """

    start: int
    stop: int
    loss_start: int
    carry: int

    def targets(self, targets: Tensor, mask: Tensor | None = None) -> int:
        """Targets (T, B, ...) whose loss counts in this window."""
        if mask is not None:
            return int(mask[self.loss_start : self.stop].sum())
        return (self.stop - self.loss_start) * targets.size(1)


class Problem(NamedTuple):
    """What is trained on what: the same for every window.

    module: whose parameters learn.
    run: ``outputs, state = run(inputs, state)``, time first: the module, or the
        ``features`` of one whose loss reads those.
    loss: ``loss(outputs, targets, mask=mask)``, one number.
    inputs: all steps, (T, B, ...).
    targets: all steps, (T, B, ...).
    mask: True where a target counts, (T, B); None: everywhere.
    reduction: ``mean`` or ``sum``: what the loss is over the targets that count.
    """

    module: nn.Module
    run: Callable[..., tuple[Any, Any]]
    loss: Loss
    inputs: Tensor
    targets: Tensor
    mask: Tensor | None = None
    reduction: str = "mean"

    def part(self, columns: slice) -> "Problem":
        """The same on some of the streams."""
        mask = None if self.mask is None else self.mask[:, columns]
        return self._replace(
            inputs=self.inputs[:, columns], targets=self.targets[:, columns], mask=mask
        )


class Method(Protocol):
    """A way to train through time: which windows, and the gradient of each."""

    def next_window(self, position: Position, steps: int) -> Window:
        """The window that goes on from ``position``, in a pass over ``steps`` steps."""
        ...

    def backward(
        self, problem: Problem, window: Window, state: Any, weight: float = 1.0
    ) -> tuple[float, Any]:
        """Add the gradient of ``weight`` times a window's loss to every ``.grad``.

        Returns:
            ``weight`` times the loss, and the detached state before ``window.carry``.
        """
        ...


def windows(method: Method, steps: int, epoch: int = 0) -> Iterator[Window]:
    """The windows of one pass; they count the loss of each step exactly once.

    >>> [tuple(w) for w in windows(TruncatedBPTT(4, stride=2), 7)]
    [(0, 4, 0, 2), (2, 6, 4, 4), (4, 7, 6, 7)]
    """
    position = Position(epoch=epoch)
    while position.counted < steps:
        window = method.next_window(position, steps)
        yield window
        position = Position(window.carry, window.stop, epoch)


def whole_backward(
    problem: Problem, window: Window, state: Any, weight: float = 1.0
) -> tuple[float, Any]:
    """``Method.backward`` by one backward pass over the whole window."""
    value, carried = window_loss(
        problem.run,
        problem.inputs,
        problem.targets,
        state,
        window,
        problem.loss,
        problem.mask,
    )
    value = value * weight
    value.backward()
    return value.item(), carried


class _Whole:
    """The gradient of a window by one backward pass over it."""

    def backward(
        self, problem: Problem, window: Window, state: Any, weight: float = 1.0
    ) -> tuple[float, Any]:
        """See ``Method.backward``."""
        return whole_backward(problem, window, state, weight)


@dataclass(frozen=True)
class BPTT(_Whole):
    """Full backpropagation through time: one window over all steps.

    >>> list(windows(BPTT(), 5))
    [Window(start=0, stop=5, loss_start=0, carry=5)]
    """

    def next_window(self, position: Position, steps: int) -> Window:
        """The one window of ``steps`` steps."""
        del position
        return Window(0, steps, 0, steps)


@dataclass(frozen=True)
class TruncatedBPTT(_Whole):
    """Every ``stride`` steps, backpropagation through the last ``tau`` steps.

    The losses of one window reach back over different numbers of steps, 1 to ``tau``;
    ``SlidingBPTT`` gives each the same.

    Args:
        tau: steps the gradient flows back, k2.
        stride: steps between two updates, k1 <= tau; default: tau, so that windows do
            not overlap.

    Raises:
        InvalidType: no int.
        InvalidValue: not positive, or ``stride`` > ``tau``.

    >>> [tuple(w) for w in windows(TruncatedBPTT(4), 7)]
    [(0, 4, 0, 4), (4, 7, 4, 7)]
    """

    tau: int
    stride: int | None = None

    def __post_init__(self) -> None:
        check_stride(self.tau, self.stride)

    def next_window(self, position: Position, steps: int) -> Window:
        """``tau`` steps on from the position, as far as there are some."""
        stop = min(position.start + self.tau, steps)
        carry = position.start + (self.stride or self.tau)
        return Window(
            position.start, stop, position.counted, stop if stop == steps else carry
        )


def check_stride(tau: Any, stride: Any) -> None:
    """Raise unless ``tau`` and ``stride`` (or None) fit.

    Raises:
        InvalidType: no int.
        InvalidValue: not positive, or ``stride`` > ``tau``.
    """
    positive_int("tau", tau)
    if stride is not None and positive_int("stride", stride) > tau:
        raise InvalidValue(
            f"stride must not exceed tau = {tau}, or some losses would reach "
            f"no gradient, got {stride}; use a larger tau"
        )


def window_loss(
    model: Callable[..., tuple[Tensor, Any]],
    inputs: Tensor,
    targets: Tensor,
    state: Any,
    window: Window,
    loss: Loss,
    mask: Tensor | None = None,
) -> tuple[Tensor, Any]:
    """Forward pass over one window.

    Args:
        model: ``outputs, state = model(inputs, state)``, time first: a module, or the
            ``features`` of one whose loss reads those.
        inputs: all steps, (T, B, ...).
        targets: all steps, (T, B, ...).
        state: carried state at ``window.start``; None at the beginning.
        window: the steps to run.
        loss: ``loss(outputs, targets, mask=mask)``, one number.
        mask: True where a target counts, (T, B); default: everywhere.

    Returns:
        The loss of steps loss_start..stop, with its graph over the whole window, and
        the detached state that starts the next window.

    Raises:
        InvalidType: the model's state is not made of tensors, see ``carried``.

    >>> rnn, x = torch.nn.RNN(2, 3), torch.randn(8, 1, 2)
    >>> squares = lambda outputs, targets, mask: ((outputs - targets) ** 2).mean()
    >>> window, *_ = windows(TruncatedBPTT(4), 8)
    >>> loss, state = window_loss(rnn, x, torch.zeros(8, 1, 3), None, window, squares)
    >>> loss.requires_grad, state.requires_grad
    (True, False)
    """
    outputs, carried = model(inputs[window.start : window.carry], state)
    if window.carry < window.stop:
        # Overlapping windows: the state to carry is met on the way, in one graph.
        rest, _ = model(inputs[window.carry : window.stop], carried)
        outputs = torch.cat([outputs, rest])
    counted = slice(window.loss_start, window.stop)
    part = outputs[window.loss_start - window.start :]
    value = loss(part, targets[counted], mask=None if mask is None else mask[counted])
    return value, detach_state(carried)
