"""When a layer may use Triton's kernels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.cells import Cell
from throughtime.kernels import triton_build
from throughtime.layers.native import missing_rule, transformed

# Looked up once, so that torch.compile meets a constant; nothing is imported.
_INSTALLED = triton_build.installed()


def usable(cell: Cell, tensors: Sequence[Tensor], *, asked: bool) -> bool:
    """Whether Triton's kernels can take these tensors, here and now.

    Under ``torch.autocast`` for CUDA the loop runs, where torch chooses the types.

    Args:
        cell: the cell.
        tensors: all that a pass reads.
        asked: by name; then also on the CPU, by Triton's interpreter where it is on.
    """
    first = tensors[0]
    device = first.device.type
    if not _INSTALLED or (device != "cuda" and not asked) or missing_rule(cell):
        return False
    return (
        (device == "cuda" or (device == "cpu" and triton_build.interpreted()))
        and not torch.is_autocast_enabled(device)
        and first.dtype in triton_build.DTYPES
        and all(t.device == first.device and t.dtype == first.dtype for t in tensors)
        and not transformed()
    )
