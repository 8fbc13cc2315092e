r"""Stackable recurrent cell, STAR (Turkoglu, D'Aronco, Wegner and Schindler, 2021).

    n_t = tanh(W_in x_t + b_in)
    k_t = σ(W_ik x_t + b_ik + W_hk h_{t-1} + b_hk)
    h_t = tanh((1 - k_t) ⊙ h_{t-1} + k_t ⊙ n_t)

"Gating revisited: deep multi-layer RNNs that can be trained", arXiv 1911.11033: built
so that gradients keep their size also from layer to layer.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts


@cell(
    gates=(2, 1),
    name="star",
    equation="h_t = tanh((1 - k_t) ⊙ h_{t-1} + k_t ⊙ tanh(W x_t))",
    source="Turkoglu et al., 2021, arXiv 1911.11033",
)
def STAR(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """One gate, a candidate of the input alone; order n, k.

    Shapes: weight_ih (2H, I), weight_hh (H, H) of k, biases likewise.

    >>> STAR(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    n, k = torch.tanh(a_x[0]), torch.sigmoid(a_x[1] + a_h[0])
    return {"h": torch.tanh((1 - k) * state.h + k * n)}, {"candidate": n, "input": k}
