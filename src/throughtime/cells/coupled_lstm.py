r"""LSTM with coupled input and forget gate (Greff et al., 2015).

    i_t = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)
    g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
    o_t = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho)
    c_t = (1 - i_t) ⊙ c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)

Variant CIFG of "LSTM: A search space odyssey", arXiv 1503.04069, there with peepholes
on top, which are left out here.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts


@cell(
    gates=3,
    state=("h", "c"),
    name="coupled_lstm",
    equation="c_t = (1 - i_t) ⊙ c_{t-1} + i_t ⊙ g_t,  h_t = o_t ⊙ tanh(c_t)",
    source="Greff et al., 2015, arXiv 1503.04069",
)
def CoupledLSTM(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """LSTM whose forget gate is 1 - i_t; gate order i, g, o.

    Shapes: weight_ih (3H, I), weight_hh (3H, H), bias_ih (3H,), bias_hh (3H,).

    >>> CoupledLSTM(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    i, g, o = (x + h for x, h in zip(a_x, a_h, strict=True))
    i, o = torch.sigmoid(i), torch.sigmoid(o)
    c = (1 - i) * state.c + i * torch.tanh(g)
    return {"h": o * torch.tanh(c), "c": c}, {"input": i, "output": o}
