r"""Simple recurrent unit (Lei, Zhang, Wang, Dai and Artzi, 2018).

    f_t = σ(W_f x_t + v_f ⊙ c_{t-1} + b_f)
    c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ W x_t
    r_t = σ(W_r x_t + v_r ⊙ c_{t-1} + b_r)
    h_t = r_t ⊙ c_t + (1 - r_t) ⊙ W_x x_t

"Simple recurrent units for highly parallelizable recurrence", arXiv 1709.02755, the
version of EMNLP. There x_t itself passes by, scaled, where I = H; here always a
projection of it, as the authors' code has it where I and H differ. The paper has no
bias on W and W_x: they start at 0.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, PerUnit, start_biases


def _start(weights: Mapping[str, Tensor]) -> None:
    start_biases(weights, 0.0, 0.0, 0.0, 0.0)


@cell(
    gates=(4, 0),
    state=("h", "c"),
    parameters={"recurrent": PerUnit(2)},
    start=_start,
    name="sru",
    equation="c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ W x_t,  h_t = r_t ⊙ c_t + ...",
    source="Lei et al., 2018, arXiv 1709.02755",
)
def SRU(a_x: Parts, a_h: Parts, state: Any, recurrent: Parts) -> Any:
    """Light recurrence and a way past it; order c, f, r, x.

    Shapes: weight_ih (4H, I), bias_ih (4H,), recurrent (2, H): v_f and v_r.

    >>> SRU(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    f = torch.sigmoid(a_x[1] + recurrent[0] * state.c)
    r = torch.sigmoid(a_x[2] + recurrent[1] * state.c)
    c = f * state.c + (1 - f) * a_x[0]
    h = r * c + (1 - r) * a_x[3]
    return {"h": h, "c": c}, {"forget": f, "reset": r}
