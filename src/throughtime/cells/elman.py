r"""The simple recurrent cell (Elman, 1990).

    h_t = φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

Elman, "Finding structure in time", Cognitive Science 14, 1990, there with the logistic
sigmoid. The concatenated form h_t = φ([x_t, h_{t-1}] [W_ih, W_hh]ᵀ + b) is the same
function.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.activations import Activation, as_activation
from throughtime.cells.base import Cell, Gates, HiddenState, Initialiser, Weights
from throughtime.cells.parts import Inner, PerUnit


class Elman(Cell):
    """h_t = φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh).

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of h_t.
        nonlinearity: φ, one of ``throughtime.cells.ACTIVATIONS`` or an ``Activation``.
        alpha: α of ``elu``, slope of ``leaky_relu``, initial slope of ``prelu`` (where
            it becomes the scalar parameter ``alpha``).
        bias: whether b_ih and b_hh exist.
        input_init: initialiser of W_ih, see ``Cell``.
        recurrent_init: initialiser of W_hh, see ``Cell``.
        device: where the parameters live.
        dtype: their type.

    Shapes: weight_ih (H, I), weight_hh (H, H), bias_ih (H,), bias_hh (H,), alpha ().

    Raises:
        InvalidType: a size is no int.
        InvalidValue: a size is not positive, or the nonlinearity is unknown.

    >>> cell = Elman(3, 4, nonlinearity="relu")
    >>> state = cell.step(torch.ones(2, 3))
    >>> state.h.shape, bool((state.h >= 0).all())
    (torch.Size([2, 4]), True)
    """

    name = "elman"
    equation = "h_t = φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)"
    source = "Elman, 1990"
    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: str | Activation = "tanh",
        alpha: float | None = None,
        bias: bool = True,
        input_init: Initialiser | None = None,
        recurrent_init: Initialiser | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.activation = as_activation(nonlinearity, alpha)
        if self.activation.trainable:
            start = PerUnit(scalar=True, init=self.activation.alpha)
            self.parameters_per_unit = {"alpha": start}
        super().__init__(
            input_size,
            hidden_size,
            bias=bias,
            input_init=input_init,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
            options={"nonlinearity": nonlinearity, "alpha": alpha},
        )

    def pointwise(
        self,
        a_x: Sequence[Tensor],
        a_h: Sequence[Tensor],
        state: Any,
        weights: Weights,
        inner: Inner,
    ) -> tuple[HiddenState, Gates]:
        return HiddenState(self.activation(a_x[0] + a_h[0], weights.get("alpha"))), {}
