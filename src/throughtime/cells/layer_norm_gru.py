r"""GRU with layer normalisation (Ba, Kiros and Hinton, 2016).

    r_t, z_t = σ(LN(W_i x_t) + LN(W_h h_{t-1}))     each LN over the 2 H rows of both
    n_t = tanh(LN(W_in x_t) + r_t ⊙ LN(W_hn h_{t-1}))
    h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}

LN(v) = γ ⊙ (v - mean) / √(var + 1e-5) + β. arXiv 1607.06450, the equations of its
supplement, with torch's sign of z: z_t = 1 keeps the old state, there 1 - z_t does.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, PerUnit, row_norm


@cell(
    gates=3,
    product_bias=False,
    parameters={
        "norm_ih": PerUnit(3, init=1.0),
        "norm_hh": PerUnit(3, init=1.0),
        "norm_bias": PerUnit(4, init=0.0, bias=True),
    },
    name="layer_norm_gru",
    equation="h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}, products normalised",
    source="Ba, Kiros and Hinton, 2016, arXiv 1607.06450",
)
def LayerNormGRU(
    a_x: Parts, a_h: Parts, state: Any, norm_ih: Parts, norm_hh: Parts, norm_bias: Parts
) -> Any:
    """GRU with layer norm, in torch's gate order r, z, n.

    Shapes: weight_ih (3H, I), weight_hh (3H, H), the gains γ norm_ih (3, H) and norm_hh
    (3, H), and norm_bias (4, H): the shifts β of r, z (those of both products add up),
    of the input part of n and of its recurrent part. Without bias there are no shifts.

    >>> LayerNormGRU(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    x_r, x_z = row_norm(a_x[0], a_x[1])
    h_r, h_z = row_norm(a_h[0], a_h[1])
    r = torch.sigmoid(x_r * norm_ih[0] + h_r * norm_hh[0] + norm_bias[0])
    z = torch.sigmoid(x_z * norm_ih[1] + h_z * norm_hh[1] + norm_bias[1])
    seen = row_norm(a_h[2])[0] * norm_hh[2] + norm_bias[3]
    n = torch.tanh(row_norm(a_x[2])[0] * norm_ih[2] + norm_bias[2] + r * seen)
    return {"h": (1 - z) * n + z * state.h}, {"reset": r, "update": z, "candidate": n}
