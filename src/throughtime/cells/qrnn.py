r"""Quasi-recurrent network (Bradbury, Merity, Xiong and Socher, 2017).

    z_t = tanh(W_z x_t + V_z x_{t-1} + b_z)
    f_t = σ(W_f x_t + V_f x_{t-1} + b_f)
    o_t = σ(W_o x_t + V_o x_{t-1} + b_o)
    c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ z_t
    h_t = o_t ⊙ c_t

arXiv 1611.01576, "fo-pooling" with a window of two inputs. What V makes of x_t is kept
in the state for the next step. The state starts at zero, as the paper's padding
wants it, so a reset starts a sequence anew and a stream goes on where it stopped.
"""

from typing import Any

import torch
from torch import Tensor

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, PerUnit


def _pool(z: Tensor, f: Tensor, o: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    c = f * c + (1 - f) * z
    return o * c, c


@cell(
    gates=(6, 0),
    state=("h", "c", "seen_z", "seen_f", "seen_o"),
    product_bias=False,
    parameters={"gate_bias": PerUnit(3, init=0.0, bias=True)},
    name="qrnn",
    equation="c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ z_t,  h_t = o_t ⊙ c_t, of x_t, x_{t-1}",
    source="Bradbury et al., 2017, arXiv 1611.01576",
)
def QRNN(a_x: Parts, a_h: Parts, state: Any, gate_bias: Parts) -> Any:
    """Gates from the last two inputs; order z, f, o of x_t, then of x_{t-1}.

    Shapes: weight_ih (6H, I): W, then V; gate_bias (3, H).

    >>> QRNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    z = torch.tanh(a_x[0] + state.seen_z + gate_bias[0])
    f = torch.sigmoid(a_x[1] + state.seen_f + gate_bias[1])
    o = torch.sigmoid(a_x[2] + state.seen_o + gate_bias[2])
    h, c = _pool(z, f, o, state.c)
    new = {"h": h, "c": c, "seen_z": a_x[3], "seen_f": a_x[4], "seen_o": a_x[5]}
    return new, {"candidate": z, "forget": f, "output": o}


@cell(
    gates=(3, 0),
    state=("h", "c"),
    name="qrnn_window_1",
    equation="c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ z_t,  h_t = o_t ⊙ c_t, of x_t alone",
    source="Bradbury et al., 2017, arXiv 1611.01576",
)
def QRNNWindow1(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """The same with a window of one input: V = 0; order z, f, o.

    Shapes: weight_ih (3H, I), bias_ih (3H,).

    >>> QRNNWindow1(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    z, f, o = torch.tanh(a_x[0]), torch.sigmoid(a_x[1]), torch.sigmoid(a_x[2])
    h, c = _pool(z, f, o, state.c)
    return {"h": h, "c": c}, {"candidate": z, "forget": f, "output": o}
