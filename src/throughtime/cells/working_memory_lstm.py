r"""LSTM with working memory connections (Landi, Baraldi, Cornia and Cucchiara, 2021).

    i_t = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi + tanh(W_ci c_{t-1} + b_ci))
    f_t = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf + tanh(W_cf c_{t-1} + b_cf))
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
    o_t = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho + tanh(W_co c_t + b_co))
    h_t = o_t ⊙ tanh(c_t)

Neural Networks 144, arXiv 2109.00020: peepholes through full matrices, squashed.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Inner, Parts


@cell(
    gates=4,
    state=("h", "c"),
    inner=(2, 1),
    name="working_memory_lstm",
    equation="LSTM whose gates also see tanh(W c)",
    source="Landi et al., 2021, arXiv 2109.00020",
)
def WorkingMemoryLSTM(a_x: Parts, a_h: Parts, state: Any, inner: Inner) -> Any:
    """LSTM whose gates see the memory through matrices; gate order i, f, g, o.

    Shapes: weight_ih (4H, I), weight_hh (4H, H), weight_mh (3H, H) of i, f and o,
    biases likewise.

    >>> WorkingMemoryLSTM(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    i, f, g, o = (x + h for x, h in zip(a_x, a_h, strict=True))
    memory_i, memory_f = inner(state.c)
    i = torch.sigmoid(i + torch.tanh(memory_i))
    f = torch.sigmoid(f + torch.tanh(memory_f))
    g = torch.tanh(g)
    c = f * state.c + i * g
    (memory_o,) = inner(c)
    o = torch.sigmoid(o + torch.tanh(memory_o))
    gates = {"input": i, "forget": f, "candidate": g, "output": o}
    return {"h": o * torch.tanh(c), "c": c}, gates
