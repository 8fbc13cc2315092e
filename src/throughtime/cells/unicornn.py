r"""Undamped independent oscillators, UnICORNN (Rusch and Mishra, 2021).

    z_t = z_{t-1} - Δt σ(c) ⊙ (tanh(w ⊙ h_{t-1} + V x_t + b) + α h_{t-1})
    h_t = h_{t-1} + Δt σ(c) ⊙ z_t

arXiv 2103.05487: a Hamiltonian system, one layer of it (the paper adds residual
connections in a stack, ``residual=True``). w starts uniform in [0, 1], c in
[-0.1, 0.1], b at 0.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, PerUnit, start_biases


def _start(weights: Mapping[str, Tensor], *, step_size: float, alpha: float) -> None:
    start_biases(weights, 0.0)


def _weight(w: Tensor) -> None:
    w.uniform_(0.0, 1.0)


def _control(c: Tensor) -> None:
    c.uniform_(-0.1, 0.1)


@cell(
    gates=(1, 0),
    state=("h", "z"),
    parameters={"recurrent": PerUnit(init=_weight), "control": PerUnit(init=_control)},
    start=_start,
    name="unicornn",
    equation="z_t = z_{t-1} - Δt σ(c) ⊙ (tanh(w ⊙ h_{t-1} + V x_t + b) + α h_{t-1})",
    source="Rusch and Mishra, 2021, arXiv 2103.05487",
)
def UnICORNN(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    recurrent: Tensor,
    control: Tensor,
    *,
    step_size: float = 0.1,
    alpha: float = 1.0,
) -> Any:
    """Oscillators that see each other through the next layer only.

    Shapes: weight_ih (H, I): V; bias_ih (H,); recurrent (H,): w; control (H,): c.
    Options: ``step_size``: Δt; ``alpha``: α.

    >>> UnICORNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    share = step_size * torch.sigmoid(control)
    z = state.z - share * (torch.tanh(recurrent * state.h + a_x[0]) + alpha * state.h)
    return {"h": state.h + share * z, "z": z}
