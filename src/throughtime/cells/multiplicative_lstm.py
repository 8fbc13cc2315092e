r"""Multiplicative LSTM (Krause, Lu, Murray and Renals, 2016).

    m_t = (W_xm x_t + b_xm) ⊙ (W_hm h_{t-1} + b_hm)
    i_t, f_t, o_t = σ(W_x x_t + b_x + W_m m_t + b_m)
    g_t = tanh(W_xg x_t + b_xg + W_mg m_t + b_mg)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)

arXiv 1609.07959: m_t, a recurrent matrix of its own for each input, in the place of
h_{t-1}.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Inner, Parts


@cell(
    gates=(5, 1),
    state=("h", "c"),
    inner=(4,),
    name="multiplicative_lstm",
    equation="m_t = W_xm x_t ⊙ W_hm h_{t-1} in the place of h_{t-1} of an LSTM",
    source="Krause et al., 2016, arXiv 1609.07959",
)
def MultiplicativeLSTM(a_x: Parts, a_h: Parts, state: Any, inner: Inner) -> Any:
    """An LSTM whose old output is first multiplied by the input; order m, i, f, g, o.

    Shapes: weight_ih (5H, I), weight_hh (H, H) of m, weight_mh (4H, H) of i, f, g, o,
    biases likewise.

    >>> MultiplicativeLSTM(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    m_i, m_f, m_g, m_o = inner(a_x[0] * a_h[0])
    i, f = torch.sigmoid(a_x[1] + m_i), torch.sigmoid(a_x[2] + m_f)
    g, o = torch.tanh(a_x[3] + m_g), torch.sigmoid(a_x[4] + m_o)
    c = f * state.c + i * g
    gates = {"input": i, "forget": f, "candidate": g, "output": o}
    return {"h": o * torch.tanh(c), "c": c}, gates
