"""The gradient of a long layer from the states at a few borders.

The forward pass keeps the state before every segment of steps and nothing else. The
backward pass takes the segments in the opposite order, each forward once more and then
back, so that what a step keeps for its gradient is there for one segment only.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.kernels import dispatch
from throughtime.kernels.memory import empty
from throughtime.kernels.recurrence import Inputs, Outputs

# Laid out (T, B, ...), or in rows if packed.
_IN_TIME = ("x", "reset", "hold_h", "hold_c", "added_h", "added_c", "carry_gain")
_TENSORS = Inputs._fields[: Inputs._fields.index("share")]

Gradients = list[Tensor | None]


def steps_of(inputs: Inputs) -> int:
    """T."""
    return inputs.x.size(0) if inputs.packed is None else inputs.packed.size(0)


def border_count(inputs: Inputs, segment: int) -> int:
    """S - 1, if there are S segments."""
    return (steps_of(inputs) - 1) // segment


def border_states(inputs: Inputs, outputs: Outputs, segment: int) -> Tensor:
    """The states between segments, h and c next to each other, (S - 1, B, P + C H).

    Args:
        inputs: of the layer.
        outputs: as ``forward`` returned them.
        segment: steps of each segment; the last in time may have fewer.
    """
    count = border_count(inputs, segment)
    if not count:
        return inputs.x.new_empty(0)
    cuts = [(i + 1) * segment for i in range(count)]
    # A reversed layer comes from the later segment.
    before = [cut if inputs.reverse else cut - 1 for cut in cuts]
    return torch.stack([_state_after(inputs, outputs, step) for step in before])


def _state_after(inputs: Inputs, outputs: Outputs, step: int) -> Tensor:
    fields: list[Tensor] = []
    for grid, final, start in (
        (outputs.h_steps, outputs.h, inputs.h),
        (outputs.c_steps, outputs.c, inputs.c),
    ):
        if start is None:
            continue
        # Of sequences that have no such step: over, or not begun from the end.
        rest = start if inputs.reverse else final
        if inputs.packed is not None:
            there = grid[0, _places(inputs, step, step + 1)]
            fields.append(torch.cat([there, rest[there.size(0) :]]))
        elif inputs.lengths is not None:
            valid = (inputs.lengths > step).unsqueeze(-1)
            fields.append(torch.where(valid, grid[step], rest))
        else:
            fields.append(grid[step])
    return torch.cat(fields, -1)


def _places(inputs: Inputs, start: int, stop: int) -> slice:
    """Where the steps stand in what is laid out like x."""
    if inputs.packed is None:
        return slice(start, stop)
    rows = inputs.x.size(1)
    last = int(inputs.packed[stop]) if stop < inputs.packed.size(0) else rows
    return slice(int(inputs.packed[start]), last)


def backward_by_segments(
    layers: Sequence[Inputs],
    borders: Sequence[Tensor],
    grads: Sequence[Sequence[Tensor | None]],
    wanted: Sequence[Sequence[bool]],
    segment: int,
) -> list[Gradients]:
    """``backward`` of one layer, or of two that do not depend on each other.

    Args:
        layers: as given to ``forward``.
        borders: of each layer, by ``border_states``; not read if one segment holds all.
        grads: as in ``backward``.
        wanted: as in ``backward``.
        segment: steps of each segment.
    """
    parts = zip(layers, borders, grads, wanted, strict=True)
    tasks = [_Layer(*part, segment) for part in parts]
    for turn in range(tasks[0].count):
        inputs = [task.inputs_at(turn) for task in tasks]
        arriving = [task.grads_at(turn) for task in tasks]
        asked = [task.wanted_at(turn) for task in tasks]
        if len(tasks) == 2:
            outputs = dispatch.forward_both(inputs, True)
            found = dispatch.backward_both(inputs, outputs, arriving, asked)
        else:
            again = dispatch.forward(inputs[0], True)
            found = [dispatch.backward(inputs[0], again, arriving[0], asked[0])]
        for task, part in zip(tasks, found, strict=True):
            task.add(turn, part)
    return [task.gradients() for task in tasks]


class _Layer:
    """The segments of one layer, by turn: the last that ran forward is the first."""

    def __init__(
        self,
        inputs: Inputs,
        borders: Tensor,
        grads: Sequence[Tensor | None],
        wanted: Sequence[bool],
        segment: int,
    ) -> None:
        self._inputs, self._borders, self._grads = inputs, borders, grads
        self._wanted, self._segment = wanted, segment
        self.count = 1 + border_count(inputs, segment)
        self._state_grads = (grads[2], grads[3])
        self._found: dict[str, Tensor | None] = {}

    def _bounds(self, turn: int) -> tuple[int, int]:
        place = turn if self._inputs.reverse else self.count - 1 - turn
        start = place * self._segment
        return start, min(start + self._segment, steps_of(self._inputs))

    def inputs_at(self, turn: int) -> Inputs:
        """The layer over the steps of one segment."""
        inputs = self._inputs
        if self.count == 1:
            return inputs
        start, stop = self._bounds(turn)
        places = _places(inputs, start, stop)
        parts: dict[str, Tensor | None] = {
            name: value[:, places] if inputs.packed is not None else value[places]
            for name in _IN_TIME
            if (value := getattr(inputs, name)) is not None
        }
        if inputs.lengths is not None:
            parts["lengths"] = (inputs.lengths - start).clamp(0, stop - start)
        if inputs.packed is not None:
            parts["packed"] = inputs.packed[start:stop] - places.start
        if turn < self.count - 1:
            border = self._borders[
                (stop if inputs.reverse else start) // self._segment - 1
            ]
            size = inputs.h.size(1)
            parts["h"] = border[:, :size]
            parts["c"] = None if inputs.c is None else border[:, size:]
        return inputs._replace(**parts)

    def grads_at(self, turn: int) -> tuple[Tensor | None, ...]:
        """What arrives at one segment: its steps' part, and from the one after it."""
        grids = self._grads[:2]
        if self.count > 1:
            places = _places(self._inputs, *self._bounds(turn))
            if self._inputs.packed is not None:
                grids = [None if g is None else g[:, places] for g in grids]
            else:
                grids = [None if g is None else g[places] for g in grids]
        return (*grids, *self._state_grads)

    def wanted_at(self, turn: int) -> list[bool]:
        """What is asked for; between segments the gradient of the state as well."""
        inside = turn < self.count - 1
        names = zip(_TENSORS, self._wanted, strict=True)
        return [want or (inside and name in ("h", "c")) for name, want in names]

    def add(self, turn: int, found: Gradients) -> None:
        """Take up the gradients of one segment."""
        by_name = dict(zip(_TENSORS, found, strict=True))
        self._state_grads = (by_name["h"], by_name["c"])
        if self.count == 1:
            self._found = by_name
            return
        places = _places(self._inputs, *self._bounds(turn))
        for name, part in by_name.items():
            if part is None or (name in ("h", "c") and turn < self.count - 1):
                continue
            total = self._found.get(name)
            if name in _IN_TIME:
                if total is None:
                    total = self._found[name] = _room_for(getattr(self._inputs, name))
                dim = 0 if self._inputs.packed is None else 1
                total.narrow(dim, places.start, part.size(dim)).copy_(part)
            elif total is None:
                self._found[name] = part
            else:
                total += part

    def gradients(self) -> Gradients:
        """One entry per flag of ``wanted``."""
        return [self._found.get(name) for name in _TENSORS]


def _room_for(value: Tensor) -> Tensor:
    if value.device.type == "cpu":
        return empty(tuple(value.shape), value)
    return torch.empty_like(value, memory_format=torch.contiguous_format)
