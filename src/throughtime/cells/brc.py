r"""Bistable recurrent cells (Vecoven, Ernst and Drion, 2021).

    a_t = 1 + tanh(W_a x_t + b_a + w_a ⊙ h_{t-1})       BRC; U_a h_{t-1} for nBRC
    c_t = σ(W_c x_t + b_c + w_c ⊙ h_{t-1})              BRC; U_c h_{t-1} for nBRC
    h_t = c_t ⊙ h_{t-1} + (1 - c_t) ⊙ tanh(W_n x_t + b_n + a_t ⊙ h_{t-1})

"A bio-inspired bistable recurrent cell allows for long-lasting memory", arXiv
2006.05252: where a_t > 1 a unit has two stable states. In BRC a unit sees itself only,
in nBRC the others modulate it. The paper has no b_n: it starts at 0, and w_a, w_c start
at 1, as in the authors' code.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, PerUnit, start_biases


def _start(weights: Mapping[str, Tensor]) -> None:
    start_biases(weights, 0.0, 0.0, 0.0)


@cell(
    gates=(3, 0),
    parameters={"recurrent": PerUnit(2, init=1.0)},
    start=_start,
    name="brc",
    equation="h_t = c_t ⊙ h_{t-1} + (1 - c_t) ⊙ tanh(W x_t + a_t ⊙ h_{t-1})",
    source="Vecoven, Ernst and Drion, 2021, arXiv 2006.05252",
)
def BRC(a_x: Parts, a_h: Parts, state: Any, recurrent: Parts) -> Any:
    """Bistable units, each on its own; order a, c, n.

    Shapes: weight_ih (3H, I), bias_ih (3H,), recurrent (2, H): w_a and w_c.

    >>> BRC(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    a = 1 + torch.tanh(a_x[0] + recurrent[0] * state.h)
    c = torch.sigmoid(a_x[1] + recurrent[1] * state.h)
    n = torch.tanh(a_x[2] + a * state.h)
    return {"h": c * state.h + (1 - c) * n}, {"update": c, "candidate": n}


@cell(
    gates=(3, 2),
    start=_start,
    name="nbrc",
    equation="h_t = c_t ⊙ h_{t-1} + (1 - c_t) ⊙ tanh(W x_t + a_t ⊙ h_{t-1})",
    source="Vecoven, Ernst and Drion, 2021, arXiv 2006.05252",
)
def NBRC(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """Bistable units that modulate each other; order a, c, n.

    Shapes: weight_ih (3H, I), weight_hh (2H, H): U_a and U_c, biases likewise.

    >>> NBRC(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    a = 1 + torch.tanh(a_x[0] + a_h[0])
    c = torch.sigmoid(a_x[1] + a_h[1])
    n = torch.tanh(a_x[2] + a * state.h)
    return {"h": c * state.h + (1 - c) * n}, {"update": c, "candidate": n}
