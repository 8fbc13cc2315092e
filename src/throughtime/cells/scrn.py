r"""Structurally constrained recurrent network (Mikolov et al., 2014).

    s_t = (1 - α) (B x_t + b_s) + α s_{t-1}
    h_t = σ(P s_t + A x_t + R h_{t-1} + b)

"Learning longer memory in recurrent neural networks", arXiv 1412.7753: context units s
that change slowly, α = 0.95, beside ordinary ones. Here the context has H units, and
what reads the output sees s_t through h_t alone (in the paper also directly). The paper
has no biases: ``bias=False``.
"""

from typing import Any

import torch

from throughtime.cells.declare import cell
from throughtime.cells.parts import Inner, Parts


@cell(
    gates=(2, 1),
    state=("h", "s"),
    inner=(1,),
    name="scrn",
    equation="s_t = (1 - α) B x_t + α s_{t-1},  h_t = σ(P s_t + A x_t + R h_{t-1})",
    source="Mikolov et al., 2014, arXiv 1412.7753",
)
def SCRN(
    a_x: Parts, a_h: Parts, state: Any, inner: Inner, *, alpha: float = 0.95
) -> Any:
    """Slow context s and fast units h; order of the input part s, h.

    Shapes: weight_ih (2H, I): B and A; weight_hh (H, H): R; weight_mh (H, H): P; biases
    likewise. Option ``alpha``: the share α of the old context.

    >>> SCRN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    s = (1 - alpha) * a_x[0] + alpha * state.s
    (seen,) = inner(s)
    return {"h": torch.sigmoid(seen + a_x[1] + a_h[0]), "s": s}
