"""A cell from a user's file inside a run folder: its source is kept and checked.

The folder holds the file that was run as ``cell.py`` and its checksum in config.json,
so that the run can be opened after the original has changed. Opening it runs the file.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from throughtime.cells import is_own, load_own
from throughtime.errors import RunError
from throughtime.training import RunFolder

FILE = "cell.py"
_ENTRY = "own_cell"


@dataclass(frozen=True)
class Kept:
    """What a run folder stores of a cell.

    Attributes:
        cell: its name in the config.
        config: entries of config.json.
        files: files of the folder.
    """

    cell: str
    config: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


def keep_own_cell(cell: str) -> Kept:
    """What to store of the cell called ``cell``: nothing if it is no user's own."""
    if not is_own(cell):
        return Kept(cell)
    own = load_own(cell)
    entry = {"file": FILE, "sha256": own.sha256}
    return Kept(f"{FILE}:{own.name}", {_ENTRY: entry}, {FILE: own.source})


def run_cell(folder: RunFolder) -> str:
    """The cell of a run, by the name under which it can be built.

    Raises:
        RunError: the file of the user's own cell is missing or has changed.
    """
    cell = folder.config["model"].get("cell", "")
    if not isinstance(cell, str) or not is_own(cell):
        return cell
    path, entry = folder.path / FILE, folder.config.get(_ENTRY)
    file, _, name = cell.rpartition(":")
    if not isinstance(entry, dict) or file != FILE:
        raise RunError(
            f"{folder.path / 'config.json'} is damaged: it does not say which file "
            f"defines the cell {cell}; restore it from a copy or train anew"
        )
    try:
        source = path.read_bytes()
    except OSError as error:
        raise RunError(
            f"cannot read {path} ({error.strerror}), the file that defines the cell of "
            "this run; restore it from a copy"
        ) from error
    if hashlib.sha256(source).hexdigest() != entry.get("sha256"):
        raise RunError(
            f"{path} has changed since the training began, so the weights may mean "
            "something else; restore the original, or train anew with the new one"
        )
    return f"{path}:{name}"
