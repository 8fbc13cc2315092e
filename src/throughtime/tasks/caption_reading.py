"""Pictures, or vectors of numbers, and texts about them."""

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from throughtime.data.arrays import read_arrays
from throughtime.data.files import read_encoded
from throughtime.data.tables import Table, is_table, read_table
from throughtime.errors import DataError
from throughtime.tasks.caption_options import CaptionOptions
from throughtime.tasks.path_table import path_column
from throughtime.tasks.pictures import Album
from throughtime.tasks.task import RawExample

TEXT_COLUMNS = ("caption", "text")
ARRAYS = (".npz",)


def read_captioned(
    file: Path, options: CaptionOptions, *, labelled: bool = True
) -> list[RawExample]:
    """An example per row; the input is a ``Picture`` or a tuple of numbers.

    Examples of one input are one group.

    Raises:
        DataError: the file, a column, a picture or a number cannot be used; it names
            file and line.
    """
    if file.suffix.lower() in ARRAYS:
        return _arrays(file, labelled)
    table = read_table(
        file,
        encoding=options.encoding,
        delimiter=options.delimiter,
        header=options.header,
    )
    texts = _texts(table, options) if labelled else [None] * len(table)
    inputs = _pictures(table, options)
    if options.columns is not None:
        inputs = _vectors(table, options.columns)
    return [
        RawExample(given, text, table.where(i), str(given))
        for i, (given, text) in enumerate(zip(inputs, texts, strict=True))
    ]


def _texts(table: Table, options: CaptionOptions) -> list[str]:
    name = options.text
    if name is None:
        found = [name for name in TEXT_COLUMNS if name in table.columns]
        name = found[0] if found else table.columns[-1]
        if not found and options.header:
            raise DataError(
                f"{table.path} has no column of texts: none of "
                f"{', '.join(table.columns)} is called {' or '.join(TEXT_COLUMNS)}; "
                "name it with --text" + (f"; {table.hint}" if table.hint else "")
            )
    texts = []
    for i, text in enumerate(table.column(name)):
        if text is None or not text.strip():
            raise DataError(
                f"{table.where(i)}: no text in column {name!r}; write it, or take the "
                "row out"
            )
        texts.append(text)
    return texts


def _pictures(table: Table, options: CaptionOptions) -> list[object]:
    if options.columns is not None:
        return []
    name = path_column(table, options.path, options.header)
    place = table.path.parent if options.images is None else Path(options.images)
    album, pictures = Album(place), []
    for i, path in enumerate(table.column(name)):
        if not path or not path.strip():
            raise DataError(
                f"{table.where(i)}: no picture in column {name!r}; take the row out"
            )
        pictures.append(album.find(path.strip(), table.where(i)))
    return pictures


def _vectors(table: Table, pattern: str) -> list[object]:
    wanted = [part.strip() for part in pattern.split(",")]
    names = [c for c in table.columns if any(fnmatchcase(c, part) for part in wanted)]
    for part in wanted:
        if not any(fnmatchcase(name, part) for name in names):
            raise DataError(
                f"{table.path} has no column like {part!r}: there are "
                f"{', '.join(table.columns)}"
            )
    places = [(name, table.position(name)) for name in names]
    return [
        tuple(_number(row[place], name, table.where(i)) for name, place in places)
        for i, row in enumerate(table.rows)
    ]


def _number(text: str | None, name: str, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{where}: expected a number in column {name!r}, got {text!r}; correct it, "
            "or take the row out"
        )
    return value


def _arrays(file: Path, labelled: bool) -> list[RawExample]:
    """``inputs`` (N, F) and ``texts`` (N,) of an npz file."""
    arrays = read_arrays(file)
    for name in ("inputs", "texts") if labelled else ("inputs",):
        if name not in arrays:
            raise DataError(
                f"{file} has no array {name!r}: there are {', '.join(arrays)}"
            )
    inputs = arrays["inputs"]
    texts = arrays["texts"] if labelled else np.array([None] * len(inputs))
    if inputs.ndim != 2 or inputs.dtype.kind not in "fiub":
        raise DataError(
            f"{file}: inputs should be numbers (N, F), got {inputs.dtype} "
            f"{inputs.shape}"
        )
    if texts.shape != inputs.shape[:1]:
        raise DataError(
            f"{file}: texts should be one for each of the {len(inputs)} inputs, got "
            f"{texts.shape}"
        )
    raw = []
    for i, (row, text) in enumerate(
        zip(inputs.astype(float), texts, strict=True), start=1
    ):
        where = f"{file}:{i}"
        if not np.isfinite(row).all():
            raise DataError(f"{where}: inputs hold NaN or infinity; take the row out")
        if labelled and not str(text).strip():
            raise DataError(f"{where}: no text; write it, or take the row out")
        given = tuple(row.tolist())
        raw.append(
            RawExample(given, str(text) if labelled else None, where, str(given))
        )
    return raw


def read_vectors(
    source: Path | str, size: int, options: CaptionOptions
) -> list[RawExample]:
    """The vectors of a table or npz file, or one written out, as ``0.5, 2, -1``.

    The one may also stand in a text file.

    Raises:
        DataError: neither, or not of this size.
    """
    path = Path(source)
    if is_table(path) or path.suffix.lower() in ARRAYS:
        raw: Sequence[RawExample] = read_captioned(path, options, labelled=False)
    else:
        written, where = source, "input"
        if isinstance(source, Path):
            written, where = read_encoded(source, options.encoding), str(source)
        parts = str(written).replace(",", " ").split()
        row = tuple(_number(part, str(i), where) for i, part in enumerate(parts, 1))
        raw = [RawExample(row, None, where)]
    for example in raw:
        if len(example.input) != size:
            raise DataError(
                f"{example.where}: {len(example.input)} "
                f"number{'' if len(example.input) == 1 else 's'}, and what was trained "
                f"reads {size}"
            )
    return list(raw)
