r"""Update gate recurrent network (Collins, Sohl-Dickstein and Sussillo, 2016).

    n_t = tanh(W_in x_t + b_in + W_hn h_{t-1} + b_hn)
    g_t = σ(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
    h_t = g_t ⊙ h_{t-1} + (1 - g_t) ⊙ n_t

"Capacity and trainability in recurrent neural networks", arXiv 1611.09913.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, start_biases


def _start(weights: Mapping[str, Tensor]) -> None:
    start_biases(weights, 0.0, 1.0)


@cell(
    gates=2,
    start=_start,
    name="ugrnn",
    equation="h_t = g_t ⊙ h_{t-1} + (1 - g_t) ⊙ n_t",
    source="Collins et al., 2016, arXiv 1611.09913",
)
def UGRNN(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """A simple cell behind one gate, which starts open; gate order n, g.

    Shapes: weight_ih (2H, I), weight_hh (2H, H), biases likewise. b_ig starts at 1, so
    that the state is kept at first, the other biases at 0.

    >>> UGRNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    n = torch.tanh(a_x[0] + a_h[0])
    g = torch.sigmoid(a_x[1] + a_h[1])
    return {"h": g * state.h + (1 - g) * n}, {"candidate": n, "update": g}
