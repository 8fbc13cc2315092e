"""The first call of each vector function of MKL, made by one thread alone.

MKL chooses the code of a function such as tanh in its first call. If that call runs on
several threads, now and then one of them computes its share in low precision, with
errors of 5e-5 in tanh (https://github.com/pytorch/pytorch/issues/188792): wrong by more
than rounding, and another result in one process of ten or twenty. So every function is
called on one number, and so on one thread, before the cells and the losses use it.
"""

import torch

FUNCTIONS = (
    *("acos", "asin", "atan", "cos", "cosh", "erf", "erfc", "erfinv", "exp", "expm1"),
    *("lgamma", "log", "log10", "log1p", "log2", "sin", "sinh", "sqrt", "tan", "tanh"),
)


def settle() -> None:
    """Call every function once, in both precisions, on the CPU."""
    for dtype in (torch.float32, torch.float64):
        number = torch.full((1,), 0.5, dtype=dtype, device="cpu")
        for name in FUNCTIONS:
            getattr(torch, name)(number)
