"""Tokens on disk, read through the memory map: a text may be larger than memory.

The file is one of safetensors with one tensor, ``tokens`` (N,): 8 bytes that say how
long the header is, the header (JSON: type, shape, place, and notes), then the numbers.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import DataError, InvalidShape, InvalidType, InvalidValue

FORMAT = "throughtime tokens 1"
# Signed, because torch computes with them.
KINDS = {"I16": np.dtype("<i2"), "I32": np.dtype("<i4"), "I64": np.dtype("<i8")}
# Bytes for length and header, which is known and written last.
HEADER = 4096


@dataclass(frozen=True)
class TokenFile:
    """A text as token indices in a file.

    Attributes:
        path: of the file.
        vocabulary_size: V; every index is below.
        notes: what the file was given along, such as the name of the text.
        array: the indices (N,), memory-mapped: read when used, never written to.
    """

    path: Path
    vocabulary_size: int
    notes: Mapping[str, str]
    array: NDArray[Any]

    @classmethod
    def write(
        cls,
        path: str | Path,
        parts: Iterable[Tensor | NDArray[Any]],
        vocabulary_size: int,
        *,
        notes: Mapping[str, str] | None = None,
    ) -> Self:
        """Write tokens as they come, and open the file.

        Each takes 2 bytes up to V = 32,768, and else 4. The file appears when it is
        complete; another one in its place is replaced.

        Args:
            path: of the file.
            parts: token indices (n,), one after the other.
            vocabulary_size: V.
            notes: texts to keep in the file, at most 3,000 bytes of them.

        Raises:
            DataError: the file cannot be written.
            InvalidShape: a part is not (n,).
            InvalidType: a part does not hold integers.
            InvalidValue: an index outside [0, V), or too long notes.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.safetensors")
        ...     file = TokenFile.write(path, [np.array([0, 2]), np.array([1])], 3)
        ...     file.tensor(), TokenFile.open(path).vocabulary_size
        (tensor([0, 2, 1], dtype=torch.int16), 3)
        """
        path = Path(path)
        size = positive_int("vocabulary_size", vocabulary_size)
        kind = next(k for k, dtype in KINDS.items() if size - 1 <= np.iinfo(dtype).max)
        unfinished = path.with_name(path.name + ".part")
        length = 0
        # Checked now, and not when hours have passed.
        _header(kind, 2**62, size, notes or {})
        try:
            with unfinished.open("wb") as file:
                file.write(bytes(HEADER))
                for part in parts:
                    numbers = _checked(part, size)
                    file.write(numbers.astype(KINDS[kind]).tobytes())
                    length += len(numbers)
                file.seek(0)
                file.write(_header(kind, length, size, notes or {}))
            unfinished.replace(path)
        except OSError as error:
            raise DataError(
                f"cannot write {path} ({error.strerror}); make room, or choose another "
                "folder"
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a file of ``write``; nothing of its tokens is read.

        Raises:
            DataError: it is missing, or no complete file of tokens.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                if size > HEADER:
                    raise ValueError("its header is too long")
                header = json.loads(file.read(size))
            entry, notes = header["tokens"], header["__metadata__"]
            dtype, (length,) = KINDS[entry["dtype"]], entry["shape"]
            vocabulary_size = int(notes.pop("vocabulary_size"))
            if notes.pop("format") != FORMAT:
                raise ValueError(f"its format should be {FORMAT!r}")
            if path.stat().st_size != 8 + size + length * dtype.itemsize:
                raise ValueError("its end is missing, or something follows it")
            array = np.empty(0, dtype)
            if length:
                # A private map: what would be written stays in memory.
                array = np.memmap(path, dtype, mode="c", offset=8 + size, shape=length)
        except FileNotFoundError as error:
            raise DataError(f"{path} does not exist; check the path") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path} is no complete file of tokens ({error}); make it anew from "
                "the text"
            ) from error
        return cls(path, vocabulary_size, notes, array)

    def __len__(self) -> int:
        return len(self.array)

    def tensor(self) -> Tensor:
        """The indices (N,) as a tensor on the mapped memory, int16 or int32.

        What is cut from it is on that memory too, as long as nothing is copied.
        """
        return torch.from_numpy(self.array)


def _checked(part: Tensor | NDArray[Any], size: int) -> NDArray[Any]:
    numbers = part.numpy(force=True) if isinstance(part, Tensor) else np.asarray(part)
    if numbers.ndim != 1:
        raise InvalidShape(f"tokens must have shape (n,), got {numbers.shape}")
    if not np.issubdtype(numbers.dtype, np.integer):
        raise InvalidType(f"tokens should be integers, got: {numbers.dtype}")
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < size:
        raise InvalidValue(
            f"tokens must lie in [0, {size}), the entries of the vocabulary, got "
            f"values from {numbers.min()} to {numbers.max()}"
        )
    return numbers


def _header(kind: str, length: int, size: int, notes: Mapping[str, str]) -> bytes:
    entry = {
        "dtype": kind,
        "shape": [length],
        "data_offsets": [0, length * KINDS[kind].itemsize],
    }
    known = {"format": FORMAT, "vocabulary_size": str(size)}
    text = json.dumps({"__metadata__": {**notes, **known}, "tokens": entry}).encode()
    room = HEADER - 8
    if len(text) > room:
        raise InvalidValue(
            f"notes make a header of {len(text)} bytes, of at most {room}; shorten them"
        )
    return room.to_bytes(8, "little") + text.ljust(room)
