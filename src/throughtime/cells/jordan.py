r"""The network of Jordan (1986): its output is fed back.

    s_t = φ(W x_t + b_ih + U h_{t-1} + b_hh)
    h_t = ψ(W_y s_t + b_y)

"Serial order: a parallel distributed processing approach", 1986. h is the network's
output y of H units, s the hidden layer of H units. Jordan's own context units also
decay, c_t = μ c_{t-1} + h_t; this is the form without, μ = 0.
"""

from typing import Any

from throughtime.cells.activations import Activation
from throughtime.cells.declare import cell
from throughtime.cells.parts import Inner, Parts


@cell(
    gates=1,
    inner=(1,),
    name="jordan",
    equation="h_t = ψ(W_y φ(W x_t + U h_{t-1} + b) + b_y)",
    source="Jordan, 1986",
)
def Jordan(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    inner: Inner,
    *,
    nonlinearity: str = "tanh",
    output_nonlinearity: str = "tanh",
) -> Any:
    """A simple cell with output feedback.

    Shapes: weight_ih (H, I): W; weight_hh (H, H): U; weight_mh (H, H): W_y; biases
    likewise. Options ``nonlinearity``, ``output_nonlinearity``: φ and ψ, of
    ``throughtime.cells.ACTIVATIONS``.

    >>> import torch
    >>> Jordan(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    (y,) = inner(Activation(nonlinearity)(a_x[0] + a_h[0]))
    return {"h": Activation(output_nonlinearity)(y)}
