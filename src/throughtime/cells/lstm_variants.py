"""Options of the LSTM that were published as cells, under names of their own."""

from typing import Any

import torch

from throughtime.cells.base import Initialiser
from throughtime.cells.lstm import LSTM


class PeepholeLSTM(LSTM):
    r"""LSTM whose gates see the memory (Gers and Schmidhuber, 2000).

        i_t = σ(... + p_i ⊙ c_{t-1}),  f_t = σ(... + p_f ⊙ c_{t-1})
            o_t = σ(... + p_o ⊙ c_t)

    "Recurrent nets that time and count", IJCNN 2000. The same as
    ``LSTM(peephole=True)``.

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of h_t.
        bias: see ``LSTM``, also for all that follow.
        forget_bias: initial bias of the forget gate.
        input_init: initialiser of W_ih.
        recurrent_init: initialiser of each gate's block of W_hh.
        device: where the parameters live.
        dtype: their type.

    >>> PeepholeLSTM(3, 4).weights()["weight_peephole"].shape
    torch.Size([3, 4])
    """

    name = "peephole_lstm"
    equation = "LSTM whose gates also see c, through diagonal weights"
    source = "Gers and Schmidhuber, 2000"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        forget_bias: float | None = None,
        input_init: Initialiser | None = None,
        recurrent_init: Initialiser | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            bias=bias,
            forget_bias=forget_bias,
            peephole=True,
            input_init=input_init,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
        )
        self.options = _own(self.options)


class LayerNormLSTM(LSTM):
    r"""LSTM with layer normalisation (Ba, Kiros and Hinton, 2016, eq. 29-31).

    arXiv 1607.06450. The same as ``LSTM(layer_norm=True)``; its equations stand there.

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of h_t.
        bias: see ``LSTM``, also for all that follow.
        forget_bias: initial bias of the forget gate.
        input_init: initialiser of W_ih.
        recurrent_init: initialiser of each gate's block of W_hh.
        device: where the parameters live.
        dtype: their type.

    >>> LayerNormLSTM(3, 4).weights()["norm_ih"].shape
    torch.Size([4, 4])
    """

    name = "layer_norm_lstm"
    equation = "LSTM with normalised products, and h_t = o_t ⊙ tanh(LN(c_t))"
    source = "Ba, Kiros and Hinton, 2016, arXiv 1607.06450"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        forget_bias: float | None = None,
        input_init: Initialiser | None = None,
        recurrent_init: Initialiser | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            bias=bias,
            forget_bias=forget_bias,
            layer_norm=True,
            input_init=input_init,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
        )
        self.options = _own(self.options)


def _own(options: dict[str, Any]) -> dict[str, Any]:
    """What the constructor of a variant takes."""
    fixed = ("peephole", "layer_norm", "projection")
    return {name: value for name, value in options.items() if name not in fixed}
