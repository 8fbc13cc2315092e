r"""Independently recurrent network (Li et al., 2018).

    h_t = φ(W x_t + u ⊙ h_{t-1} + b)

arXiv 1803.04831: each unit sees, of the old state, itself only, so a layer mixes its
units only through the next one. φ is the ReLU, and u starts uniform in [0, 1].
"""

from typing import Any

from torch import Tensor

from throughtime.cells.activations import Activation
from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, PerUnit


def _uniform(u: Tensor) -> None:
    u.uniform_(0.0, 1.0)


@cell(
    gates=(1, 0),
    parameters={"recurrent": PerUnit(init=_uniform)},
    name="indrnn",
    equation="h_t = φ(W x_t + u ⊙ h_{t-1} + b)",
    source="Li et al., 2018, arXiv 1803.04831",
)
def IndRNN(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    recurrent: Tensor,
    *,
    nonlinearity: str = "relu",
) -> Any:
    """Every unit has one recurrent weight, to itself.

    Shapes: weight_ih (H, I), bias_ih (H,), recurrent (H,): u. Option ``nonlinearity``:
    φ, one of ``throughtime.cells.ACTIVATIONS``.

    >>> import torch
    >>> IndRNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    return {"h": Activation(nonlinearity)(a_x[0] + recurrent * state.h)}
