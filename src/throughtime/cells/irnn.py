r"""IRNN (Le, Jaitly and Hinton, 2015): a simple ReLU cell that starts by copying.

    h_t = ReLU(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh),  W_hh = c I, b = 0 at the start

With c = 1 and no input, a non-negative state is copied unchanged for ever, and the
gradient through time passes without loss. arXiv 1504.00941.
"""

import torch

from throughtime import init
from throughtime.cells.elman import Elman
from throughtime.checks import number


class IRNN(Elman):
    """``Elman`` with ReLU, W_hh = c I, zero biases and small input weights.

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of h_t.
        scale: c, 1 for long memory (the paper uses 0.01 for speech).
        input_std: standard deviation of the Gaussian W_ih. The paper says "Gaussian
            with mean 0 and standard deviation 0.001" for all other weights.
        bias: whether b_ih and b_hh exist.
        device: where the parameters live.
        dtype: their type.

    Raises:
        InvalidType: a size is no int, or an option no number.
        InvalidValue: a size is not positive, or ``input_std`` negative.

    >>> cell = IRNN(3, 4)
    >>> start = cell.State(torch.rand(2, 4))
    >>> bool((cell.step(torch.zeros(2, 3), start).h == start.h).all())
    True
    """

    name = "irnn"
    equation = "h_t = ReLU(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), W_hh = c I at first"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        scale: float = 1.0,
        input_std: float = 0.001,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.scale = number("scale", scale)
        self.input_std = number("input_std", input_std, minimum=0)
        super().__init__(
            input_size,
            hidden_size,
            nonlinearity="relu",
            bias=bias,
            device=device,
            dtype=dtype,
        )
        self.options = {"bias": bias, "scale": scale, "input_std": input_std}

    def apply_recipe(self) -> None:
        weight_hh = self.get_parameter("weight_hh")
        weight_hh.copy_(init.identity(tuple(weight_hh.shape), scale=self.scale))
        self.get_parameter("weight_ih").normal_(0.0, self.input_std)
        if self.bias:
            self.get_parameter("bias_ih").zero_()
            self.get_parameter("bias_hh").zero_()
