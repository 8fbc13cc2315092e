"""Recurrent cells: one step each, the parameters it needs, nothing else."""

from inspect import Parameter, signature
from typing import Any

from throughtime.cells.activations import ACTIVATIONS as ACTIVATIONS
from throughtime.cells.activations import Activation as Activation
from throughtime.cells.base import Cell as Cell
from throughtime.cells.base import HiddenState as HiddenState
from throughtime.cells.declare import cell as cell
from throughtime.cells.elman import Elman as Elman
from throughtime.cells.gru import GRU as GRU
from throughtime.cells.irnn import IRNN as IRNN
from throughtime.cells.leaky import Leaky as Leaky
from throughtime.cells.lstm import LSTM as LSTM
from throughtime.cells.lstm import LSTMState as LSTMState
from throughtime.cells.np_rnn import NPRNN as NPRNN
from throughtime.cells.own import cell_title as cell_title
from throughtime.cells.own import is_own as is_own
from throughtime.cells.own import load_own as load_own
from throughtime.cells.parts import PerUnit as PerUnit
from throughtime.cells.parts import row_norm as row_norm
from throughtime.errors import unknown_name

CELLS: dict[str, type[Cell]] = {
    kind.name: kind for kind in (Elman, IRNN, NPRNN, Leaky, LSTM, GRU)
}


def find_cell(name: str) -> type[Cell]:
    """The class called ``name`` in ``CELLS``, or in a file: ``path/file.py:MyCell``.

    The file is run as Python.

    Raises:
        InvalidValue: unknown name; the message lists the known ones.
        DataError: the file is missing.
        InvalidCell: the file cannot be run, or its cell breaks a rule.

    >>> find_cell("gru").__name__
    'GRU'
    """
    if name in CELLS:
        return CELLS[name]
    if is_own(name):
        return load_own(name).kind
    raise unknown_name("cell", name, [*CELLS, "path/to/file.py:MyCell"])


def cell_options(name: str) -> dict[str, Any]:
    """The options of the cell ``name`` and their defaults.

    Raises:
        InvalidValue: unknown name; the message lists the known ones.

    >>> cell_options("gru")["reset_after"]
    True
    """
    return options_of(find_cell(name))


def options_of(kind: type[Cell]) -> dict[str, Any]:
    """The options of a class of cells and their defaults."""
    own = dict(getattr(kind, "step_options", {}))
    return own | {
        option.name: option.default
        for option in signature(kind).parameters.values()
        if option.kind is Parameter.KEYWORD_ONLY
        and option.name not in ("device", "dtype")
    }


def build_cell(
    name: str, input_size: int, hidden_size: int, options: dict[str, Any] | None = None
) -> Cell:
    """The cell called ``name``, see ``find_cell``, with options by name.

    Raises:
        InvalidValue: unknown cell or option; the message lists the known ones.

    >>> build_cell("elman", 3, 4, {"nonlinearity": "relu"})
    Elman(3, 4, nonlinearity='relu')
    """
    known = cell_options(name)
    for option in options or {}:
        if option not in known:
            raise unknown_name(f"option of cell {name!r}", option, known)
    return find_cell(name)(input_size, hidden_size, **(options or {}))
