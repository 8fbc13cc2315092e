"""Ragged batches: lengths and masks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.layers.loop import valid_mask


def check_lengths(
    lengths: Tensor | Sequence[int] | None, steps: int, batch: int, device: torch.device
) -> Tensor | None:
    """Lengths as an int64 tensor (B,) on ``device``; None if all steps exist.

    Raises:
        InvalidType: lengths are no integers.
        InvalidShape: not one length per sequence.
        InvalidValue: a length below 0 or above T, or no numbers at all (meta device).

    >>> check_lengths([2, 0], 2, 2, torch.device("cpu"))
    tensor([2, 0])
    """
    if lengths is None:
        return None
    try:
        lengths = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidType(
            f"lengths should be integers, one per sequence, got {lengths!r}"
        ) from error
    if lengths.numel() == 0:
        lengths = lengths.long()  # of an empty list torch makes floats
    if (
        lengths.is_floating_point()
        or lengths.is_complex()
        or lengths.dtype == torch.bool
    ):
        raise InvalidType(
            f"lengths should be integers, got {lengths.dtype}; use lengths.long()"
        )
    if lengths.shape != (batch,):
        raise InvalidShape(
            f"lengths must have one entry per sequence, shape ({batch},), "
            f"got {tuple(lengths.shape)}"
        )
    check_holds_numbers("lengths", lengths, device)
    lengths = lengths.to(torch.int64)
    # Skipped while compiling: it would look at values.
    if not torch.compiler.is_compiling() and batch and lengths.device.type != "meta":
        lowest, highest = int(lengths.min()), int(lengths.max())
        if lowest < 0 or highest > steps:
            raise InvalidValue(
                f"lengths must lie in [0, {steps}], the steps of the input, "
                f"got values from {lowest} to {highest}"
            )
    return lengths.to(device)


def check_holds_numbers(name: str, value: Tensor, device: torch.device) -> None:
    """Raise if the elements of ``value`` cannot be read beside an input on ``device``.

    Raises:
        InvalidType: a sparse tensor.
        InvalidValue: it is on the meta device, and x is not.
    """
    if value.layout is not torch.strided:
        raise InvalidType(
            f"{name} should be dense, got {value.layout}; use {name}.to_dense()"
        )
    if value.device.type == "meta" != device.type:
        raise InvalidValue(
            f"{name} is on the meta device, which holds no numbers, but x is on "
            f"{device}; make {name} on {device}"
        )


def reset_mask(
    reset: Tensor | None, steps: int, batch: int, device: torch.device
) -> Tensor | None:
    """Check a reset mask, bool (T, B).

    Raises:
        InvalidType: not bool.
        InvalidShape: not (T, B).
        InvalidValue: no numbers (meta device).
    """
    if reset is None:
        return None
    if not isinstance(reset, Tensor) or reset.dtype != torch.bool:
        got = reset.dtype if isinstance(reset, Tensor) else type(reset).__name__
        raise InvalidType(f"reset should be a bool tensor, got {got}; use mask.bool()")
    if reset.shape != (steps, batch):
        raise InvalidShape(
            f"reset must have one entry per step and sequence, "
            f"shape ({steps}, {batch}) time first, got {tuple(reset.shape)}"
        )
    check_holds_numbers("reset", reset, device)
    return reset.to(device)


def reverse_reset(reset: Tensor, lengths: Tensor | None) -> Tensor:
    """The reset mask of the backward direction.

    A reset at t starts a new segment there. Read backwards, the segment before it
    begins at t - 1, so the state returns to its initial value before step t - 1. A
    reset on a step that does not exist starts nothing.
    """
    if lengths is not None:
        reset = reset & valid_mask(lengths, reset.size(0))
    return torch.cat([reset[1:], torch.zeros_like(reset[:1])])
