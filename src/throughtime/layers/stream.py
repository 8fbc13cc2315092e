"""A layer one step at a time: a key pressed, a frame heard, a sample measured.

    h_t, state = cell(x_t, state)          the same numbers as over the whole sequence

Weights are packed once, and nothing is kept for a gradient.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from throughtime.cells import Cell
from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.kernels import CoreStream
from throughtime.layers import native
from throughtime.layers.loop import hold_state

if TYPE_CHECKING:
    from throughtime.layers.recurrent import Recurrent


class Stream:
    """Runs a layer step by step; made by ``Recurrent.stream``.

    The stream has a copy of the weights as they are when it is made, and computes what
    the layer computes in eval mode: no dropout, zoneout by its expectation.

    Args:
        layer: any recurrent layer that is not bidirectional.
        batch_size: B, sequences that run side by side.
        state: as for the layer's ``forward``; default: its initial state.

    Raises:
        InvalidValue: the layer is bidirectional, or ``batch_size`` is not positive.
        InvalidShape: ``state`` does not fit.

    >>> import throughtime as tt
    >>> layer = tt.LSTM(3, 4).eval()
    >>> x = torch.randn(5, 1, 3)
    >>> stream = layer.stream()
    >>> steps = torch.stack([stream.step(x_t) for x_t in x])
    >>> torch.allclose(steps, layer(x)[0])
    True
    """

    def __init__(self, layer: "Recurrent", batch_size: int, state: Any) -> None:
        if layer.bidirectional:
            raise InvalidValue(
                "bidirectional=True needs the whole sequence before its first output; "
                "only layers with one direction can run as a stream"
            )
        self.batch_size = positive_int("batch_size", batch_size)
        self._layer = layer
        weight = layer.weights(0)["weight_ih"]
        self._shape = (self.batch_size, layer.input_size)
        self._dtype, self._device = weight.dtype, weight.device
        self._residual = layer.residual
        self._start = layer.read_state(state, self.batch_size)
        self._parts = [
            _part(layer, index, start) for index, start in enumerate(self._start)
        ]

    def step(self, x_t: Tensor) -> Tensor:
        """The layer's output for one more step.

        Args:
            x_t: (B, I), or (I,) if B = 1.

        Returns:
            The last layer's h_t, (B, H), or (H,); it takes no gradients.

        Raises:
            InvalidType: ``x_t`` is no tensor.
            InvalidShape: it has another shape.
            InvalidValue: it has another dtype or device than the weights.
        """
        if not isinstance(x_t, Tensor):
            raise InvalidType(f"x_t should be a Tensor, got {type(x_t).__name__}")
        batched = x_t.shape == self._shape
        if not batched and (x_t.shape != self._shape[1:] or self.batch_size != 1):
            raise InvalidShape(
                f"x_t must have shape {self._shape}, one step of {self.batch_size} "
                f"sequences, got {tuple(x_t.shape)}"
            )
        if x_t.dtype != self._dtype or x_t.device != self._device:
            raise InvalidValue(
                f"x_t must be {self._dtype} on {self._device} like the weights, got "
                f"{x_t.dtype} on {x_t.device}"
            )
        x = x_t
        if not x.is_contiguous() or x.is_neg():
            x = x.resolve_neg().contiguous()
        for index, part in enumerate(self._parts):
            h = part.step(x)
            x = h + x if self._residual and index > 0 else h
        return x if batched else x.squeeze(0)

    @property
    def state(self) -> Any:
        """The state after the last step, in the layer's own form; may be set."""
        parts = (
            cell.State(*part.state)
            for cell, part in zip(self._layer.cells, self._parts, strict=True)
        )
        return self._layer.write_state(tuple(parts))

    @state.setter
    def state(self, state: Any) -> None:
        self._set(self._layer.read_state(state, self.batch_size))

    def reset(self) -> None:
        """Back to the state it started from."""
        self._set(self._start)

    def _set(self, state: Sequence[Any]) -> None:
        for part, fields in zip(self._parts, state, strict=True):
            part.state = fields


class _LoopStream:
    """The plain cell in the place of ``CoreStream``, where the core has no rule."""

    def __init__(
        self,
        cell: Cell,
        weights: dict[str, Tensor],
        rates: dict[str, float],
        state: Sequence[Tensor],
    ) -> None:
        self._cell = cell
        self._weights = {k: w.detach().clone() for k, w in weights.items()}
        self._rates = rates
        self.state = state

    def step(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            old = self._cell.State(*self.state)
            a_x = self._cell.input_part(x, self._weights)
            new, _ = self._cell.advance(a_x, old, self._weights)
            self.state = hold_state(self._rates, old, new)
        return self.state[0].clone()


class _NativeStream(CoreStream):
    """The core's stream with the fields of the state apart."""

    @property
    def state(self) -> list[Tensor]:
        h, *rest = super().state
        return [h, *(c for joint in rest for c in joint.split(self._width, -1))]

    @state.setter
    def state(self, fields: Sequence[Tensor]) -> None:
        self._width = fields[-1].size(-1)
        rest = native.joined(list(fields)[1:])
        apart = [fields[0]] if rest is None else [fields[0], rest]
        CoreStream.state.__set__(self, apart)


class _Bfloat16Stream(_NativeStream):
    """Weights, inputs and outputs of bfloat16; state and arithmetic of float32."""

    def step(self, x: Tensor) -> Tensor:
        return super().step(x.float()).bfloat16()

    @property
    def state(self) -> list[Tensor]:
        return [field.bfloat16() for field in super().state]

    @state.setter
    def state(self, fields: Sequence[Tensor]) -> None:
        _NativeStream.state.__set__(self, [field.float() for field in fields])


def _part(layer: "Recurrent", index: int, start: Any) -> CoreStream | _LoopStream:
    """One layer of the stack, by the core if it can."""
    cell = layer.cells[index]
    weights = dict(cell.prepare(layer.weights(index)))
    rates = {f: r for f, r in layer.zoneout.items() if r > 0 and f in cell.state_sizes}
    start = [field.detach() for field in start]
    x = start[0].new_empty(1, len(start[0]), cell.input_size)
    with torch.no_grad():
        usable = native.usable(cell, [x, *weights.values(), *start])
    if layer.backend != "loop" and usable:
        weights = {name: w.detach() for name, w in weights.items()}
        inputs = native.inputs_of(cell, x, start, weights)
        shares = [rates.get(field, 0.0) for field in cell.State._fields]
        inputs = inputs._replace(share=shares)
        if x.dtype == torch.bfloat16:
            wide = native.converted(inputs, torch.float32)
            # With more rows the products, not the weights, are what a step waits for.
            stream = _Bfloat16Stream(wide, half=len(start[0]) <= 8)
        else:
            stream = _NativeStream(inputs)
        stream.state = start
        return stream
    return _LoopStream(cell, weights, rates, start)
