r"""The cell found by architecture search (Zoph and Le, 2017).

    u_k = φ(x_k + h_k), φ = σ for k = 0, 2, 5, 7, tanh for 4, 6, ReLU for 1
    u_3 = ReLU(x_3 ⊙ h_3)
    c_t = tanh(tanh(u_0 u_1) + c_{t-1}) ⊙ tanh(u_2 + u_3)
    h_t = tanh(c_t ⊙ tanh(tanh(u_4 u_5) + σ(u_6 + u_7)))

with x_k = W_k x_t + b_k, h_k = U_k h_{t-1} + b'_k. "Neural architecture search with
reinforcement learning", arXiv 1611.01578, its figure as in the authors' code, where u_3
multiplies the two products.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts


@cell(
    gates=8,
    state=("h", "c"),
    name="nas",
    equation="c_t = tanh(tanh(u_0 u_1) + c_{t-1}) ⊙ tanh(u_2 + u_3)",
    source="Zoph and Le, 2017, arXiv 1611.01578",
)
def NAS(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """Eight gates in a tree.

    Shapes: weight_ih (8H, I), weight_hh (8H, H), biases likewise.

    >>> NAS(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    u = [x + h for x, h in zip(a_x, a_h, strict=True)]
    left = torch.tanh(torch.sigmoid(u[0]) * torch.relu(u[1]))
    right = torch.tanh(torch.sigmoid(u[2]) + torch.relu(a_x[3] * a_h[3]))
    c = torch.tanh(left + state.c) * right
    first = torch.tanh(torch.tanh(u[4]) * torch.sigmoid(u[5]))
    second = torch.sigmoid(torch.tanh(u[6]) + torch.sigmoid(u[7]))
    return {"h": torch.tanh(c * torch.tanh(first + second)), "c": c}
