"""Initialisers that draw every weight on its own, from one distribution."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.checks import number
from throughtime.init.drawing import Device, empty, matrix_shape


def uniform(
    shape: Sequence[int],
    bound: float,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Tensor:
    """W ~ U(-bound, bound). torch's recurrent layers use bound = 1/√H for everything.

    Raises:
        InvalidType: a length or ``bound`` is no number, or ``dtype`` is not floating.
        InvalidValue: a length is not positive, or ``bound`` negative.

    >>> bool(uniform((4, 3), 0.5).abs().max() <= 0.5)
    True
    """
    bound = number("bound", bound, minimum=0)
    return empty(shape, dtype, device).uniform_(-bound, bound, generator=generator)


def normal(
    shape: Sequence[int],
    std: float,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Tensor:
    """W ~ N(0, std²).

    Raises:
        InvalidType: a length or ``std`` is no number, or ``dtype`` is not floating.
        InvalidValue: a length is not positive, or ``std`` negative.

    >>> normal((4, 3), 0.001).shape
    torch.Size([4, 3])
    """
    std = number("std", std, minimum=0)
    return empty(shape, dtype, device).normal_(0.0, std, generator=generator)


def xavier_uniform(
    shape: Sequence[int],
    *,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Tensor:
    """W ~ U(-a, a), a = gain √(6 / (rows + columns)) (Glorot and Bengio, 2010).

    Raises:
        InvalidType: a length or ``gain`` is no number, or ``dtype`` is not floating.
        InvalidShape: ``shape`` has not two lengths.
        InvalidValue: a length is not positive, or ``gain`` negative.

    >>> bool(xavier_uniform((3, 3)).abs().max() <= 1)
    True
    """
    bound = number("gain", gain, minimum=0) * math.sqrt(6)
    matrix = empty(matrix_shape(shape), dtype, device)
    bound /= math.sqrt(sum(matrix.shape))
    return matrix.uniform_(-bound, bound, generator=generator)


def xavier_normal(
    shape: Sequence[int],
    *,
    gain: float = 1.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: Device = None,
) -> Tensor:
    """W ~ N(0, s²), s = gain √(2 / (rows + columns)) (Glorot and Bengio, 2010).

    Raises:
        InvalidType: a length or ``gain`` is no number, or ``dtype`` is not floating.
        InvalidShape: ``shape`` has not two lengths.
        InvalidValue: a length is not positive, or ``gain`` negative.

    >>> xavier_normal((4, 3)).shape
    torch.Size([4, 3])
    """
    std = number("gain", gain, minimum=0) * math.sqrt(2)
    matrix = empty(matrix_shape(shape), dtype, device)
    std /= math.sqrt(sum(matrix.shape))
    return matrix.normal_(0.0, std, generator=generator)
