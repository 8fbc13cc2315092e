"""What a truncation does to the gradient: its bias and its variance, measured.

For a pass over given sequences with fixed weights every method gives an estimate of the
full gradient g. ``TruncatedBPTT`` and ``SlidingBPTT`` give always the same one, which
is biased; ``RandomTruncatedBPTT`` is right on average.

    bias = ‖E ĝ - g‖ / ‖g‖,   spread = √(E ‖ĝ - E ĝ‖²) / ‖g‖
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.training.adaptive import recurrent_parameters
from throughtime.training.bptt import BPTT, Method, Problem, windows
from throughtime.training.random_truncation import RandomTruncatedBPTT


@dataclass(frozen=True)
class Estimate:
    """How one method estimates the full gradient.

    Attributes:
        bias: ‖mean - g‖ / ‖g‖.
        error: the standard error of that, 0 for a method without draws: a bias of
            about this size is none that these draws can show.
        spread: standard deviation of one estimate, √Σ Var / ‖g‖.
        cosine: of the angle between the mean and g.
        draws: estimates in the mean.
        seconds: of one estimate.
    """

    bias: float
    error: float
    spread: float
    cosine: float
    draws: int
    seconds: float


def compare_truncations(
    problem: Problem, methods: Mapping[str, Method], *, draws: int = 100
) -> dict[str, Estimate]:
    """Bias and variance of the gradient of recurrent layers, for each method.

    The weights stay as they are, gradients in ``.grad`` are lost.

    Args:
        problem: model, loss and sequences.
        methods: by a name of your own.
        draws: estimates of a method that draws at random.

    Returns:
        One ``Estimate`` per method, under its name.

    Raises:
        InvalidType: ``draws`` is no int.
        InvalidValue: it is not positive.

    >>> import throughtime as tt
    >>> from throughtime.training import TruncatedBPTT
    >>> rnn, x = tt.GRU(1, 2), torch.randn(20, 1, 1)
    >>> task = Problem(rnn, rnn, tt.losses.mse, x, torch.zeros(20, 1, 2))
    >>> found = compare_truncations(task, {"all": BPTT(), "2": TruncatedBPTT(2)})
    >>> found["all"].bias, found["2"].bias > 0, found["2"].spread
    (0.0, True, 0.0)
    """
    positive_int("draws", draws)
    full = _gradient(problem, BPTT(), 0)
    return {
        name: _estimate(problem, method, full, draws)
        for name, method in methods.items()
    }


def _estimate(problem: Problem, method: Method, full: Tensor, draws: int) -> Estimate:
    count = draws if isinstance(method, RandomTruncatedBPTT) else 1
    mean, squares = torch.zeros_like(full), 0.0
    began = time.perf_counter()
    for draw in range(count):
        found = _gradient(problem, method, draw)
        # Welford's sums: exact also where the spread is small.
        change = found - mean
        mean += change / (draw + 1)
        squares += float(change @ (found - mean))
    seconds = (time.perf_counter() - began) / count
    size = float(full.norm()) or math.nan
    variance = squares / max(count - 1, 1)
    both = float(mean.norm()) * size
    return Estimate(
        bias=float((mean - full).norm()) / size,
        error=math.sqrt(variance / count) / size,
        spread=math.sqrt(variance) / size,
        cosine=float(mean @ full) / both if both else math.nan,
        draws=count,
        seconds=seconds,
    )


def _gradient(problem: Problem, method: Method, epoch: int) -> Tensor:
    """The gradient of one pass over all steps, as one vector in double precision."""
    weights = recurrent_parameters(problem.module)
    problem.module.zero_grad(set_to_none=True)
    total = sum(
        window.targets(problem.targets, problem.mask)
        for window in windows(BPTT(), len(problem.inputs))
    )
    state: Any = None
    for window in windows(method, len(problem.inputs), epoch):
        count = window.targets(problem.targets, problem.mask)
        weight = count / max(total, 1) if problem.reduction == "mean" else 1.0
        _, state = method.backward(problem, window, state, weight)
    parts = [w.new_zeros(w.shape) if w.grad is None else w.grad for w in weights]
    problem.module.zero_grad(set_to_none=True)
    return torch.cat([part.double().flatten() for part in parts])
