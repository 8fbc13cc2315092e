r"""Leaky integrator (Jaeger, 2001): a simple cell with a time constant.

    h_t = (1 - a) h_{t-1} + a φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)

a in (0, 1] is the leak rate; a = 1 is the simple cell. Form without an extra leak of
h_{t-1}: Jaeger, Lukoševičius, Popovici and Siewert, Neural Networks 20, 2007.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells.activations import Activation
from throughtime.cells.base import Gates, HiddenState, Initialiser, Weights
from throughtime.cells.elman import Elman
from throughtime.cells.parts import Inner
from throughtime.checks import number


class Leaky(Elman):
    """h_t = (1 - a) h_{t-1} + a φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh).

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of h_t.
        leak_rate: a in (0, 1], fixed.
        nonlinearity: φ, as in ``Elman``.
        alpha: as in ``Elman``.
        bias: whether b_ih and b_hh exist.
        input_init: initialiser of W_ih, see ``Cell``.
        recurrent_init: initialiser of W_hh, see ``Cell``.
        device: where the parameters live.
        dtype: their type.

    Raises:
        InvalidType: a size is no int, or ``leak_rate`` no number.
        InvalidValue: a size is not positive, or ``leak_rate`` not in (0, 1].

    >>> Leaky(3, 4, leak_rate=0.3).step(torch.ones(2, 3)).h.shape
    torch.Size([2, 4])
    """

    name = "leaky"
    source = "Jaeger, 2001"
    equation = "h_t = (1 - a) h_{t-1} + a φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        leak_rate: float = 0.5,
        nonlinearity: str | Activation = "tanh",
        alpha: float | None = None,
        bias: bool = True,
        input_init: Initialiser | None = None,
        recurrent_init: Initialiser | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.leak_rate = number(
            "leak_rate", leak_rate, minimum=0, maximum=1, exclude_minimum=True
        )
        super().__init__(
            input_size,
            hidden_size,
            nonlinearity=nonlinearity,
            alpha=alpha,
            bias=bias,
            input_init=input_init,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
        )
        self.options["leak_rate"] = leak_rate

    def pointwise(
        self,
        a_x: Sequence[Tensor],
        a_h: Sequence[Tensor],
        state: Any,
        weights: Weights,
        inner: Inner,
    ) -> tuple[HiddenState, Gates]:
        new, gates = super().pointwise(a_x, a_h, state, weights, inner)
        h = (1 - self.leak_rate) * state.h + self.leak_rate * new.h
        return HiddenState(h), gates
