r"""The paths from a shared weight to the loss.

W_hh acts at every step, so it reaches the loss L = Σ_j L_j by one path for each loss
step j and each occurrence k <= j:

    W -> h_k -> h_{k+1} -> … -> h_j -> L_j -> L

Through L_j lead j paths, T(T+1)/2 in all, and the gradient is the sum over them:

    ∂L/∂W = Σ_{j=1}^{T} Σ_{k=1}^{j} ∂L_j/∂h_j ∂h_j/∂h_k ∂⁺h_k/∂W

Both sums start at 1: L_1 already has a path, and W does not act before step 1. ∂⁺ is
the immediate derivative, h_{k-1} held fixed; with the total one, paths would count
several times. Truncation to lags j - k <= p keeps k >= max(1, j - p).
"""

from collections.abc import Iterator
from typing import NamedTuple

from throughtime.checks import positive_int
from throughtime.errors import InvalidType, InvalidValue


class Path(NamedTuple):
    """One path from W to the loss, of a layer of one recurrent state.

    loss_step: j, the step of the loss that it leads to, from 1.
    occurrence: k <= j, the step at which W acts, from 1.

    >>> print(Path(3, 2))
    W -> h_2 -> h_3 -> L_3 -> L
    """

    loss_step: int
    occurrence: int

    @property
    def lag(self) -> int:
        """j - k: the Jacobians on the way."""
        return self.loss_step - self.occurrence

    @property
    def nodes(self) -> tuple[str, ...]:
        """What it leads through, from W to L."""
        states = (f"h_{m}" for m in range(self.occurrence, self.loss_step + 1))
        return "W", *states, f"L_{self.loss_step}", "L"

    def __str__(self) -> str:
        return " -> ".join(self.nodes)


def paths(steps: int, *, lag: int | None = None) -> Iterator[Path]:
    """All paths over T steps, those to L_1 first.

    Args:
        steps: T.
        lag: p >= 0, the longest lag j - k that counts; default: all.

    Raises:
        InvalidType: no int.
        InvalidValue: ``steps`` is not positive, or ``lag`` negative.

    >>> [tuple(path) for path in paths(3)]
    [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]
    >>> [tuple(path) for path in paths(3, lag=1)]
    [(1, 1), (2, 1), (2, 2), (3, 2), (3, 3)]
    """
    reach = _reach(positive_int("steps", steps), lag)
    return (
        Path(j, k) for j in range(1, steps + 1) for k in range(max(1, j - reach), j + 1)
    )


def count_paths(
    steps: int, *, loss_step: int | None = None, lag: int | None = None
) -> int:
    """How many paths there are, without listing them.

    Args:
        steps: T.
        loss_step: only the paths through L_j, j in 1..T: j of them; default: all,
            T(T+1)/2.
        lag: p >= 0, the longest lag j - k that counts; default: all.

    Raises:
        InvalidType: no int.
        InvalidValue: ``steps`` is not positive, ``loss_step`` outside 1..T, or ``lag``
            negative.

    >>> count_paths(10, loss_step=4), count_paths(10), count_paths(10, lag=0)
    (4, 55, 10)
    """
    most = _reach(positive_int("steps", steps), lag) + 1
    if loss_step is None:
        full = min(most, steps)
        return full * (full + 1) // 2 + (steps - full) * full
    if positive_int("loss_step", loss_step) > steps:
        raise InvalidValue(
            f"loss_step must lie in 1..steps = {steps}, got {loss_step}; there is no "
            "loss beyond the last step"
        )
    return min(loss_step, most)


def _reach(steps: int, lag: int | None) -> int:
    """The longest lag that counts."""
    if lag is None:
        return steps - 1
    if not isinstance(lag, int) or isinstance(lag, bool):
        raise InvalidType(f"lag should be of type int, got: {type(lag).__name__}")
    if lag < 0:
        raise InvalidValue(
            f"lag must not be negative, got {lag}; lag=0 keeps the paths within a step"
        )
    return lag
