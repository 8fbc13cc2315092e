r"""Coupled oscillatory network, coRNN (Rusch and Mishra, 2021).

    z_t = z_{t-1} + Δt (tanh(W h_{t-1} + 𝒲 z_{t-1} + V x_t + b) - γ h_{t-1} - ε z_{t-1})
    h_t = h_{t-1} + Δt z_t

arXiv 2010.00951: driven, damped oscillators, h their place (y in the paper) and z their
speed. Of the paper's two forms this is the one with the damping of the old speed, as in
the authors' code. Δt, γ and ε are to be tuned: inputs that change fast, as the letters
of a text, want a large Δt; the authors' values for IMDB are 0.054, 4.9 and 4.8.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Inner, Parts


@cell(
    gates=1,
    state=("h", "z"),
    inner=(1,),
    name="cornn",
    equation="z_t = z_{t-1} + Δt (tanh(W h + 𝒲 z + V x_t + b) - γ h - ε z)_{t-1}",
    source="Rusch and Mishra, 2021, arXiv 2010.00951",
)
def CoRNN(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    inner: Inner,
    *,
    step_size: float = 0.5,
    stiffness: float = 1.0,
    damping: float = 1.0,
) -> Any:
    """A network of oscillators.

    Shapes: weight_ih (H, I): V; weight_hh (H, H): W; weight_mh (H, H): 𝒲; biases
    likewise. Options: ``step_size``: Δt; ``stiffness``: γ; ``damping``: ε.

    >>> CoRNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    (seen,) = inner(state.z)
    force = torch.tanh(a_x[0] + a_h[0] + seen)
    z = state.z + step_size * (force - stiffness * state.h - damping * state.z)
    return {"h": state.h + step_size * z, "z": z}
