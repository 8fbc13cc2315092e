"""Arrays in idx files, the form of MNIST."""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.files import read_bytes
from throughtime.errors import DataError

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> NDArray[Any]:
    """The array of an idx file, which may be packed (``.gz``, ``.zst``).

    Two bytes of 0, one for the type, one for the number of dimensions; the dimensions
    in 32 bits each; the numbers (LeCun, Cortes and Burges,
    http://yann.lecun.com/exdb/mnist). High bytes come first everywhere.

    Raises:
        DataError: the file is missing, unreadable, damaged or none of this form.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "labels-idx1-ubyte"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path).tolist()
    [5, 0, 4]
    """
    content = read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise DataError(
            f"{path} is no idx file: it should begin with 0, 0 and a type (8 for "
            f"bytes), got {', '.join(map(str, content[:4])) or 'nothing'}"
        )
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"{path} is cut off within its header; copy it again")
    shape = struct.unpack_from(f">{content[3]}I", content, 4)
    kind = np.dtype(TYPES[content[2]])
    expected = start + kind.itemsize * math.prod(shape)
    if len(content) != expected:
        raise DataError(
            f"{path} says that it holds {' x '.join(map(str, shape))} numbers in "
            f"{expected} bytes, and has {len(content)}; copy it again"
        )
    numbers = np.frombuffer(content, kind, offset=start).reshape(shape)
    return numbers.astype(kind.newbyteorder("="))
