"""Checks of inputs and states at the door of a layer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import Cell
from throughtime.errors import InvalidShape, InvalidType, InvalidValue


def check_input(x: Any, input_size: int, weight: Tensor) -> None:
    """Raise if ``x`` is not a sequence that a layer can read.

    Args:
        x: the input.
        input_size: I.
        weight: a parameter, for its type.

    Raises:
        InvalidType: no tensor.
        InvalidValue: another dtype than the weights', outside autocast.
        InvalidShape: not (T, B, I) or (T, I).
    """
    if not isinstance(x, Tensor):
        raise InvalidType(
            f"x should be a Tensor or a PackedSequence, got {type(x).__name__}"
        )
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise InvalidValue(
            f"RNN input dtype ({x.dtype}) does not match weight dtype "
            f"({weight.dtype}). Convert input: input.to({weight.dtype}), or "
            f"convert model: model.to({x.dtype})"
        )
    if x.dim() not in (2, 3):
        raise InvalidShape(
            f"x must have 3 dimensions, (T, B, I) or (B, T, I) if batch_first, or "
            f"2 if unbatched, got {x.dim()}"
        )
    if x.size(-1) != input_size:
        raise InvalidShape(
            f"input.size(-1) must be equal to input_size. Expected {input_size}, "
            f"got {x.size(-1)}"
        )


def as_state(state: Any, cells: Sequence[Cell], batch: int) -> tuple[Any, ...]:
    """``state`` checked; plain tuples become the cells' named ones.

    Raises:
        InvalidShape: it does not fit the stack or the batch.
    """
    usual = "use initial_state(batch_size), or a final state"
    if not isinstance(state, (tuple, list)) or len(state) != len(cells):
        got = len(state) if isinstance(state, (tuple, list)) else type(state).__name__
        raise InvalidShape(
            f"state must be a tuple of {len(cells)} cell states, one per layer and "
            f"direction, got {got}; {usual}"
        )
    named: list[Any] = []
    for index, (cell, part) in enumerate(zip(cells, state, strict=True)):
        sizes = cell.state_sizes
        if not isinstance(part, (tuple, list)) or len(part) != len(sizes):
            raise InvalidShape(
                f"state[{index}] must be a tuple ({', '.join(sizes)}), got "
                f"{type(part).__name__}; {usual}"
            )
        for (field, size), value in zip(sizes.items(), part, strict=True):
            shape = getattr(value, "shape", type(value).__name__)
            if shape != (batch, size):
                raise InvalidShape(
                    f"state[{index}].{field} must have shape ({batch}, {size}), "
                    f"got {shape}"
                )
        named.append(cell.State(*part))
    return tuple(named)
