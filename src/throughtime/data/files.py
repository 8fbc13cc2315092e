"""Text files as they come from users: many, compressed, larger than memory."""

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from throughtime.checks import positive_int
from throughtime.errors import DataError, InvalidType, InvalidValue

# What is read of a folder, also with one of PACKED behind it. A file that is named
# itself may have any name.
SUFFIXES = (".txt", ".text", ".md", ".rst", ".tokens", ".raw")
PACKED = (".gz", ".zst")
BLOCK = 1 << 20
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# One packed byte can stand for thousands.
PACKED_BLOCK = 1 << 16


def read_text(paths: Sequence[str | Path]) -> str:
    """The text of UTF-8 files and folders, one after the other.

    The same as ``"".join(read_blocks(paths))``.

    Raises:
        DataError: a file is missing, unreadable, empty, binary, damaged, or not UTF-8;
            a folder holds no text file; or no file is given.
        InvalidType: ``paths`` is a single path.
    """
    return "".join(read_blocks(paths))


def read_bytes(path: str | Path) -> bytes:
    """What a file holds, unpacked if it ends in ``.gz`` or ``.zst``.

    Raises:
        DataError: it is missing, unreadable or damaged.
    """
    return b"".join(_contents(Path(path), BLOCK))


def read_encoded(path: str | Path, encoding: str = "utf-8") -> str:
    """The text of one file in any encoding, with a newline at the end of each line.

    Otherwise as ``read_blocks``; the text may be empty.

    Raises:
        DataError: the file is missing, unreadable, binary, damaged, or in another
            encoding.
        InvalidValue: no such encoding.
    """
    path = Path(path)
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise InvalidValue(
            f"unknown encoding {encoding!r}: usual are utf-8, latin-1, cp1252, utf-16"
        ) from error
    content = read_bytes(path)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in content and not content.startswith(UTF_16):
            raise DataError(_binary(path)) from error
        line = content.count(b"\n", 0, error.start) + 1
        usual = "utf-16" if content.startswith(UTF_16) else "latin-1"
        raise DataError(
            f"{path}:{line}: not {encoding} (byte {error.start} is "
            f"0x{content[error.start]:02x}); say which it is, for example "
            f"with --encoding {usual}"
        ) from error
    if "\0" in text:
        raise DataError(_binary(path))
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def read_blocks(paths: Sequence[str | Path], size: int = BLOCK) -> Iterator[str]:
    """The text of UTF-8 files and folders in blocks, holding one at a time.

    ``.gz`` and ``.zst`` files are unpacked while they are read. A byte-order mark is
    dropped, line ends become a single newline, and a file that does not end in one is
    given one before the next file begins. Of a folder, see ``text_files``.

    Args:
        paths: files and folders.
        size: bytes read at a time, about the length of a block. Blocks end at the end
            of a line, but for the last one, and those inside a line longer than that.

    Raises:
        DataError: a file is missing, unreadable, empty, binary, damaged, or not UTF-8;
            a folder holds no text file; or no file is given.
        InvalidType: ``paths`` is a single path.
    """
    positive_int("size", size)
    files = text_files(paths)
    return _at_line_ends(_joined(files, size), size)


def text_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files that ``paths`` stand for.

    A folder stands for the text files in it and below, in the order of their names:
    those that end in ``.txt``, ``.text``, ``.md``, ``.rst``, ``.tokens`` or ``.raw``,
    each also with ``.gz`` or ``.zst`` behind it, or in nothing else than these two.
    Hidden files and folders are left out.

    Raises:
        DataError: a folder holds no text file, or no path is given.
        InvalidType: ``paths`` is a single path.
    """
    if isinstance(paths, (str, Path)):
        raise InvalidType(
            f"paths should be a list of paths, got: {type(paths).__name__}; write "
            f"[{str(paths)!r}]"
        )
    if not paths:
        raise DataError("paths is empty; give at least one text file")
    files: list[Path] = []
    for path in map(Path, paths):
        files += _of_folder(path) if _is_folder(path) else [path]
    return files


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # no file can have such a name: said on opening it
        return False


def _of_folder(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise _no_access(error.filename, error) from error

    found, others = [], []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                path = Path(place, name)
                (found if _is_text_name(path) else others).append(path)
    if not found:
        skipped = ", ".join(sorted(p.name for p in others)[:3])
        skipped += ", ..." if len(others) > 3 else ""
        raise DataError(
            f"{folder} is a folder without a text file "
            f"({', '.join(SUFFIXES)}, also {' or '.join(PACKED)}); "
            + (f"skipped {len(others)}: {skipped}; " if others else "")
            + "give another folder, or name the files themselves"
        )
    return sorted(found, key=lambda path: path.parts)


def _is_text_name(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in PACKED:
        suffix = Path(path.stem).suffix.lower()
        return suffix == "" or suffix in SUFFIXES
    return suffix in SUFFIXES


def _joined(files: list[Path], size: int) -> Iterator[str]:
    last = "\n"
    for path in files:
        if last != "\n":
            yield "\n"
        for text in _texts(path, size):
            yield text
            last = text[-1]


def _at_line_ends(texts: Iterator[str], size: int) -> Iterator[str]:
    """The same text, cut anew."""
    begun, length = [], 0
    for text in texts:
        end = text.rfind("\n") + 1
        if end:
            yield "".join([*begun, text[:end]])
            begun, length = [], 0
        if end < len(text):
            begun.append(text[end:])
            length += len(text) - end
        if length >= size:
            yield "".join(begun)
            begun, length = [], 0
    if begun:
        yield "".join(begun)


def _texts(path: Path, size: int) -> Iterator[str]:
    """The normalised text of one file in pieces, none of them empty."""
    utf8 = codecs.getincrementaldecoder("utf-8")()
    lines = io.IncrementalNewlineDecoder(utf8, translate=True)
    position, at_start, is_empty = 0, True, True
    for content in _contents(path, size):
        if b"\0" in content:
            raise DataError(
                f"{path} is not a text file (it holds NUL bytes); give plain UTF-8 text"
            )
        position += len(content)
        try:
            text = lines.decode(content, final=not content)
        except UnicodeDecodeError as error:
            # The decoder has kept the bytes of a character cut by the last border.
            byte = position - len(error.object) + error.start
            raise DataError(
                f"{path} is not UTF-8 (byte {byte} is "
                f"0x{error.object[error.start]:02x}); convert it, for example "
                f"with: iconv -f latin1 -t utf-8 {path.name}"
            ) from error
        if at_start and text:
            text, at_start = text.removeprefix("\ufeff"), False
        if text:
            is_empty = is_empty and not text.strip()
            yield text
    if is_empty:
        raise DataError(f"{path} is empty; give a file with text in it")


def _contents(path: Path, size: int) -> Iterator[bytes]:
    """The unpacked bytes of one file in pieces, and an empty one at the end."""
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            if suffix == ".gz":
                yield from _pieces(gzip.GzipFile(fileobj=file), size)
            elif suffix == ".zst":
                yield from _unpack_zstandard(path, file)
            else:
                yield from _pieces(file, size)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is no complete gzip file ({error}); copy it again, or unpack it"
        ) from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder; give a file") from error
    except PermissionError as error:
        raise _no_access(path, error) from error
    except DataError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path} ({error}); check the path") from error
    yield b""


def _pieces(stream: Any, size: int) -> Iterator[bytes]:
    while content := stream.read(size):
        yield content


def _unpack_zstandard(path: Path, file: BinaryIO) -> Iterator[bytes]:
    import zstandard

    def damaged(reason: object) -> DataError:
        return DataError(
            f"{path} is no complete zstandard file ({reason}); copy it again, or "
            "unpack it"
        )

    # The package's own reader takes a file that was cut off for a complete one.
    begun = zstandard.ZstdDecompressor().decompressobj()
    is_whole = False
    for packed in _pieces(file, PACKED_BLOCK):
        while packed:
            if is_whole:  # another frame follows, as after cat a.zst b.zst
                begun = zstandard.ZstdDecompressor().decompressobj()
            try:
                content = begun.decompress(packed)
            except zstandard.ZstdError as error:
                raise damaged(error) from error
            is_whole, packed = begun.eof, begun.unused_data
            if content:
                yield content
    if not is_whole:
        raise damaged("its end is missing")


def _no_access(path: Path | str, error: OSError) -> DataError:
    return DataError(
        f"cannot read {path} ({error.strerror}); check its permissions, "
        "and that it is no folder"
    )


def _binary(path: Path) -> str:
    return (
        f"{path} is not a text file (it holds NUL bytes); give plain text, or a file "
        "whose name ends as its kind does"
    )
