r"""minGRU and minLSTM (Feng, Tung, Ahmed, Bengio and Hajimirsadeghi, 2024).

    minGRU   h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ g(W_n x_t + b_n),  z_t = σ(W_z x_t + b_z)
    minLSTM  h_t = f_t / (f_t + i_t) ⊙ h_{t-1} + i_t / (f_t + i_t) ⊙ g(W_n x_t + b_n)
             f_t = σ(W_f x_t + b_f),  i_t = σ(W_i x_t + b_i)

"Were RNNs all we needed?", arXiv 2410.01201: gates without the old state, so that a
step is linear in h. g is the identity, or, with ``positive=True``, the g of the paper's
form in logarithms: x + 1/2 where x >= 0, else σ(x). Without g, minGRU is the strongly
typed T-RNN of Balduzzi and Ghifary (arXiv 1602.02218) with f_t = 1 - z_t.
"""

from typing import Any

import torch
from torch import Tensor

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts


def _content(n: Tensor, positive: bool) -> Tensor:
    return torch.where(n >= 0, n + 0.5, torch.sigmoid(n)) if positive else n


@cell(
    gates=(2, 0),
    name="min_gru",
    equation="h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ W x_t,  z_t = σ(W_z x_t)",
    source="Feng et al., 2024, arXiv 2410.01201",
)
def MinGRU(a_x: Parts, a_h: Parts, state: Any, *, positive: bool = False) -> Any:
    """GRU without any look at the old state; gate order z, n.

    Shapes: weight_ih (2H, I), bias_ih (2H,). Option ``positive``: g(x) > 0.

    >>> MinGRU(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    z = torch.sigmoid(a_x[0])
    return {"h": (1 - z) * state.h + z * _content(a_x[1], positive)}, {"update": z}


@cell(
    gates=(3, 0),
    name="min_lstm",
    equation="h_t = (f_t ⊙ h_{t-1} + i_t ⊙ W x_t) / (f_t + i_t)",
    source="Feng et al., 2024, arXiv 2410.01201",
)
def MinLSTM(a_x: Parts, a_h: Parts, state: Any, *, positive: bool = False) -> Any:
    """LSTM without any look at the old state, its gates scaled to sum 1; order f, i, n.

    Shapes: weight_ih (3H, I), bias_ih (3H,). Option ``positive``: g(x) > 0.

    >>> MinLSTM(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    f, i = torch.sigmoid(a_x[0]), torch.sigmoid(a_x[1])
    h = (f * state.h + i * _content(a_x[2], positive)) / (f + i)
    return {"h": h}, {"forget": f, "input": i}
