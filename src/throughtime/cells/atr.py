r"""Addition-subtraction twin-gated unit, ATR (Zhang, Xiong, Su, Lin and Zhang, 2018).

    p_t = W x_t + b_ih,   q_t = U h_{t-1} + b_hh
    h_t = σ(p_t + q_t) ⊙ p_t + σ(p_t - q_t) ⊙ h_{t-1}

"Simplifying neural machine translation with addition-subtraction twin-gated recurrent
networks", arXiv 1810.12546: two gates of two matrices.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts


@cell(
    gates=1,
    name="atr",
    equation="h_t = σ(p_t + q_t) ⊙ p_t + σ(p_t - q_t) ⊙ h_{t-1}",
    source="Zhang et al., 2018, arXiv 1810.12546",
)
def ATR(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """Input gate of the sum, forget gate of the difference.

    Shapes: weight_ih (H, I), weight_hh (H, H), biases likewise.

    >>> ATR(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    p, q = a_x[0], a_h[0]
    i, f = torch.sigmoid(p + q), torch.sigmoid(p - q)
    return {"h": i * p + f * state.h}, {"input": i, "forget": f}
