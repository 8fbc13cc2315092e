"""Text files as they come from users."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

from throughtime.errors import DataError, InvalidType


def read_text(paths: Sequence[str | Path]) -> str:
    """The text of UTF-8 files, one after the other; ``.gz`` files are unpacked.

    A byte-order mark is dropped, line ends become a single newline, and a file that
    does not end in one is given one before the next file begins.

    Raises:
        DataError: a file is missing, a folder, unreadable, empty, binary, damaged, or
            not UTF-8; or no file is given.
        InvalidType: ``paths`` is a single path.
    """
    if isinstance(paths, (str, Path)):
        raise InvalidType(
            f"paths should be a list of paths, got: {type(paths).__name__}; write "
            f"[{str(paths)!r}]"
        )
    if not paths:
        raise DataError("paths is empty; give at least one text file")
    texts: list[str] = []
    for path in paths:
        if texts and not texts[-1].endswith("\n"):
            texts.append("\n")
        texts.append(_read(Path(path)))
    return "".join(texts)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder; give a text file inside it") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is no complete gzip file ({error}); copy it again, or unpack it"
        ) from error
    except PermissionError as error:
        raise DataError(
            f"cannot read {path} ({error.strerror}); check its permissions, "
            "and that it is no folder"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path} ({error}); check the path") from error
    if b"\0" in content:
        raise DataError(
            f"{path} is not a text file (it holds NUL bytes); give plain UTF-8 text"
        )
    try:
        text = content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 (byte {error.start} is "
            f"0x{content[error.start]:02x}); convert it, for example "
            f"with: iconv -f latin1 -t utf-8 {path.name}"
        ) from error
    if not text.strip():
        raise DataError(f"{path} is empty; give a file with text in it")
    return text.replace("\r\n", "\n").replace("\r", "\n")
