r"""Recurrent highway network (Zilly, Srivastava, Koutník and Schmidhuber, 2017).

    s_1 = highway step of h_{t-1} with W x_t,  s_l = highway step of s_{l-1},  h_t = s_L
    highway step: s' = g_l ⊙ n_l + (1 - g_l) ⊙ s
    n_l = tanh(W_n x_t [l = 1] + R_nl s + b_nl)
    g_l = σ(W_g x_t [l = 1] + R_gl s + b_gl)

arXiv 1607.03474, with the carry gate coupled to the transform gate g, as in the paper's
experiments. The bias of g starts at -2, so that the state passes at first.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.base import Cell, Gates, HiddenState, Initialiser, Weights
from throughtime.cells.parts import Inner
from throughtime.checks import positive_int


class RHN(Cell):
    """L highway steps within each step of time; gate order n, g.

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of h_t.
        depth: L.
        bias: whether the products have biases.
        input_init: initialiser of W_ih, see ``Cell``.
        recurrent_init: initialiser of each square block of R, see ``Cell``.
        device: where the parameters live.
        dtype: their type.

    Shapes: weight_ih (2H, I); weight_hh (2H, H): R_1; weight_mh (2(L-1)H, H): R_2..R_L;
    biases likewise.

    Raises:
        InvalidType: a size is no int.
        InvalidValue: a size is not positive.

    >>> RHN(3, 4, depth=5).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """

    name = "rhn"
    equation = "h_t = s_L,  s_l = g_l ⊙ n_l + (1 - g_l) ⊙ s_{l-1},  s_0 = h_{t-1}"
    source = "Zilly et al., 2017, arXiv 1607.03474"
    gates = 2
    gate_names = ("candidate", "input")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        depth: int = 3,
        bias: bool = True,
        input_init: Initialiser | None = None,
        recurrent_init: Initialiser | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.inner = (2,) * (positive_int("depth", depth) - 1)
        super().__init__(
            input_size,
            hidden_size,
            bias=bias,
            input_init=input_init,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
            options={"depth": depth},
        )

    def apply_recipe(self) -> None:
        if self.bias:
            steps = ["bias_ih", "bias_mh"] if self.inner else ["bias_ih"]
            for name in (*steps, "bias_hh"):
                self.get_parameter(name).zero_()
            for name in steps:
                blocks = self.get_parameter(name).view(-1, 2, self.hidden_size)
                blocks[:, 1] = -2.0
        super().apply_recipe()

    def pointwise(
        self,
        a_x: Sequence[Tensor],
        a_h: Sequence[Tensor],
        state: Any,
        weights: Weights,
        inner: Inner,
    ) -> tuple[HiddenState, Gates]:
        n, g = torch.tanh(a_x[0] + a_h[0]), torch.sigmoid(a_x[1] + a_h[1])
        s = g * n + (1 - g) * state.h
        gates = {"candidate": n, "input": g}
        for _ in self.inner:
            seen = inner(s)
            n, g = torch.tanh(seen[0]), torch.sigmoid(seen[1])
            s = g * n + (1 - g) * s
        return HiddenState(s), gates
