"""What a call of a layer may say beside its input and state."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from throughtime.cells import Cell
from throughtime.errors import InvalidShape, InvalidType
from throughtime.layers.door import check_like
from throughtime.layers.ragged import check_holds_numbers, check_lengths, reset_mask


class Options(NamedTuple):
    """Keywords of ``Recurrent.forward``, with their meaning from there.

    Or ``packed``, the first row of each step where x is (1, N, I), the rows of a packed
    sequence; then there are lengths, from long to short, and nothing else.
    """

    lengths: Any = None
    reset: Any = None
    perturbation: Any = None
    carry_gain: Any = None
    return_states: bool = False
    return_gates: bool = False
    packed: Tensor | None = None

    def time_first(self, function: Callable[[Tensor], Tensor], dims: int) -> Self:
        """With ``function`` of the tensors laid out like x, without its features."""

        def turn(value: Any) -> Any:
            if isinstance(value, (tuple, list)):
                return tuple(turn(part) for part in value)
            fits = isinstance(value, Tensor) and value.dim() == dims
            return function(value) if fits else value

        return self._replace(reset=turn(self.reset), carry_gain=turn(self.carry_gain))

    def of_layer(self, index: int) -> dict[str, Any]:
        """The keywords of one layer and direction, for checked options."""
        own = self._asdict()
        for name in ("perturbation", "carry_gain"):
            if own[name] is not None:
                own[name] = own[name][index]
        return own

    def checked(self, x: Tensor, cells: Sequence[Cell], like: Tensor) -> Self:
        """Checked for ``x`` (T, B, I), time first.

        Args:
            x: the input.
            cells: one per layer and direction.
            like: a weight, for its type.

        Raises:
            InvalidShape: an option has the wrong shape.
            InvalidType: an option has the wrong type.
            InvalidValue: a length is out of range, or a tensor has another dtype or
                device than the weights.
        """
        if self.packed is not None:
            return self
        steps, batch = x.shape[:2]
        if self.perturbation is not None:
            check_perturbation(self.perturbation, cells, steps, batch, like)
        return self._replace(
            lengths=check_lengths(self.lengths, steps, batch, x.device),
            reset=reset_mask(self.reset, steps, batch, x.device),
            carry_gain=check_carry_gains(
                self.carry_gain, len(cells), steps, batch, like
            ),
        )


def zero_perturbation(
    cells: Sequence[Cell], steps: int, batch: int, like: Tensor
) -> tuple[Any, ...]:
    """Zeros (T, B, H) that take gradients, for every field of every state."""

    def zeros(size: int) -> Tensor:
        return like.new_zeros((steps, batch, size)).requires_grad_()

    return tuple(
        cell.State(*(zeros(size) for size in cell.state_sizes.values()))
        for cell in cells
    )


def check_perturbation(
    perturbation: Any, cells: Sequence[Cell], steps: int, batch: int, like: Tensor
) -> None:
    """Raise unless it has a tensor (T, B, H), or None, for every field of every state.

    Raises:
        InvalidShape: something is missing, too much, or of another shape.
        InvalidValue: another dtype or device than the weights'.
    """
    usual = "use zero_perturbation(x)"
    is_tuple = isinstance(perturbation, (tuple, list))
    got = len(perturbation) if is_tuple else type(perturbation).__name__
    if got != len(cells):
        raise InvalidShape(
            f"perturbation must have {len(cells)} entries, one per layer and direction,"
            f" got {got}; {usual}"
        )
    for index, (cell, part) in enumerate(zip(cells, perturbation, strict=True)):
        sizes = cell.state_sizes
        if not isinstance(part, (tuple, list)) or len(part) != len(sizes):
            raise InvalidShape(
                f"perturbation[{index}] must be a tuple ({', '.join(sizes)}), got "
                f"{type(part).__name__}; {usual}"
            )
        for (field, size), value in zip(sizes.items(), part, strict=True):
            if value is None:
                continue
            name = f"perturbation[{index}].{field}"
            shape = getattr(value, "shape", type(value).__name__)
            if shape != (steps, batch, size):
                raise InvalidShape(
                    f"{name} must have shape ({steps}, {batch}, {size}), time first, "
                    f"got {shape}; {usual}"
                )
            check_like(name, value, like)


def check_carry_gains(
    carry_gain: Any, count: int, steps: int, batch: int, like: Tensor
) -> tuple[Tensor | None, ...] | None:
    """One gain per layer and direction: those given, or one for all.

    Raises:
        InvalidType: see ``check_carry_gain``.
        InvalidShape: not (T, B), or another number of them.
        InvalidValue: no numbers (meta device).
    """
    if carry_gain is None:
        return None
    if not isinstance(carry_gain, (tuple, list)):
        return (check_carry_gain(carry_gain, steps, batch, like),) * count
    if len(carry_gain) != count:
        raise InvalidShape(
            f"carry_gain must be a tensor, or have {count} of them, one per layer and "
            f"direction, got {len(carry_gain)}"
        )
    return tuple(check_carry_gain(gain, steps, batch, like) for gain in carry_gain)


def check_carry_gain(
    carry_gain: Tensor | None, steps: int, batch: int, like: Tensor
) -> Tensor | None:
    """The gain (T, B) in the type of the weights, without a gradient of its own.

    Raises:
        InvalidType: neither bool nor the weights' type.
        InvalidShape: not (T, B).
        InvalidValue: no numbers (meta device).
    """
    if carry_gain is None:
        return None
    known = (torch.bool, like.dtype)
    if not isinstance(carry_gain, Tensor) or carry_gain.dtype not in known:
        is_tensor = isinstance(carry_gain, Tensor)
        got = carry_gain.dtype if is_tensor else type(carry_gain).__name__
        raise InvalidType(
            f"carry_gain should be a tensor of the weights' dtype, {like.dtype}, or "
            f"of bool, got {got}; use carry_gain.to({like.dtype})"
        )
    if carry_gain.shape != (steps, batch):
        raise InvalidShape(
            f"carry_gain must have one entry per step and sequence, "
            f"shape ({steps}, {batch}) time first, got {tuple(carry_gain.shape)}"
        )
    check_holds_numbers("carry_gain", carry_gain, like.device)
    return carry_gain.detach().to(like)
