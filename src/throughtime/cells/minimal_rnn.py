r"""MinimalRNN (Chen, 2017).

    z_t = tanh(W_iz x_t + b_iz)
    u_t = σ(W_hu h_{t-1} + b_hu + W_zu z_t + b_zu)
    h_t = u_t ⊙ h_{t-1} + (1 - u_t) ⊙ z_t

"MinimalRNN: toward more interpretable and trainable recurrent neural networks", arXiv
1711.06788: the input is first brought to the space of the state.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Inner, Parts


@cell(
    gates=1,
    inner=(1,),
    name="minimal_rnn",
    equation="h_t = u_t ⊙ h_{t-1} + (1 - u_t) ⊙ z_t,  z_t = tanh(W x_t)",
    source="Chen, 2017, arXiv 1711.06788",
)
def MinimalRNN(a_x: Parts, a_h: Parts, state: Any, inner: Inner) -> Any:
    """One gate between the old state and the embedded input z_t.

    Shapes: weight_ih (H, I) of z, weight_hh (H, H) and weight_mh (H, H) of u, biases
    likewise.

    >>> MinimalRNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    z = torch.tanh(a_x[0])
    (seen,) = inner(z)
    u = torch.sigmoid(a_h[0] + seen)
    return {"h": u * state.h + (1 - u) * z}, {"update": u, "candidate": z}
