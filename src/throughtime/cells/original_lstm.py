r"""The first LSTM (Hochreiter and Schmidhuber, 1997): nothing is forgotten.

    i_t = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)
    g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
    o_t = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho)
    c_t = c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)

Neural Computation 9, 1997. Along the direct path ∂c_t/∂c_{t-1} = 1, the constant error
carousel. The paper squashes by logistic sigmoids scaled to [-2, 2] and [-1, 1]; tanh is
the usual choice since.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts


@cell(
    gates=3,
    state=("h", "c"),
    name="original_lstm",
    equation="c_t = c_{t-1} + i_t ⊙ g_t,  h_t = o_t ⊙ tanh(c_t)",
    source="Hochreiter and Schmidhuber, 1997",
)
def OriginalLSTM(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """LSTM without forget gate; gate order i, g, o.

    Shapes: weight_ih (3H, I), weight_hh (3H, H), bias_ih (3H,), bias_hh (3H,).

    >>> OriginalLSTM(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    i, g, o = (x + h for x, h in zip(a_x, a_h, strict=True))
    i, o = torch.sigmoid(i), torch.sigmoid(o)
    c = state.c + i * torch.tanh(g)
    return {"h": o * torch.tanh(c), "c": c}, {"input": i, "output": o}
