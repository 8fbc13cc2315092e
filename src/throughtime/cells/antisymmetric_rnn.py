r"""Antisymmetric networks (Chang, Chen, Haber and Chi, 2019).

    A = W - Wᵀ - γ I
    h_t = h_{t-1} + ε tanh(A h_{t-1} + V x_t + b)
    h_t = h_{t-1} + ε σ(A h_{t-1} + V_z x_t + b_z) ⊙ tanh(A h_{t-1} + V x_t + b)   gated

arXiv 1902.09689: a step of Euler's method for an equation whose Jacobian has
eigenvalues close to the imaginary axis, so that a state neither vanishes nor explodes.
W starts normal with variance 1 / H.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.base import Weights
from throughtime.cells.declare import cell
from throughtime.cells.parts import Parts


def _start(weights: Mapping[str, Tensor], *, step_size: float, damping: float) -> None:
    weight = weights["weight_hh"]
    weight.normal_(0.0, weight.size(0) ** -0.5)


def _prepare(weights: Weights, *, step_size: float, damping: float) -> Weights:
    free = weights["weight_hh"]
    one = torch.eye(free.size(0), dtype=free.dtype, device=free.device)
    return {**weights, "weight_hh": free - free.t() - damping * one}


@cell(
    gates=1,
    prepare=_prepare,
    start=_start,
    name="antisymmetric_rnn",
    equation="h_t = h_{t-1} + ε tanh((W - Wᵀ - γ I) h_{t-1} + V x_t + b)",
    source="Chang et al., 2019, arXiv 1902.09689",
)
def AntisymmetricRNN(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    *,
    step_size: float = 0.1,
    damping: float = 1.0,
) -> Any:
    """A simple cell as a stable differential equation.

    Shapes: weight_ih (H, I): V; weight_hh (H, H): W; biases likewise. Options:
    ``step_size``: ε; ``damping``: γ. Both are to be tuned: a small γ remembers longer,
    but lets a state that is carried on and on, as in a language model, grow without
    end.

    >>> AntisymmetricRNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    return {"h": state.h + step_size * torch.tanh(a_x[0] + a_h[0])}


@cell(
    gates=(2, 1),
    prepare=_prepare,
    start=_start,
    name="gated_antisymmetric_rnn",
    equation="h_t = h_{t-1} + ε z_t ⊙ tanh((W - Wᵀ - γ I) h_{t-1} + V x_t + b)",
    source="Chang et al., 2019, arXiv 1902.09689",
)
def GatedAntisymmetricRNN(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    *,
    step_size: float = 0.1,
    damping: float = 1.0,
) -> Any:
    """The same with a gate, which shares the recurrent product; order z, n.

    Shapes: weight_ih (2H, I): V_z and V; weight_hh (H, H): W; biases likewise, b_hh for
    both. Options as for ``AntisymmetricRNN``.

    >>> GatedAntisymmetricRNN(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """
    z = torch.sigmoid(a_x[0] + a_h[0])
    n = torch.tanh(a_x[1] + a_h[0])
    return {"h": state.h + step_size * z * n}, {"input": z, "candidate": n}
