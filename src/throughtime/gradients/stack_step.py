"""What goes into models, and a stack of layers as a pure function of one state."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.layers import Recurrent


def check_one_way(layer: Any, x: Any, needs: str) -> None:
    """Raise unless ``layer`` is deterministic, runs forward, and x is (T, B, I), T > 0.

    Raises:
        InvalidType: no recurrent layer.
        InvalidValue: bidirectional, or with random masks.
        InvalidShape: another shape of x.
    """
    if not isinstance(layer, Recurrent):
        raise InvalidType(
            f"layer should be a recurrent layer, as tt.LSTM or tt.Recurrent, got "
            f"{type(layer).__name__}"
        )
    if layer.bidirectional:
        raise InvalidValue(
            f"layer runs in both directions, and {needs} needs one; use "
            "bidirectional=False"
        )
    rates = (layer.dropout, layer.recurrent_dropout, layer.weight_drop)
    if layer.training and any((*rates, *layer.zoneout.values())):
        raise InvalidValue("layer draws random masks; use layer.eval()")
    layer.check_input(x)
    if layer.batch_first or x.dim() != 3 or not x.size(0):
        raise InvalidShape(
            "x must have shape (T, B, I) with T > 0, time first, and layer no "
            f"batch_first, got {tuple(x.shape)}; use x.transpose(0, 1)"
        )


def arguments(inputs: Any) -> tuple[Any, ...]:
    """The arguments of a model: a tuple of them, or one, such as a PackedSequence."""
    return inputs if type(inputs) is tuple else (inputs,)


def flatten_state(state: tuple[Any, ...]) -> Tensor:
    """All fields of all layers side by side, (..., S)."""
    return torch.cat([field for part in state for field in part], -1)


class StackStep:
    """(θ, s (S,), x_t (I,)) -> (s', o_t) of one sequence; θ by name, {} for its own."""

    def __init__(self, layer: Recurrent) -> None:
        self._layer = layer
        self._sizes = [s for c in layer.cells for s in c.state_sizes.values()]

    @property
    def width(self) -> int:
        """S, the features of all fields of all layers."""
        return sum(self._sizes)

    def __call__(
        self, theta: Mapping[str, Tensor], flat: Tensor, x_t: Tensor
    ) -> tuple[Tensor, Tensor]:
        layer = self._layer
        fields = iter(flat.unsqueeze(0).split(self._sizes, -1))
        before = tuple(
            cell.State(*(next(fields) for _ in cell.state_sizes))
            for cell in layer.cells
        )
        args = (x_t[None, None], layer.write_state(before))
        out, after = functional_call(layer, dict(theta), args)
        return flatten_state(layer.read_state(after, 1))[0], out[0, 0]
