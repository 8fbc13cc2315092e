r"""Clockwork network (Koutník, Greff, Gomez and Schmidhuber, 2014).

    h_t = tanh(W x_t + U h_{t-1} + b)  in groups of period T_g where t mod T_g = 0
    h_t = h_{t-1}                      in the others

arXiv 1402.3511: units are in groups, each with a period; a group sees itself and those
of the same or a longer period, so U is zero elsewhere. t counts from 0, so that all
groups run at the first step of a sequence. What is left to wait is part of the state: a
reset starts the clock anew.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.base import Weights
from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, PerUnit
from throughtime.errors import InvalidValue


def _periods(weight: Tensor, periods: Sequence[int]) -> Tensor:
    """The period of each unit, (H,): groups of equal size, larger ones first."""
    size, count = weight.size(0), len(periods)
    whole = [p for p in periods if isinstance(p, int) and p > 0]
    if not 0 < count <= size or len(whole) < count:
        raise InvalidValue(
            f"periods must be 1 to hidden_size = {size} positive integers, one per "
            f"group of units, got {periods}; use fewer groups or more units"
        )
    sizes = [size // count + (k < size % count) for k in range(count)]
    given = [p for p, n in zip(periods, sizes, strict=True) for _ in range(n)]
    return weight.new_tensor(given)


def _start(weights: Mapping[str, Tensor], *, periods: Sequence[int]) -> None:
    _periods(weights["weight_hh"], periods)


def _prepare(weights: Weights, *, periods: Sequence[int]) -> Weights:
    weight = weights["weight_hh"]
    period = _periods(weight, periods)
    mask = (period >= period[:, None]).to(weight.dtype)
    return {**weights, "weight_hh": weight * mask, "period": period}


@cell(
    gates=1,
    state=("h", "wait"),
    parameters={"period": PerUnit(constant=True)},
    prepare=_prepare,
    start=_start,
    name="clockwork",
    equation="h_t = tanh(W x_t + U h_{t-1} + b) where t mod T = 0, else h_{t-1}",
    source="Koutník et al., 2014, arXiv 1402.3511",
)
def Clockwork(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    period: Tensor,
    *,
    periods: Sequence[int] = (1, 2, 4, 8),
) -> Any:
    """Groups of simple units, each at its own pace.

    Shapes: weight_ih (H, I), weight_hh (H, H), biases likewise. Option ``periods``: T_g
    of each group. State ``wait``: steps until a unit runs.

    >>> Clockwork(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    runs = state.wait <= 0
    h = torch.where(runs, torch.tanh(a_x[0] + a_h[0]), state.h)
    return {"h": h, "wait": torch.where(runs, period, state.wait) - 1}
