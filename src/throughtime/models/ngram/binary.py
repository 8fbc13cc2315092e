"""The tables of an n-gram model as one compact file that is mapped into memory.

A safetensors file. Its tensors are ``words.n``, ``starts.n``, ``log_p.n`` and, below
the highest order, ``log_backoff.n`` for every order n from 1, as in ``Level``; whole
numbers in the smallest unsigned type that holds them. Its metadata hold the version of
this layout, a checksum, and what the caller gave.
"""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import InvalidType, InvalidValue, RunError, unknown_name
from throughtime.models.ngram.files import replaced
from throughtime.models.ngram.tables import Level

FORMAT = "1"
DTYPES = {"float32": np.float32, "float64": np.float64}
# Names of our metadata entries; those of the caller may not begin so.
_OURS = "ngram."
_TYPES = {
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
    "F32": np.float32,
    "F64": np.float64,
}
_NAMES = {np.dtype(kind): name for name, kind in _TYPES.items()}


def save_levels(
    path: str | Path,
    levels: Sequence[Level],
    metadata: Mapping[str, str],
    *,
    dtype: str = "float32",
) -> None:
    """Write the tables of a model; equal tables give equal files.

    Args:
        path: the file, replaced if it is there.
        levels: orders 1..n.
        metadata: what to keep with them, for example the vocabulary.
        dtype: of the logarithms, ``float32`` or ``float64``.

    Raises:
        InvalidType: metadata that are no text.
        InvalidValue: an unknown dtype, or a name in ``metadata`` that begins with
            ``ngram.``.
        DataError: the file cannot be written.
    """
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidType(
                f"metadata should map str to str, got {name!r}: {value!r}"
            )
        if name.startswith(_OURS):
            raise InvalidValue(
                f"metadata names must not begin with {_OURS!r}, got {name!r}"
            )
    parts = _parts(levels, np.dtype(DTYPES[dtype]))
    ours = {
        f"{_OURS}format": FORMAT,
        f"{_OURS}order": str(len(levels)),
        f"{_OURS}checksum": _checksum(
            (name, array.astype(kind, copy=False))
            for name, (array, kind) in sorted(parts.items())
        ),
    }
    content = json.dumps({**metadata, **ours}, sort_keys=True, ensure_ascii=False)
    # Written by hand, as the package holds a whole file in memory. The widest numbers
    # come first, so that all of them are aligned.
    order = sorted(parts, key=lambda name: (-parts[name][1].itemsize, name))
    entries: dict[str, Any] = {"__metadata__": {"throughtime": content}}
    end = 0
    for name in order:
        array, kind = parts[name]
        begin, end = end, end + array.size * kind.itemsize
        entries[name] = {
            "dtype": _NAMES[kind],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    header = json.dumps(entries, ensure_ascii=False).encode()
    header = header.ljust(-(-len(header) // 8) * 8)
    with replaced(Path(path)) as file:
        file.write(struct.pack("<Q", len(header)) + header)
        for name in order:
            array, kind = parts[name]
            file.write(np.ascontiguousarray(array, kind).data)


def _parts(
    levels: Sequence[Level], logarithms: np.dtype[Any]
) -> dict[str, tuple[NDArray[Any], np.dtype[Any]]]:
    """The arrays by name, each with the type it gets in the file."""
    parts: dict[str, tuple[NDArray[Any], np.dtype[Any]]] = {}
    # All tokens are in order 1, so that its last is the largest.
    words = np.min_scalar_type(len(levels[0].words) - 1)
    for n, level in enumerate(levels, start=1):
        parts[f"words.{n}"] = np.asarray(level.words), words
        starts = np.min_scalar_type(len(level.words))
        parts[f"starts.{n}"] = np.asarray(level.starts), starts
        parts[f"log_p.{n}"] = np.asarray(level.log_p), logarithms
        if level.log_backoff is not None:
            parts[f"log_backoff.{n}"] = np.asarray(level.log_backoff), logarithms
    return parts


def load_levels(
    path: str | Path, *, verify: bool = False
) -> tuple[list[Level], dict[str, str]]:
    """Map a file of ``save_levels``: nothing is read before it is asked for.

    The arrays can only be read. As long as one of them lives, the file is mapped.

    Args:
        path: the file.
        verify: read everything once, and compare it with the checksum. Without it, the
            layout is checked and single changed bytes go unnoticed.

    Raises:
        RunError: missing, cut off, damaged, or of another format.

    >>> import tempfile
    >>> one = Level(np.arange(2), np.array([0, 2]), np.log([0.75, 0.25]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_levels(f"{folder}/a.ngram", [one], {"order": "1"})
    ...     levels, metadata = load_levels(f"{folder}/a.ngram")
    >>> levels[0].words, metadata
    (array([0, 1], dtype=uint8), {'order': '1'})
    """
    path = Path(path)
    content, arrays = _map(path)
    found = content.get(f"{_OURS}format")
    if found != FORMAT:
        raise RunError(
            f"{path} is no n-gram file of this format: expected {FORMAT!r}, got "
            f"{found!r}; write it anew with this version of the package"
        )
    levels: list[Level] = []
    try:
        order = int(content[f"{_OURS}order"])
        for n in range(1, order + 1):
            backoff = arrays[f"log_backoff.{n}"] if n < order else None
            level = Level(
                arrays[f"words.{n}"],
                arrays[f"starts.{n}"],
                arrays[f"log_p.{n}"],
                backoff,
            )
            contexts = len(levels[-1].words) if levels else 1
            if not _fits(level, contexts):
                raise ValueError(f"the tables of order {n} do not fit together")
            levels.append(level)
        if not levels:
            raise ValueError("no orders")
    except (KeyError, ValueError) as error:
        raise RunError(_damaged(path, error)) from error
    if verify and _checksum(sorted(arrays.items())) != content.get(f"{_OURS}checksum"):
        raise RunError(_damaged(path, "its contents do not match their checksum"))
    given = {k: v for k, v in content.items() if not k.startswith(_OURS)}
    return levels, given


def _map(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Metadata and arrays of a safetensors file, the arrays mapped."""
    from safetensors import SafetensorError, safe_open

    try:
        # Checks the header, and that the tensors fill the file exactly.
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
        mapped = np.asarray(np.memmap(path, np.uint8, "r"))
        (size,) = struct.unpack("<Q", mapped[:8].tobytes())
        header = json.loads(mapped[8 : 8 + size].tobytes())
        content = json.loads(metadata.get("throughtime", "{}"))
        header.pop("__metadata__", None)
        arrays = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            values = mapped[8 + size + begin : 8 + size + end]
            arrays[name] = values.view(_TYPES[entry["dtype"]]).reshape(entry["shape"])
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; give a file of save_levels") from error
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise RunError(_damaged(path, error)) from error
    return content, arrays


def _fits(level: Level, contexts: int) -> bool:
    count = len(level.words)
    integers = level.words.dtype.kind == level.starts.dtype.kind == "u"
    return (
        integers
        and level.log_p.dtype.kind == "f"
        and level.log_p.shape == level.words.shape == (count,)
        and (level.log_backoff is None or level.log_backoff.shape == (count,))
        and level.starts.shape == (contexts + 1,)
        and int(level.starts[0]) == 0
        and int(level.starts[-1]) == count
    )


def _checksum(arrays: Iterable[tuple[str, NDArray[Any]]]) -> str:
    """Of the arrays, in the order of their names."""
    total = 0
    for _, array in arrays:
        total = zlib.crc32(np.ascontiguousarray(array).data, total)
    return f"{total:08x}"


def _damaged(path: Path, cause: object) -> str:
    return f"{path} is damaged ({cause}); restore it from a copy or write it anew"
