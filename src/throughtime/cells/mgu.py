r"""Minimal gated unit (Zhou, Wu, Zhang and Zhou, 2016).

    f_t = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
    n_t = tanh(W_in x_t + b_in + W_mh (f_t ⊙ h_{t-1}) + b_mh)
    h_t = (1 - f_t) ⊙ h_{t-1} + f_t ⊙ n_t

arXiv 1603.09420: one gate both resets, before the product, and updates.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Inner, Parts


@cell(
    gates=(2, 1),
    inner=(1,),
    name="mgu",
    equation="h_t = (1 - f_t) ⊙ h_{t-1} + f_t ⊙ n_t, n_t from f_t ⊙ h_{t-1}",
    source="Zhou et al., 2016, arXiv 1603.09420",
)
def MGU(a_x: Parts, a_h: Parts, state: Any, inner: Inner) -> Any:
    """One gate f_t; gate order f, n.

    Shapes: weight_ih (2H, I), weight_hh (H, H), weight_mh (H, H), biases likewise.

    >>> MGU(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    f = torch.sigmoid(a_x[0] + a_h[0])
    (seen,) = inner(f * state.h)
    n = torch.tanh(a_x[1] + seen)
    return {"h": (1 - f) * state.h + f * n}, {"forget": f, "candidate": n}
