r"""Gated recurrent unit (Cho et al., 2014).

    r_t = σ(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
    z_t = σ(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
    n_t = tanh(W_in x_t + b_in + r_t ⊙ (W_hn h_{t-1} + b_hn))      reset after
    n_t = tanh(W_in x_t + b_in + W_hn (r_t ⊙ h_{t-1}) + b_hn)      reset before
    h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}

Cho et al., arXiv 1406.1078: version 3 of the paper resets before the product, version 1
after it. torch and cuDNN reset after: one recurrent product per step instead of two.
torch's sign of z: z_t = 1 keeps the old state.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.base import Cell, Gates, HiddenState, Initialiser, Weights
from throughtime.cells.parts import Inner
from throughtime.checks import boolean


class GRU(Cell):
    """GRU in torch's gate order r, z, n.

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of h_t.
        reset_after: whether the reset gate acts after the recurrent product (torch) or
            before it (version 3 of the paper); the parameters are the same.
        bias: whether b_ih and b_hh exist.
        input_init: initialiser of W_ih, see ``Cell``.
        recurrent_init: initialiser of each gate's block of W_hh, see ``Cell``.
        device: where the parameters live.
        dtype: their type.

    Shapes: weight_ih (3H, I), weight_hh (3H, H), bias_ih (3H,), bias_hh (3H,).

    Raises:
        InvalidType: a size is no int, or an option has the wrong type.
        InvalidValue: a size is not positive.

    >>> GRU(3, 4).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """

    name = "gru"
    equation = "h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}"
    source = "Cho et al., 2014"
    gates = 3
    gate_names = ("reset", "update", "candidate")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset_after: bool = True,
        bias: bool = True,
        input_init: Initialiser | None = None,
        recurrent_init: Initialiser | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.reset_after = boolean("reset_after", reset_after)
        if not self.reset_after:
            self.gates, self.inner = (3, 2), (1,)
        super().__init__(
            input_size,
            hidden_size,
            bias=bias,
            input_init=input_init,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
            options={"reset_after": reset_after},
        )

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = super().parameter_shapes()
        if not self.reset_after:  # torch's layout: all three gates in one matrix
            rows = 3 * self.hidden_size
            shapes = {k: s for k, s in shapes.items() if not k.endswith("_mh")}
            shapes |= {k: (rows, *shapes[k][1:]) for k in shapes if k.endswith("_hh")}
        return shapes

    def prepare(self, weights: Weights) -> Weights:
        if self.reset_after:
            return weights
        before, prepared = 2 * self.hidden_size, dict(weights)
        for kind in ("weight", "bias") if self.bias else ("weight",):
            every = weights[f"{kind}_hh"]
            prepared[f"{kind}_hh"] = every[:before]
            prepared[f"{kind}_mh"] = every[before:]
        return prepared

    def pointwise(
        self,
        a_x: Sequence[Tensor],
        a_h: Sequence[Tensor],
        state: Any,
        weights: Weights,
        inner: Inner,
    ) -> tuple[HiddenState, Gates]:
        r = torch.sigmoid(a_x[0] + a_h[0])
        z = torch.sigmoid(a_x[1] + a_h[1])
        seen = r * a_h[2] if self.reset_after else inner(r * state.h)[0]
        n = torch.tanh(a_x[2] + seen)
        h = (1 - z) * n + z * state.h
        return HiddenState(h), {"reset": r, "update": z, "candidate": n}
