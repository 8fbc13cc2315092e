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
        InvalidType: no tensor, or a sparse one.
        InvalidValue: another dtype than the weights', outside autocast, or another
            device.
        InvalidShape: not (T, B, I) or (T, I).
    """
    if not isinstance(x, Tensor):
        raise InvalidType(
            f"x should be a Tensor or a PackedSequence, got {type(x).__name__}"
        )
    if x.layout is not torch.strided:
        raise InvalidType(f"x should be dense, got {x.layout}; use x.to_dense()")
    if x.device != weight.device:
        raise InvalidValue(
            f"x is on {x.device}, but the weights are on {weight.device}; move one of "
            f"them: x.to({str(weight.device)!r}) or model.to({str(x.device)!r})"
        )
    if x.dtype != weight.dtype and not _cast(x):
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


def _cast(tensor: Tensor) -> bool:
    """Whether autocast is on and concerns this tensor."""
    device = tensor.device.type
    if device == "meta" or not tensor.is_floating_point():
        return False
    return torch.is_autocast_enabled(device)


def as_state(
    state: Any, cells: Sequence[Cell], batch: int, weight: Tensor
) -> tuple[Any, ...]:
    """``state`` checked; plain tuples become the cells' named ones.

    Raises:
        InvalidShape: it does not fit the stack or the batch.
        InvalidValue: another dtype or device than the weights', outside autocast.
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
            if not _cast(value):
                check_like(f"state[{index}].{field}", value, weight)
        named.append(cell.State(*(value.to(weight.dtype) for value in part)))
    return tuple(named)


def batched(state: Any) -> Any:
    """An unbatched state with a batch of one; what is no state stays as it is."""
    if not isinstance(state, (tuple, list)):
        return state
    return tuple(
        tuple(f.unsqueeze(0) if isinstance(f, Tensor) else f for f in part)
        if isinstance(part, (tuple, list))
        else part
        for part in state
    )


def check_like(name: str, value: Tensor, weight: Tensor) -> None:
    """Raise unless ``value`` has the type, device and layout of the weights.

    Raises:
        InvalidValue: another dtype, device or layout.
    """
    for what, got, expected in (
        ("dtype", value.dtype, weight.dtype),
        ("device", value.device, weight.device),
        ("layout", value.layout, weight.layout),
    ):
        if got != expected:
            raise InvalidValue(
                f"{name} must have the {what} of the weights, {expected}, got {got}"
            )
