r"""Light recurrent unit (Ye, Zhang, Zhang, Hu and Zhu, 2024).

    n_t = tanh(W_in x_t + b_in)
    f_t = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
    h_t = (1 - f_t) ⊙ h_{t-1} + f_t ⊙ n_t

Electronics 13 (16), 3204. The cell itself; the paper's deep form adds residual
connections (``residual=True``).
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts


@cell(
    gates=(2, 1),
    name="light_ru",
    equation="h_t = (1 - f_t) ⊙ h_{t-1} + f_t ⊙ tanh(W x_t)",
    source="Ye et al., 2024",
)
def LightRU(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """One gate, a candidate of the input alone; order n, f.

    Shapes: weight_ih (2H, I), weight_hh (H, H) of f, biases likewise.

    >>> LightRU(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    n, f = torch.tanh(a_x[0]), torch.sigmoid(a_x[1] + a_h[0])
    return {"h": (1 - f) * state.h + f * n}, {"candidate": n, "forget": f}
