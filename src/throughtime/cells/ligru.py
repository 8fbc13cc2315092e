r"""Light gated recurrent unit (Ravanelli, Brakel, Omologo and Bengio, 2018).

    z_t = σ(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
    n_t = ReLU(W_in x_t + b_in + W_hn h_{t-1} + b_hn)
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ n_t

arXiv 1803.10225: no reset gate, and the ReLU. The paper normalises W_i x_t over the
batch. A cell knows its own sequence only: with ``layer_norm=True`` the input part of
each gate is normalised over its H units instead, without gain, and b_hz, b_hn are the
shifts. W_h starts orthogonal, as in the paper.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from throughtime import init
from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, row_norm


def _start(weights: Mapping[str, Tensor], *, layer_norm: bool) -> None:
    for block in weights["weight_hh"].chunk(2):
        block.copy_(init.orthogonal(tuple(block.shape)))


@cell(
    gates=2,
    start=_start,
    name="ligru",
    equation="h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ ReLU(W x_t + U h_{t-1} + b)",
    source="Ravanelli et al., 2018, arXiv 1803.10225",
)
def LiGRU(a_x: Parts, a_h: Parts, state: Any, *, layer_norm: bool = False) -> Any:
    """GRU without reset gate, with ReLU; gate order z, n.

    Shapes: weight_ih (2H, I), weight_hh (2H, H), biases likewise. Option
    ``layer_norm``: normalise the input part, in the place of the paper's batch norm.

    >>> LiGRU(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    if layer_norm:
        a_x = [row_norm(gate)[0] for gate in (a_x[0], a_x[1])]
    z = torch.sigmoid(a_x[0] + a_h[0])
    n = torch.relu(a_x[1] + a_h[1])
    return {"h": z * state.h + (1 - z) * n}, {"update": z}
