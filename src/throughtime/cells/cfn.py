r"""Chaos free network (Laurent and von Brecht, 2016).

    θ_t = σ(W_iθ x_t + b_iθ + W_hθ h_{t-1} + b_hθ)
    η_t = σ(W_iη x_t + b_iη + W_hη h_{t-1} + b_hη)
    h_t = θ_t ⊙ tanh(h_{t-1}) + η_t ⊙ tanh(W_in x_t + b_in)

"A recurrent neural network without chaos", arXiv 1612.06212: without input the state
decays to 0. There is no b_in in the paper; it starts at 0, b_iθ at 1 and b_iη at -1.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, start_biases


def _start(weights: Mapping[str, Tensor]) -> None:
    start_biases(weights, 1.0, -1.0, 0.0)


@cell(
    gates=(3, 2),
    start=_start,
    name="cfn",
    equation="h_t = θ_t ⊙ tanh(h_{t-1}) + η_t ⊙ tanh(W x_t)",
    source="Laurent and von Brecht, 2016, arXiv 1612.06212",
)
def CFN(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """Two gates on tanh of the old state and of the input; order θ, η, n.

    Shapes: weight_ih (3H, I), weight_hh (2H, H) of θ and η, biases likewise.

    >>> CFN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    forget = torch.sigmoid(a_x[0] + a_h[0])
    enter = torch.sigmoid(a_x[1] + a_h[1])
    h = forget * torch.tanh(state.h) + enter * torch.tanh(a_x[2])
    return {"h": h}, {"forget": forget, "input": enter}
