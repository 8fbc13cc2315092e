r"""FastRNN and FastGRNN (Kusupati et al., 2018).

    FastRNN   n_t = tanh(W x_t + U h_{t-1} + b)
              h_t = σ(α) n_t + σ(β) h_{t-1}
    FastGRNN  z_t = σ(W x_t + U h_{t-1} + b_z)
              n_t = tanh(W x_t + U h_{t-1} + b_n)
              h_t = (σ(ζ) (1 - z_t) + σ(ν)) ⊙ n_t + z_t ⊙ h_{t-1}

arXiv 1901.02358. α, β, ζ, ν are trained numbers, which start at -3, 3, 1 and -4, and
b_z, b_n at 1, as in the authors' code. W and U are full here, in the paper of low rank
as well.
"""

from typing import Any

import torch
from torch import Tensor

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, PerUnit


@cell(
    gates=1,
    parameters={
        "alpha": PerUnit(scalar=True, init=-3.0),
        "beta": PerUnit(scalar=True, init=3.0),
    },
    name="fast_rnn",
    equation="h_t = σ(α) tanh(W x_t + U h_{t-1} + b) + σ(β) h_{t-1}",
    source="Kusupati et al., 2018, arXiv 1901.02358",
)
def FastRNN(a_x: Parts, a_h: Parts, state: Any, alpha: Tensor, beta: Tensor) -> Any:
    """A simple cell with a weighted residual connection.

    Shapes: weight_ih (H, I), weight_hh (H, H), biases likewise, alpha (), beta ().

    >>> FastRNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    n = torch.tanh(a_x[0] + a_h[0])
    return {"h": torch.sigmoid(alpha) * n + torch.sigmoid(beta) * state.h}


@cell(
    gates=1,
    product_bias=False,
    parameters={
        "gate_bias": PerUnit(2, init=1.0, bias=True),
        "zeta": PerUnit(scalar=True, init=1.0),
        "nu": PerUnit(scalar=True, init=-4.0),
    },
    name="fast_grnn",
    equation="h_t = (σ(ζ) (1 - z_t) + σ(ν)) ⊙ n_t + z_t ⊙ h_{t-1}",
    source="Kusupati et al., 2018, arXiv 1901.02358",
)
def FastGRNN(
    a_x: Parts, a_h: Parts, state: Any, gate_bias: Parts, zeta: Tensor, nu: Tensor
) -> Any:
    """Gate and candidate share their matrices and differ in their bias.

    Shapes: weight_ih (H, I), weight_hh (H, H), gate_bias (2, H): b_z and b_n, zeta (),
    nu ().

    >>> FastGRNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    a = a_x[0] + a_h[0]
    z, n = torch.sigmoid(a + gate_bias[0]), torch.tanh(a + gate_bias[1])
    share = torch.sigmoid(zeta) * (1 - z) + torch.sigmoid(nu)
    return {"h": share * n + z * state.h}, {"update": z, "candidate": n}
