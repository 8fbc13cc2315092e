"""Files that may be compressed, and files that are replaced only when complete."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from throughtime.errors import DataError

if TYPE_CHECKING:
    from gzip import GzipFile


def open_lines(path: Path) -> BinaryIO:
    """A text file as bytes, unpacked if its name ends in ``.gz`` or ``.zst``.

    Raises:
        DataError: ``.zst`` without the package zstandard.
        OSError: the file cannot be opened.
    """
    if path.suffix == ".gz":
        import gzip
        import io

        # Buffered, because GzipFile itself reads lines slowly.
        return io.BufferedReader(gzip.open(path, "rb"), 1 << 20)
    if path.suffix == ".zst":
        import io

        file = _zstandard(path).ZstdDecompressor().stream_reader(path.open("rb"))
        return io.BufferedReader(file, 1 << 20)
    return path.open("rb", buffering=1 << 20)


@contextmanager
def replaced(path: Path) -> Generator["IO[bytes] | GzipFile"]:
    """Write a file under another name, packed as its suffix says, then rename it.

    What was there is kept until the new file is complete. A process that has it mapped
    keeps what it mapped.

    Raises:
        DataError: it cannot be written, or ``.zst`` without the package zstandard.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb", buffering=1 << 20) as file:
            if path.suffix == ".gz":
                import gzip

                # No name and time in it: equal contents give equal files.
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    yield packed
            elif path.suffix == ".zst":
                compressor = _zstandard(path).ZstdCompressor()
                with compressor.stream_writer(file, closefd=False) as packed:
                    yield packed
            else:
                yield file
        temporary.replace(path)
    except OSError as error:
        raise DataError(
            f"cannot write {path} ({error.strerror}); make room or permit writing there"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _zstandard(path: Path) -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise DataError(
            f"{path}: .zst files need the package zstandard; install it, or use .gz"
        ) from error
    return zstandard
