"""The core's output layer with its loss, on tensors of the CPU.

No autograd and no checks here: ``layers`` registers it with torch and hands in tensors
that fit.
"""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.kernels.library import library
from throughtime.kernels.memory import empty

_POINTER = ctypes.c_void_p


class OutputProblem(ctypes.Structure):
    """``tt_output_problem`` of native/src/throughtime.h, field by field."""

    _fields_ = (
        ("bytes", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("N", ctypes.c_int64),
        ("H", ctypes.c_int64),
        ("V", ctypes.c_int64),
        ("smoothing", ctypes.c_double),
        ("h", _POINTER),
        ("weight", _POINTER),
        ("bias", _POINTER),
        ("targets", _POINTER),
        ("row_weights", _POINTER),
        ("losses", _POINTER),
        ("grad_h", _POINTER),
        ("grad_weight", _POINTER),
        ("grad_bias", _POINTER),
    )


def output_loss(
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float = 0.0,
    row_weights: Tensor | None = None,
    wanted: Sequence[bool] = (False, False, False),
) -> tuple[Tensor, list[Tensor | None]]:
    """-log softmax(h Wᵀ + b)[target] of every row, and gradients of a weighted sum.

    Args:
        h: (N, H).
        weight: (V, H).
        bias: (V,), or None.
        targets: long, (N,), below V; a negative one says that the row does not count:
            its loss and gradient are 0 whatever it holds.
        smoothing: share of the target that is spread evenly over all classes.
        row_weights: (N,), the factors of the sum; needed if a gradient is wanted.
        wanted: whether the gradients of h, weight and bias are.

    Returns:
        The losses (N,), and the three gradients or None.
    """
    h, weight, targets = h.contiguous(), weight.contiguous(), targets.contiguous()
    bias = None if bias is None else bias.contiguous()
    row_weights = None if row_weights is None else row_weights.contiguous()
    losses = h.new_empty(h.size(0))
    gradients = [
        empty(tuple(tensor.shape), tensor) if want and tensor is not None else None
        for tensor, want in zip((h, weight, bias), wanted, strict=True)
    ]
    problem = OutputProblem(
        bytes=h.element_size(),
        threads=torch.get_num_threads(),
        N=h.size(0),
        H=h.size(1),
        V=weight.size(0),
        smoothing=smoothing,
        h=h.data_ptr(),
        weight=weight.data_ptr(),
        bias=_address(bias),
        targets=targets.data_ptr(),
        row_weights=_address(row_weights),
        losses=losses.data_ptr(),
        grad_h=_address(gradients[0]),
        grad_weight=_address(gradients[1]),
        grad_bias=_address(gradients[2]),
    )
    core = library()
    assert core is not None  # layers asked before
    core.run("tt_output", problem)
    return losses, gradients


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
