r"""Long expressive memory (Rusch, Mishra, Erichson and Mahoney, 2022).

    Δ̄_t = Δt σ(W_2 h_{t-1} + V_2 x_t + b_2)
    Δ_t = Δt σ(W_1 h_{t-1} + V_1 x_t + b_1)
    z_t = (1 - Δ_t) ⊙ z_{t-1} + Δ_t ⊙ tanh(W_z h_{t-1} + V_z x_t + b_z)
    h_t = (1 - Δ̄_t) ⊙ h_{t-1} + Δ̄_t ⊙ tanh(W_h z_t + V_h x_t + b_h)

arXiv 2110.04744, where h is y: two states with time steps of their own, learned. h_t
sees the new z_t.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Inner, Parts


@cell(
    gates=(4, 3),
    state=("h", "z"),
    inner=(1,),
    name="lem",
    equation="h_t = (1 - Δ̄_t) ⊙ h_{t-1} + Δ̄_t ⊙ tanh(W_h z_t + V_h x_t + b_h)",
    source="Rusch et al., 2022, arXiv 2110.04744",
)
def LEM(
    a_x: Parts, a_h: Parts, state: Any, inner: Inner, *, step_size: float = 1.0
) -> Any:
    """Two states at two time scales; order of the input part Δ̄, Δ, z, h.

    Shapes: weight_ih (4H, I), weight_hh (3H, H) of Δ̄, Δ, z, weight_mh (H, H): W_h,
    biases likewise. Option ``step_size``: Δt.

    >>> LEM(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    slow = step_size * torch.sigmoid(a_x[0] + a_h[0])
    fast = step_size * torch.sigmoid(a_x[1] + a_h[1])
    z = (1 - fast) * state.z + fast * torch.tanh(a_x[2] + a_h[2])
    (seen,) = inner(z)
    h = (1 - slow) * state.h + slow * torch.tanh(seen + a_x[3])
    return {"h": h, "z": z}
