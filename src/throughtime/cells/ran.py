r"""Recurrent additive network (Lee, Levy and Zettlemoyer, 2017).

    g_t = W_ig x_t + b_ig
    i_t = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)
    f_t = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
    c_t = i_t ⊙ g_t + f_t ⊙ c_{t-1}
    h_t = tanh(c_t)

arXiv 1705.07393: c_t is a weighted sum of linear functions of the inputs. The paper has
no b_ig: it starts at 0 here; and also h_t = c_t (``nonlinearity="identity"``).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.activations import Activation
from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts, start_biases


def _start(weights: Mapping[str, Tensor], *, nonlinearity: str) -> None:
    start_biases(weights, 0.0, 0.0, 0.0)


@cell(
    gates=(3, 2),
    state=("h", "c"),
    start=_start,
    name="ran",
    equation="c_t = i_t ⊙ W x_t + f_t ⊙ c_{t-1},  h_t = tanh(c_t)",
    source="Lee, Levy and Zettlemoyer, 2017, arXiv 1705.07393",
)
def RAN(a_x: Parts, a_h: Parts, state: Any, *, nonlinearity: str = "tanh") -> Any:
    """An LSTM without recurrent candidate and output gate; order g, i, f.

    Shapes: weight_ih (3H, I), weight_hh (2H, H) of i and f, biases likewise. Option
    ``nonlinearity``: from c_t to h_t, one of ``throughtime.cells.ACTIVATIONS``.

    >>> RAN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    i = torch.sigmoid(a_x[1] + a_h[0])
    f = torch.sigmoid(a_x[2] + a_h[1])
    c = i * a_x[0] + f * state.c
    return {"h": Activation(nonlinearity)(c), "c": c}, {"input": i, "forget": f}
