"""Drop-ins for ``torch.nn.RNNCell``, ``torch.nn.LSTMCell`` and ``torch.nn.GRUCell``.

They are the cells of ``throughtime.cells`` behind torch's constructor, call and errors.
As in torch, anything with a truth value is a ``bias`` here.
"""

from typing import Any

import torch
from torch import Tensor

from throughtime import cells
from throughtime.errors import InvalidShape, InvalidType, InvalidValue

Device = torch.device | str | None


def _check_input(cell: cells.Cell, x: Any) -> None:
    if not isinstance(x, Tensor):
        raise InvalidType(f"input should be a Tensor, got {type(x).__name__}")
    if x.dim() not in (1, 2):
        raise InvalidValue(
            f"{type(cell).__name__}: Expected input to be 1D or 2D, "
            f"got {x.dim()}D instead"
        )
    if x.size(-1) != cell.input_size:
        raise InvalidShape(
            f"input has inconsistent input_size: got {x.size(-1)} "
            f"expected {cell.input_size}"
        )


def _check_hidden(cell: cells.Cell, x: Tensor, hidden: Any, name: str) -> None:
    if not isinstance(hidden, Tensor):
        raise InvalidType(f"{name} should be a Tensor, got {type(hidden).__name__}")
    if hidden.dim() not in (1, 2):
        raise InvalidValue(
            f"{type(cell).__name__}: Expected {name} to be 1D or 2D, "
            f"got {hidden.dim()}D instead"
        )
    if hidden.size(-1) != cell.hidden_size:
        raise InvalidShape(
            f"hidden0 has inconsistent hidden_size: got {hidden.size(-1)}, "
            f"expected {cell.hidden_size}"
        )
    sizes = [t.size(0) if t.dim() == 2 else 1 for t in (x, hidden)]
    if sizes[0] != sizes[1]:
        raise InvalidShape(
            f"Input batch size {sizes[0]} doesn't match hidden0 batch size {sizes[1]}"
        )


def _like_input(x: Tensor, hidden: Tensor) -> Tensor:
    """torch broadcasts nothing: an unbatched x has an unbatched state."""
    return hidden.reshape(*x.shape[:-1], hidden.size(-1))


def _hidden_call(cell: cells.Cell, x: Any, hx: Any) -> Tensor:
    _check_input(cell, x)
    if hx is None:
        return cell.step(x).h
    _check_hidden(cell, x, hx, "hidden")
    return cell.step(x, cells.HiddenState(_like_input(x, hx))).h


class RNNCell(cells.Elman):
    """``torch.nn.RNNCell``: h' = φ(W_ih x + b_ih + W_hh h + b_hh).

    >>> RNNCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    family = cells.Elman

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            nonlinearity=nonlinearity,
            bias=bool(bias),
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - torch's names
        self, input: Tensor, hx: Tensor | None = None
    ) -> Tensor:
        """h' (B, H) from the input (B, I) and h (B, H), or unbatched."""
        return _hidden_call(self, input, hx)


class GRUCell(cells.GRU):
    """``torch.nn.GRUCell``, see ``throughtime.cells.GRU`` for the equations.

    >>> GRUCell(3, 4)(torch.zeros(3), torch.zeros(4)).shape
    torch.Size([4])
    """

    family = cells.GRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, bias=bool(bias), device=device, dtype=dtype
        )

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - torch's names
        self, input: Tensor, hx: Tensor | None = None
    ) -> Tensor:
        """h' (B, H) from the input (B, I) and h (B, H), or unbatched."""
        return _hidden_call(self, input, hx)


class LSTMCell(cells.LSTM):
    """``torch.nn.LSTMCell``, see ``throughtime.cells.LSTM`` for the equations.

    >>> h, c = LSTMCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    family = cells.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, bias=bool(bias), device=device, dtype=dtype
        )

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride] - torch's names
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """(h', c') from the input (B, I) and (h, c), each (B, H), or unbatched."""
        _check_input(self, input)
        if hx is None:
            return tuple(self.step(input))
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            raise InvalidType(f"hx should be the pair (h, c), got {type(hx).__name__}")
        for index, value in enumerate(hx):
            _check_hidden(self, input, value, f"hx[{index}]")
        h, c = (_like_input(input, value) for value in hx)
        return tuple(self.step(input, cells.LSTMState(h, c)))
