r"""sLSTM, the scalar memory of the xLSTM (Beck et al., 2024).

    c_t = f_t ⊙ c_{t-1} + i_t ⊙ tanh(g̃_t),   n_t = f_t ⊙ n_{t-1} + i_t
    h_t = σ(õ_t) ⊙ c_t / n_t
    i_t = exp(ĩ_t - m_t),   f_t = exp(log f̂_t + m_{t-1} - m_t)
    m_t = max(log f̂_t + m_{t-1}, ĩ_t),   log f̂_t = log σ(f̃_t), or f̃_t itself

arXiv 2405.04517, eq. 8-17. m keeps the exponentials in range and cancels in c / n. At
the start n = 0, which marks that nothing is remembered: then m_t = ĩ_t. The cell alone,
without the convolution and the norm of heads of its block. b_if starts as in the
authors' code, from 5 down to -7 over the units of a head, the other biases at 0.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from throughtime.cells.base import Weights
from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, start_biases
from throughtime.errors import InvalidValue


def _blocks(weight: Tensor, heads: int) -> Tensor:
    """1 where both units of a weight are of the same head."""
    size = weight.size(1)
    if not isinstance(heads, int) or heads < 1 or size % heads:
        raise InvalidValue(
            f"heads must divide hidden_size = {size}, got {heads}; use a divisor"
        )
    head = torch.arange(size, device=weight.device) // (size // heads)
    return (head[:, None] == head).to(weight.dtype)


def _start(weights: Mapping[str, Tensor], *, heads: int, **_: bool) -> None:
    _blocks(weights["weight_hh"], heads)
    start_biases(weights, 0.0, 0.0, 0.0, 0.0)
    if "bias_ih" in weights:
        forget = weights["bias_ih"].chunk(4)[1]
        size = forget.size(0) // heads
        place = torch.linspace(0, 1, size, dtype=forget.dtype, device=forget.device)
        forget.copy_((5 - 12 * place**0.3).repeat(heads))


def _prepare(weights: Weights, *, heads: int, **_: bool) -> Weights:
    if heads == 1:
        return weights
    weight = weights["weight_hh"]
    return {**weights, "weight_hh": weight * _blocks(weight, heads).repeat(4, 1)}


@cell(
    gates=4,
    state=("h", "c", "n", "m"),
    prepare=_prepare,
    start=_start,
    name="slstm",
    equation="c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t,  h_t = o_t ⊙ c_t / n_t, i_t = exp(ĩ_t)",
    source="Beck et al., 2024, arXiv 2405.04517",
)
def SLSTM(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    *,
    heads: int = 1,
    exponential_forget: bool = False,
) -> Any:
    """LSTM with exponential gates, a normaliser n and a stabiliser m; order i, f, g, o.

    Shapes: weight_ih (4H, I), weight_hh (4H, H), biases likewise. Options: ``heads``,
    groups of units that see their own group only; ``exponential_forget``: f̂ = exp(f̃)
    instead of σ(f̃).

    >>> SLSTM(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    i, f, g, o = (x + h for x, h in zip(a_x, a_h, strict=True))
    kept = (f if exponential_forget else -softplus(-f)) + state.m
    kept = torch.where(state.n == 0, i, kept)
    m = torch.maximum(kept, i)
    i, f, o = torch.exp(i - m), torch.exp(kept - m), torch.sigmoid(o)
    c = f * state.c + i * torch.tanh(g)
    n = f * state.n + i
    return {"h": o * c / n, "c": c, "n": n, "m": m}, {"output": o}
