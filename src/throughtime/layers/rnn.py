"""Drop-ins for ``torch.nn.RNN``, ``torch.nn.LSTM`` and ``torch.nn.GRU``.

Same constructor, parameter names, gate order, initial values under the same seed,
return values, error types and PackedSequence behaviour; a state_dict of one loads into
the other unchanged. ``forward`` also takes the keywords of ``Recurrent``.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from throughtime import cells
from throughtime.checks import positive_int, probability
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.layers.recurrent import Recurrent

Device = torch.device | str | None


class _TorchLayer(Recurrent):
    """What the three share: torch's state layout, (L D, B, H) per field."""

    def __init__(
        self,
        cell: cells.Cell,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
    ) -> None:
        if probability("dropout", dropout) > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so "
                "non-zero dropout expects num_layers greater than 1, but got "
                f"dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        super().__init__(
            cell,
            positive_int("num_layers", num_layers),
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        self.bias = bias
        self.hidden_size = cell.hidden_size
        self.proj_size = 0

    @property
    def mode(self) -> str:
        """torch's name of the layer."""
        return type(self).__name__

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction, as in torch."""
        return [list(self.weights(index).values()) for index in range(len(self.cells))]

    def flatten_parameters(self) -> None:
        """Nothing to do: torch rearranges memory for cuDNN here."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - torch's names
        self,
        input: Any,
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        perturbation: Any = None,
        carry_gain: Tensor | Sequence[Tensor] | None = None,
        return_states: bool = False,
        return_gates: bool = False,
    ) -> Any:
        """Run over a batch of sequences.

        Args:
            input: (T, B, I), (B, T, I) if ``batch_first``, (T, I), or a PackedSequence.
            hx: h_0 (L D, B, H), for the LSTM the pair (h_0, c_0); default: zeros.
            lengths: as in ``Recurrent.forward``, like the arguments below.
            reset: a new sequence starts inside the row.
            perturbation: added to every state.
            carry_gain: multiplies the gradient of the state that enters a step.
            return_states: also return every state.
            return_gates: also return every gate.

        Returns:
            outputs and h_n, for the LSTM outputs and (h_n, c_n), as in torch; then a
            ``Trace`` if one was asked for.

        Raises:
            InvalidShape: an argument has the wrong shape.
            InvalidType: an argument has the wrong type.
            InvalidValue: ``input`` is neither 2D nor 3D, or has another dtype than the
                weights.
        """
        if isinstance(input, PackedSequence):
            self._check_packed(input.data)
            batch, batched = int(input.batch_sizes[0]), True
        else:
            self.check_input(input)
            batched = input.dim() == 3
            batch = input.size(0 if self.batch_first else 1) if batched else 1
            if input.size(1 if batched and self.batch_first else 0) == 0:
                raise InvalidShape(
                    "Expected sequence length to be larger than 0 in RNN, got 0"
                )
        if hx is not None:
            hx = self._from_torch(hx, batch, batched)
        outputs, final, *trace = super().forward(
            input,
            hx,
            lengths=lengths,
            reset=reset,
            perturbation=perturbation,
            carry_gain=carry_gain,
            return_states=return_states,
            return_gates=return_gates,
        )
        return outputs, self._to_torch(final), *trace

    def read_state(self, state: Any, batch_size: int) -> tuple[Any, ...]:
        if state is None:
            return self.initial_state(batch_size)
        return self._from_torch(state, batch_size, True)

    def write_state(self, state: tuple[Any, ...]) -> Any:
        return self._to_torch(state)

    def check_input(self, x: Any) -> None:
        if isinstance(x, Tensor) and x.dim() not in (2, 3):
            raise InvalidValue(
                f"{self.mode}: Expected input to be 2D or 3D, got {x.dim()}D instead"
            )
        super().check_input(x)

    def _check_packed(self, data: Tensor) -> None:
        if data.dim() != 2:
            raise InvalidShape(f"input must have 2 dimensions, got {data.dim()}")
        super().check_input(data)

    def _check_field(self, value: Any, field: str, batch: int, batched: bool) -> None:
        if not isinstance(value, Tensor):
            raise InvalidType(
                f"the initial {field} should be a Tensor, got {type(value).__name__}"
            )
        if value.dim() != (3 if batched else 2):
            kind, want = ("batched 3-D", "3-D") if batched else ("unbatched 2-D", "2-D")
            raise InvalidShape(
                f"For {kind} input, hx should also be {want} but got "
                f"{value.dim()}-D tensor"
            )
        value = value if batched else value.unsqueeze(1)
        expected = (len(self.cells), batch, self.cells[0].state_sizes[field])
        if tuple(value.shape) != expected:
            raise InvalidShape(
                f"Expected hidden {'' if field == 'h' else field + ' '}size {expected},"
                f" got {list(value.shape)}"
            )

    def _from_torch(self, state: Any, batch: int, batched: bool) -> tuple[Any, ...]:
        self._check_field(state, "h", batch, batched)
        return tuple(cells.HiddenState(h) for h in state.unbind(0))

    def _to_torch(self, final: Any) -> Any:
        return torch.stack([part.h for part in final])

    def extra_repr(self) -> str:
        """torch's wording."""
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text


class RNN(_TorchLayer):
    """``torch.nn.RNN``: h_t = φ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh).

    ``nonlinearity`` may be any activation of ``throughtime.cells.ACTIVATIONS``; torch
    knows tanh and relu.

    >>> outputs, h_n = RNN(3, 4, 2)(torch.zeros(5, 2, 3))
    >>> outputs.shape, h_n.shape
    (torch.Size([5, 2, 4]), torch.Size([2, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        cell = cells.Elman(
            input_size,
            hidden_size,
            nonlinearity=nonlinearity,
            bias=bias,
            device=device,
            dtype=dtype,
        )
        super().__init__(cell, num_layers, bias, batch_first, dropout, bidirectional)
        self.nonlinearity = nonlinearity

    @property
    def mode(self) -> str:
        """torch's name of the layer, ``RNN_TANH``."""
        return f"RNN_{self.nonlinearity.upper()}"


class LSTM(_TorchLayer):
    """``torch.nn.LSTM``, see ``throughtime.cells.LSTM`` for the equations.

    >>> outputs, (h_n, c_n) = LSTM(3, 4)(torch.zeros(5, 2, 3), lengths=[5, 2])
    >>> outputs.shape, c_n.shape
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        cell = cells.LSTM(
            input_size,
            hidden_size,
            bias=bias,
            projection=proj_size,
            device=device,
            dtype=dtype,
        )
        super().__init__(cell, num_layers, bias, batch_first, dropout, bidirectional)
        self.proj_size = proj_size

    def _from_torch(self, state: Any, batch: int, batched: bool) -> tuple[Any, ...]:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise InvalidShape(
                "the initial state of an LSTM is the pair (h_0, c_0), got "
                f"{type(state).__name__}"
            )
        for value, field in zip(state, ("h", "c"), strict=True):
            self._check_field(value, field, batch, batched)
        pairs = zip(state[0].unbind(0), state[1].unbind(0), strict=True)
        return tuple(cells.LSTMState(h, c) for h, c in pairs)

    def _to_torch(self, final: Any) -> Any:
        h_n = torch.stack([part.h for part in final])
        return h_n, torch.stack([part.c for part in final])


class GRU(_TorchLayer):
    """``torch.nn.GRU``, see ``throughtime.cells.GRU`` for the equations.

    >>> outputs, h_n = GRU(3, 4, bidirectional=True)(torch.zeros(5, 2, 3))
    >>> outputs.shape, h_n.shape
    (torch.Size([5, 2, 8]), torch.Size([2, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        cell = cells.GRU(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
        super().__init__(cell, num_layers, bias, batch_first, dropout, bidirectional)
