"""Arrays of numbers and texts in npz files."""

import io
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from throughtime.data.files import read_bytes
from throughtime.errors import DataError

# What numpy raises on damaged files, and on those that hold more than plain arrays.
UNREADABLE = (
    *(ValueError, TypeError, AttributeError, OSError, EOFError, KeyError),
    *(NotImplementedError, BadZipFile, zlib.error),
)


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of an npz file by name; nothing in it is unpickled.

    Raises:
        DataError: it is missing, damaged, or holds Python objects.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.npz"
    ...     np.savez(path, inputs=np.eye(2))
    ...     list(read_arrays(path))
    ['inputs']
    """
    path = Path(path)
    content = read_bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except UNREADABLE as error:
        raise DataError(
            f"{path} is no npz file of plain numbers and texts, or damaged; write it "
            "with numpy.savez"
        ) from error
