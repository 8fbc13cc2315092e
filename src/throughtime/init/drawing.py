"""What all initialisers share: a checked shape, room to draw in, float64 algebra."""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidType

Device = torch.device | str | None


def empty(shape: Sequence[int], dtype: torch.dtype | None, device: Device) -> Tensor:
    """Room for the numbers to draw, once shape and type are known to be usable.

    Raises:
        InvalidType: ``shape`` is no tuple of int, or ``dtype`` no floating type.
        InvalidValue: a length is not positive.
    """
    if not isinstance(shape, (tuple, list)):
        raise InvalidType(
            "shape should be a tuple of int, such as (hidden_size, input_size), "
            f"got: {type(shape).__name__}"
        )
    for length in shape:
        positive_int("every length in shape", length)
    if dtype is not None and not dtype.is_floating_point:
        raise InvalidType(
            f"dtype should be a floating point type, got {dtype}; try torch.float32"
        )
    return torch.empty(tuple(shape), dtype=dtype, device=device)


def matrix_shape(shape: Sequence[int]) -> tuple[int, int]:
    """``shape`` as (rows, columns).

    Raises:
        InvalidShape: it has not two lengths.
    """
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise InvalidShape(
            f"shape should be (rows, columns) for this initialiser, got {shape}; "
            "for vectors such as biases use uniform or normal"
        )
    return shape[0], shape[1]


def for_algebra(matrix: Tensor) -> Tensor:
    """A float64 copy on the CPU, for factorisations and eigenvalues."""
    return matrix.to("cpu", torch.float64)
