"""The exact sliding window: every loss reaches back over the same number of steps.

    ∂L/∂W ≈ Σ_j Σ_{k = max(1, j-τ+1)}^{j} ∂L_j/∂h_j ∂h_j/∂h_k ∂⁺h_k/∂W

Chunks (``TruncatedBPTT``) give the loss of a window's first step no past at all. Here
each loss step has a window of its own. All windows of a chunk run side by side as one
batch, so that the τ-fold work is at least done in large products.
"""

from dataclasses import dataclass
from typing import Any

import torch

from throughtime.training.bptt import (
    Position,
    Problem,
    Window,
    check_stride,
    whole_backward,
)
from throughtime.training.carried import batch_dimensions, detach_state, join_states

# Sequences that run side by side: enough for large products, and a bound on memory.
_ROWS = 512


@dataclass(frozen=True)
class SlidingBPTT:
    """Backpropagation from every loss through exactly the last ``tau`` steps.

    The windows start from states that this forward pass computed, with dropout masks of
    their own. With ``tau`` = T it is full BPTT.

    Args:
        tau: steps the gradient of each loss flows back, lags 0 to tau - 1.
        stride: loss steps between two updates; default: tau.

    Raises:
        InvalidType: no int.
        InvalidValue: not positive, or ``stride`` > ``tau``.

    >>> from throughtime.training.bptt import windows
    >>> [tuple(w) for w in windows(SlidingBPTT(4, stride=2), 8)]
    [(0, 4, 0, 1), (1, 6, 4, 3), (3, 8, 6, 8)]
    """

    tau: int
    stride: int | None = None

    def __post_init__(self) -> None:
        check_stride(self.tau, self.stride)

    def next_window(self, position: Position, steps: int) -> Window:
        """The next ``stride`` loss steps, and the ``tau`` - 1 steps before them.

        The first window has ``tau`` loss steps: none of them can look back further.
        """
        first = position.counted == 0
        stop = position.counted + (self.tau if first else self.stride or self.tau)
        stop = min(stop, steps)
        carry = steps if stop == steps else stop - self.tau + 1
        return Window(position.start, stop, position.counted, carry)

    def backward(
        self, problem: Problem, window: Window, state: Any, weight: float = 1.0
    ) -> tuple[float, Any]:
        """See ``Method.backward``.

        Raises:
            InvalidType: the state has no dimension that grows with the batch.
        """
        if window.loss_start == 0:
            whole = window._replace(carry=window.stop)
            value, _ = whole_backward(problem, whole, state, weight)
            return value, _run(problem, state, window.start, window.carry)
        states = [state]
        for start in range(window.start, window.stop - self.tau):
            states.append(_run(problem, states[-1], start, start + 1))
        carried = _run(problem, states[-1], window.stop - self.tau, window.carry)
        where = batch_dimensions(problem.run, problem.inputs[:1])
        count = max(window.targets(problem.targets, problem.mask), 1)
        value, block = 0.0, max(1, _ROWS // problem.inputs.size(1))
        for first in range(0, len(states), block):
            part = states[first : first + block]
            value += self._block(
                problem, window, first, part, where, weight=weight, count=count
            )
        return value, carried

    def _block(
        self,
        problem: Problem,
        window: Window,
        first: int,
        states: list[Any],
        where: Any,
        *,
        weight: float,
        count: int,
    ) -> float:
        """Windows number first, first + 1, ... of a chunk, side by side."""
        begin = window.start + first
        steps = range(begin, begin + len(states))
        rows = torch.cat([problem.inputs[t : t + self.tau] for t in steps], 1)
        outputs, _ = problem.run(rows, join_states(states, where))
        last = outputs[-1].unflatten(0, (len(states), -1))
        counted = slice(begin + self.tau - 1, begin + self.tau - 1 + len(states))
        mask = None if problem.mask is None else problem.mask[counted]
        value = problem.loss(last, problem.targets[counted], mask=mask)
        if problem.reduction == "mean":
            own = Window(0, counted.stop, counted.start, 0)
            weight = weight * own.targets(problem.targets, problem.mask) / count
        value = value * weight
        value.backward()
        return value.item()


def _run(problem: Problem, state: Any, start: int, stop: int) -> Any:
    """The state after steps start..stop-1, without a gradient."""
    if stop == start:
        return state
    with torch.no_grad():
        return detach_state(problem.run(problem.inputs[start:stop], state)[1])
