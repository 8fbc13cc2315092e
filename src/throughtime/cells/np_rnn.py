r"""np-RNN (Talathi and Vartak, 2015): a simple ReLU cell with a calm recurrent matrix.

    h_t = ReLU(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
    W_hh = (A + I) / λ_max(A + I),  A = RᵀR / H,  R ~ N(0, 1)^{H x H} at the start

W_hh is symmetric positive definite with largest eigenvalue exactly 1. arXiv 1511.03771.
"""

import torch

from throughtime import init
from throughtime.cells.elman import Elman


class NPRNN(Elman):
    """``Elman`` with ReLU, the np-RNN recurrent matrix and zero biases.

    W_ih is drawn by ``throughtime.init.np_rnn_input``, see there for what the sources
    leave open.

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of h_t.
        bias: whether b_ih and b_hh exist.
        device: where the parameters live.
        dtype: their type.

    Raises:
        InvalidType: a size is no int.
        InvalidValue: a size is not positive.

    >>> weight_hh = NPRNN(3, 4).weights()["weight_hh"].detach()
    >>> torch.linalg.eigvalsh(weight_hh)[-1]
    tensor(1.0000)
    """

    name = "np_rnn"
    equation = "h_t = ReLU(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), λ_max(W_hh) = 1"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            nonlinearity="relu",
            bias=bias,
            device=device,
            dtype=dtype,
        )
        self.options = {"bias": bias}

    def apply_recipe(self) -> None:
        weight_ih = self.get_parameter("weight_ih")
        self.get_parameter("weight_hh").copy_(
            init.np_rnn(self.hidden_size, dtype=weight_ih.dtype)
        )
        weight_ih.copy_(
            init.np_rnn_input(tuple(weight_ih.shape), dtype=weight_ih.dtype)
        )
        if self.bias:
            self.get_parameter("bias_ih").zero_()
            self.get_parameter("bias_hh").zero_()
