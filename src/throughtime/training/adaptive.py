"""How far back the gradient reaches, measured, and a truncation that follows it.

The gradient of losses at the last step, truncated after τ steps, differs from the whole
one by a share of its norm,

    share(τ) = ‖g - g_τ‖ / ‖g‖,

the relative bias of truncated backpropagation (Aicher, Foti and Fox, "Adaptively
truncating backpropagation through time to control gradient bias", arXiv 1905.07473, who
bound it by a fit; here it is measured). One forward and one backward pass give g_τ for
a whole ladder of τ: the steps are run in segments, and on the way back, where a segment
ends, the gradient so far is that of the truncation there.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue
from throughtime.layers import Recurrent
from throughtime.training.bptt import Problem
from throughtime.training.carried import detach_state, map_state

# Sequences whose gradient is measured: the mean over them is what training follows.
_SEQUENCES = 64


@dataclass(frozen=True)
class Reach:
    """How far back a gradient reaches.

    Attributes:
        lags: the truncations tried, ascending; the last one is the whole gradient.
        shares: ‖g - g_τ‖/‖g‖ for each of them, the last one 0; nan where g is 0.
        epsilon: the share that may be lost.
    """

    lags: tuple[int, ...]
    shares: tuple[float, ...]
    epsilon: float

    @property
    def tau(self) -> int:
        """The smallest τ of the ladder beyond which less than ``epsilon`` is lost.

        And no larger one loses more. All steps, if nothing is to be measured.
        """
        best = self.lags[-1]
        for lag, share in zip(reversed(self.lags), reversed(self.shares), strict=True):
            if not share < self.epsilon:
                break
            best = lag
        return best

    def __str__(self) -> str:
        """One line: what is beyond some of the lags."""
        shown = [
            f"{share:.1%} beyond {lag}"
            for lag, share in zip(self.lags, self.shares, strict=True)
        ]
        return ", ".join(shown[:-1][:: max(1, len(shown) // 5)])


@dataclass(frozen=True)
class AdaptiveBPTT:
    """Truncated BPTT whose τ follows the measured reach of the gradient.

    Args:
        epsilon: share of the gradient that may be lost, in (0, 1).
        maximum: largest τ; the gradient is measured that far back.
        every: updates between two measurements.

    Raises:
        InvalidType: no number.
        InvalidValue: out of range.

    >>> AdaptiveBPTT(epsilon=0.05).ladder()
    (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256)
    """

    epsilon: float = 0.05
    maximum: int = 256
    every: int = 200

    def __post_init__(self) -> None:
        number("epsilon", self.epsilon, minimum=0, maximum=1, exclude_minimum=True)
        positive_int("maximum", self.maximum)
        positive_int("every", self.every)

    def ladder(self, steps: int | None = None) -> tuple[int, ...]:
        """The values of τ that are tried: powers of √2 up to the maximum."""
        last = self.maximum if steps is None else min(self.maximum, steps)
        rungs = range(2 * math.ceil(math.log2(max(last, 2))) + 1)
        tried = {round(math.sqrt(2) ** k) for k in rungs}
        return (*sorted(lag for lag in tried if lag < last), last)

    def measure(self, problem: Problem, position: int = 0) -> Reach:
        """The reach of the gradient on sequences drawn from a problem's streams.

        Each is ``maximum`` steps long, with as many before it, without a gradient, to
        give it a state, where the streams have so many. Losses that do not count end
        none. The model is in eval mode meanwhile.

        Args:
            problem: model, loss and streams.
            position: draws other sequences for another position, always the same ones.
        """
        inputs, targets, mask = problem.inputs, problem.targets, problem.mask
        steps = min(self.maximum, len(inputs))
        generator = torch.Generator().manual_seed(position)
        last, column = _ends(targets, mask, steps, generator)
        before = min(steps, int(last.min()) - steps + 1)
        times = (
            last - torch.arange(steps + before - 1, -1, -1, device=last.device)[:, None]
        )
        x = inputs[times, column]
        was_training = problem.module.training
        problem.module.eval()
        try:
            state = None
            if before:
                with torch.no_grad():
                    state = detach_state(problem.run(x[:before], None)[1])
            return measure_reach(
                problem.module,
                problem.run,
                x[before:],
                state,
                lambda out: problem.loss(out[None], targets[last, column][None]),
                lags=self.ladder(steps),
                epsilon=self.epsilon,
            )
        finally:
            problem.module.train(was_training)


def _ends(
    targets: Tensor, mask: Tensor | None, steps: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Last step and column of the sequences to measure on, (N,) each."""
    length, batch = targets.shape[:2]
    there = torch.ones(length, batch, dtype=torch.bool)
    if mask is not None:
        there &= mask.cpu()
    there[: steps - 1] = False
    if not bool(there.any()):
        raise InvalidValue(
            f"no loss counts after step {steps}, so the reach of the gradient cannot "
            "be measured; use a smaller tau, or truncation='chunked'"
        )
    # Half of them with a whole sequence before, if there are such.
    if bool(there[2 * steps - 1 :].any()):
        there[: 2 * steps - 1] = False
    found = there.nonzero()
    chosen = torch.randperm(len(found), generator=generator)[:_SEQUENCES]
    last, column = found[chosen].to(targets.device).unbind(1)
    return last, column


def measure_reach(
    module: nn.Module,
    run: Any,
    inputs: Tensor,
    state: Any,
    loss: Any,
    *,
    lags: tuple[int, ...],
    epsilon: float,
) -> Reach:
    """How much of the gradient of a loss at the last step lies beyond each lag.

    Of the parameters of recurrent layers, or of all where there are none.

    Args:
        module: whose parameters; nothing of them changes.
        run: ``outputs, state = run(inputs, state)``, time first.
        inputs: (T, B, ...).
        state: before the first step.
        loss: from the last step's outputs (B, ...) to one number.
        lags: ascending values of τ, the last one T.
        epsilon: for ``Reach.tau``.

    >>> import throughtime as tt
    >>> rnn = tt.RNN(1, 1, bias=False)
    >>> _ = torch.nn.init.constant_(rnn.weight_hh_l0, 0.0)
    >>> reach = measure_reach(rnn, rnn, torch.ones(4, 1, 1), None, lambda h: h.sum(),
    ...     lags=(1, 2, 4), epsilon=0.01)
    >>> reach.shares, reach.tau
    ((0.0, 0.0, 0.0), 1)
    """
    steps = len(inputs)
    weights = recurrent_parameters(module)
    # Segments from the first step to the last; the lags are their distances from T.
    borders = [steps - lag for lag in reversed(lags)] + [steps]
    entered, left, outputs = [], [], inputs
    with torch.enable_grad():
        for start, stop in zip(borders[:-1], borders[1:], strict=True):
            state = None if state is None else _leaf(state)
            entered.append(_tensors(state))
            outputs, state = run(inputs[start:stop], state)
            left.append(_tensors(state))
        value = loss(outputs[-1])
    # From the last to the first, where what flows in is the loss's own gradient.
    totals = [torch.zeros_like(weight, dtype=torch.float64) for weight in weights]
    truncated: list[list[Tensor]] = []
    ends, gradients = [value], [torch.ones_like(value)]
    for index in reversed(range(len(entered))):
        if not ends:  # nothing is carried from here back
            truncated.append(truncated[-1])
            continue
        into = entered[index]
        found = torch.autograd.grad(
            ends, [*weights, *into], gradients, materialize_grads=True
        )
        for total, gradient in zip(totals, found[: len(weights)], strict=True):
            total += gradient
        truncated.append([total.clone() for total in totals])
        if index:
            pairs = zip(left[index - 1], found[len(weights) :], strict=True)
            flowing = [(t, g) for t, g in pairs if t.requires_grad]
            ends, gradients = [t for t, _ in flowing], [g for _, g in flowing]
    whole = _norm(totals)
    shares = tuple(
        _norm([t - p for t, p in zip(totals, part, strict=True)]) / whole
        if whole
        else math.nan
        for part in truncated
    )
    return Reach(tuple(lags), shares, epsilon)


def recurrent_parameters(module: nn.Module) -> list[nn.Parameter]:
    """The trained parameters of recurrent layers, or all where there are none."""
    layers = (Recurrent, nn.RNNBase, nn.RNNCellBase)
    inside = [m for m in module.modules() if isinstance(m, layers)]
    owners = inside or [module]
    found = {id(p): p for m in owners for p in m.parameters() if p.requires_grad}
    return list(found.values())


def _leaf(state: Any) -> Any:
    return map_state(lambda t: t.detach().requires_grad_(t.is_floating_point()), state)


def _tensors(state: Any) -> list[Tensor]:
    found: list[Tensor] = []
    map_state(lambda t: found.append(t) or t, state)
    return [t for t in found if t.is_floating_point()]


def _norm(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(float((t**2).sum()) for t in tensors))
