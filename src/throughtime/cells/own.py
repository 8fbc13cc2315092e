"""Cells from a user's own file, named ``path/to/file.py:MyCell``.

The file is run as Python, without being imported: it needs no package around it and
leaves no cache behind, and what is run is exactly the text whose checksum is known.
"""

import hashlib
import linecache
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from throughtime.cells.base import Cell
from throughtime.errors import DataError, InvalidCell, InvalidValue

# Sizes of the trial of a fresh cell; 8 units can be put into groups.
_INPUT, _HIDDEN, _BATCH = 3, 8, 2


@dataclass(frozen=True)
class OwnCell:
    """A cell and the file it came from.

    Attributes:
        kind: the class.
        name: its name in the file.
        source: the file as it was run.
    """

    kind: type[Cell]
    name: str
    source: bytes

    @property
    def sha256(self) -> str:
        """Checksum of the file."""
        return hashlib.sha256(self.source).hexdigest()


# Files that were run, by path as given and checksum: one file makes each class once.
_MODULES: dict[tuple[str, str], ModuleType] = {}
_SOUND: set[type[Cell]] = set()


def is_own(name: str) -> bool:
    """Whether ``name`` names a cell in a file.

    >>> [is_own(name) for name in ("lstm", "cells.py:MyCell", "cells.py")]
    [False, True, True]
    """
    return name.endswith(".py") or name.rpartition(":")[0].endswith(".py")


def cell_title(name: str) -> str:
    """A short name for tables: that of the cell without its file.

    >>> [cell_title(name) for name in ("lstm", "work/cells.py:MyCell")]
    ['lstm', 'MyCell']
    """
    return name.rpartition(":")[2] if is_own(name) else name


def load_own(name: str) -> OwnCell:
    """Run the file in ``path/to/file.py:MyCell`` and take the cell out of it.

    Raises:
        DataError: the file is missing or cannot be read.
        InvalidValue: there is no such name in it, or it is no cell.
        InvalidCell: the file cannot be run, or the cell breaks a rule; the message
            shows the line.
    """
    path, wanted = _parts(name)
    source = _read(path)
    module = _run(path, source)
    known = ", ".join(_cells_of(module))
    has = f"the cells in it are {known}" if known else _NO_CELL
    if not wanted:
        raise InvalidValue(f"{path} is a file, name a cell as in {path}:NAME; {has}")
    found = getattr(module, wanted, None)
    if found is None:
        raise InvalidValue(f"{path} has no {wanted!r}; {has}")
    if not (isinstance(found, type) and issubclass(found, Cell)):
        what = f"an object of type {type(found).__name__}"
        raise InvalidValue(f"{wanted!r} in {path} is no cell but {what}; {has}")
    if found not in _SOUND:
        _try(name, path, found)
        _SOUND.add(found)
    return OwnCell(found, wanted, source)


_NO_CELL = (
    "it has no cell: make one with @throughtime.cell(...), or as a subclass of "
    "throughtime.cells.Cell"
)


def _parts(name: str) -> tuple[str, str]:
    """Path and name of the cell, which is empty if only the file was given."""
    if name.endswith(".py"):
        return name, ""
    path, _, wanted = name.rpartition(":")
    return path, wanted


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path of the cell") from error
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror})") from error


def _run(path: str, source: bytes) -> ModuleType:
    """The file as a module, run once for each content."""
    digest = hashlib.sha256(source).hexdigest()
    if (path, digest) in _MODULES:
        return _MODULES[path, digest]
    place = hashlib.sha256(path.encode()).hexdigest()
    module = ModuleType(f"throughtime_own_{place[:8]}_{digest[:8]}")
    module.__file__ = path
    try:
        text = source.decode("utf-8-sig")
        # Errors show lines of this text, even after the file has changed.
        linecache.cache[path] = (len(text), None, text.splitlines(True), path)
        code = compile(text, path, "exec", dont_inherit=True)
        sys.modules[module.__name__] = module  # dataclasses look themselves up there
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        sys.modules.pop(module.__name__, None)
        if isinstance(error, InvalidCell):  # says all this itself
            raise
        raise InvalidCell(f"{path} cannot be run{_described(error, path)}") from error
    _MODULES[path, digest] = module
    return module


def _described(error: BaseException, path: str) -> str:
    """Where in the file an error came from, and what it says."""
    if isinstance(error, SyntaxError):
        line, message = error.lineno, error.msg
    else:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in reversed(frames) if f.filename == path), None)
        message = str(error)
    where = ""
    if line is not None:
        where = f' at line {line}: "{linecache.getline(path, line).strip()}"'
    return f"{where}: {type(error).__name__}" + (f": {message}" if message else "")


def _cells_of(module: ModuleType) -> list[str]:
    """Names of the cells that a file defines."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Cell)
        and value.__module__ == module.__name__
    ]


def _try(name: str, path: str, kind: type[Cell]) -> None:
    """Make a small cell and take one step, so that mistakes show before a training.

    Raises:
        InvalidCell: it does not work.
    """
    if kind.pointwise is Cell.pointwise or not hasattr(kind, "gates"):
        raise InvalidCell(
            f"{name}: a subclass of Cell needs a class attribute gates and a method "
            "pointwise, see throughtime.cells.Cell"
        )
    x = torch.zeros(_BATCH, _INPUT)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            cell = kind(_INPUT, _HIDDEN)
            state = cell.step(x)
    except InvalidCell:
        raise
    except Exception as error:
        raise InvalidCell(f"{name} does not work{_described(error, path)}") from error
    h = getattr(state, "h", None)
    got = tuple(h.shape) if isinstance(h, Tensor) else type(h).__name__
    if got != (_BATCH, cell.output_size):
        raise InvalidCell(
            f"{name}: the state after a step must have a field h of shape "
            f"(B, H) = {(_BATCH, cell.output_size)} in this trial, got {got}"
        )
