r"""JANET, an LSTM with its forget gate alone (van der Westhuizen and Lasenby, 2018).

    s_t = W_if x_t + b_if + W_hf h_{t-1} + b_hf
    n_t = tanh(W_in x_t + b_in + W_hn h_{t-1} + b_hn)
    h_t = σ(s_t) ⊙ h_{t-1} + (1 - σ(s_t - β)) ⊙ n_t

"The unreasonable effectiveness of the forget gate", arXiv 1804.04849, with β = 1. b_if
starts at 1, or, as the paper prefers for long dependencies, by chrono initialisation
(Tallec and Ollivier, arXiv 1804.11188): at log u with u uniform in [1, longest].
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, start_biases
from throughtime.checks import number


def _start(
    weights: Mapping[str, Tensor], *, beta: float, longest: float | None
) -> None:
    start_biases(weights, 1.0, 0.0)
    if longest is None:
        return
    longest = number("longest", longest, minimum=1)
    if "bias_ih" in weights:
        forget, _ = weights["bias_ih"].chunk(2)
        forget.uniform_(1.0, longest).log_()


@cell(
    gates=2,
    start=_start,
    name="janet",
    equation="h_t = σ(s_t) ⊙ h_{t-1} + (1 - σ(s_t - β)) ⊙ n_t",
    source="van der Westhuizen and Lasenby, 2018, arXiv 1804.04849",
)
def JANET(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    *,
    beta: float = 1.0,
    longest: float | None = None,
) -> Any:
    """An LSTM with its forget gate alone; gate order f, n.

    Shapes: weight_ih (2H, I), weight_hh (2H, H), biases likewise. Options: ``beta``,
    how much more comes in than is forgotten; ``longest``, the longest dependency
    expected, in steps, for the chrono initialisation.

    >>> JANET(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    s = a_x[0] + a_h[0]
    f, n = torch.sigmoid(s), torch.tanh(a_x[1] + a_h[1])
    h = f * state.h + (1 - torch.sigmoid(s - beta)) * n
    return {"h": h}, {"forget": f, "candidate": n}
