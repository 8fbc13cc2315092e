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

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.cells.base import Cell, Gates, HiddenState, Initialiser, Weights
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

    def pointwise(
        self, a_x: Tensor, a_h: Tensor, state: Any, weights: Weights
    ) -> tuple[HiddenState, Gates]:
        x_rz, x_n = a_x.split((2 * self.hidden_size, self.hidden_size), -1)
        h_rz, h_n = a_h.split((2 * self.hidden_size, self.hidden_size), -1)
        r, z = torch.sigmoid(x_rz + h_rz).chunk(2, -1)
        n = torch.tanh(x_n + r * h_n)
        return _mix(r, z, n, state)

    def advance(
        self, a_x: Tensor, state: Any, weights: Weights, mask: Tensor | None = None
    ) -> tuple[HiddenState, Gates]:
        if self.reset_after:
            return super().advance(a_x, state, weights, mask)
        h = state.h if mask is None else state.h * mask
        sizes = (2 * self.hidden_size, self.hidden_size)
        x_rz, x_n = a_x.split(sizes, -1)
        w_rz, w_n = weights["weight_hh"].split(sizes)
        b_rz, b_n = weights["bias_hh"].split(sizes) if self.bias else (None, None)
        r, z = torch.sigmoid(x_rz + F.linear(h, w_rz, b_rz)).chunk(2, -1)
        n = torch.tanh(x_n + F.linear(r * h, w_n, b_n))
        return _mix(r, z, n, state)


def _mix(r: Tensor, z: Tensor, n: Tensor, state: Any) -> tuple[HiddenState, Gates]:
    h = (1 - z) * n + z * state.h
    return HiddenState(h), {"reset": r, "update": z, "candidate": n}
