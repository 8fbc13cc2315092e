"""Backpropagation through time: which steps the gradient flows back over.

    L = Σ_t l_t,   ∂L/∂W = Σ_t Σ_{k<=t} ∂l_t/∂h_t ∂h_t/∂h_k ∂⁺h_k/∂W

``BPTT`` keeps the whole inner sum. ``TruncatedBPTT`` cuts it: every ``stride`` steps
the gradient flows back over the last ``tau`` steps, BPTT(h; h') of Williams and Peng,
"An efficient gradient-based algorithm for on-line training of recurrent network
trajectories", Neural Computation 2, 1990. The state itself is carried on, detached.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidValue
from throughtime.training.carried import detach_state


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


@dataclass(frozen=True)
class BPTT:
    """Full backpropagation through time: one window over all steps.

    >>> list(BPTT().windows(5))
    [Window(start=0, stop=5, loss_start=0, carry=5)]
    """

    def windows(self, steps: int) -> Iterator[Window]:
        """The one window of ``steps`` steps."""
        yield Window(0, steps, 0, steps)


@dataclass(frozen=True)
class TruncatedBPTT:
    """Every ``stride`` steps, backpropagation through the last ``tau`` steps.

    Args:
        tau: steps the gradient flows back, k2.
        stride: steps between two updates, k1 <= tau; default: tau, so that windows do
            not overlap.

    Raises:
        InvalidType: no int.
        InvalidValue: not positive, or ``stride`` > ``tau``.

    >>> [tuple(w) for w in TruncatedBPTT(4, stride=2).windows(7)]
    [(0, 4, 0, 2), (2, 6, 4, 4), (4, 7, 6, 7)]
    """

    tau: int
    stride: int | None = None

    def __post_init__(self) -> None:
        positive_int("tau", self.tau)
        if self.stride is not None and positive_int("stride", self.stride) > self.tau:
            raise InvalidValue(
                f"stride must not exceed tau = {self.tau}, or some losses would reach "
                f"no gradient, got {self.stride}; use a larger tau"
            )

    def windows(self, steps: int) -> Iterator[Window]:
        """Windows that count the loss of each of ``steps`` steps exactly once."""
        stride = self.stride or self.tau
        start, counted = 0, 0
        while counted < steps:
            stop = min(start + self.tau, steps)
            carry = stop if stop == steps else start + stride
            yield Window(start, stop, counted, carry)
            start, counted = carry, stop


Loss = Callable[..., Tensor]


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
    >>> window, *_ = TruncatedBPTT(4).windows(8)
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
