"""Labelled examples of all kinds, from the files that people have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from throughtime.data.tables import Table, is_table, plain_suffix
from throughtime.errors import DataError
from throughtime.tasks.labelled_files import kind_of_file, labelled_files, path_column
from throughtime.tasks.labelled_series import IDX, labelled_series
from throughtime.tasks.labelled_text import (
    labelled_texts,
    open_table,
    unlabelled_texts,
)
from throughtime.tasks.labels import as_number
from throughtime.tasks.reading_options import ReadingOptions
from throughtime.tasks.task import RawExample

SERIES_SUFFIXES = (".ts", ".npz")
# Rows that are looked at to tell numbers from texts.
LOOKED_AT = 20


def read_labelled(files: Sequence[Path], options: ReadingOptions) -> list[RawExample]:
    """The examples in these files: inputs, labels as they were written, and groups.

    An input is a text; the path of a sound or a picture; or an array: a series
    (T, F) or a vector (F,) of floats, a picture (height, width) of bytes.

    Raises:
        DataError: a file cannot be used; it names file and line.
    """
    if not files:
        raise DataError("no file is given; give at least one")
    kind = options.inputs or guess_kind(files, options)
    if kind == "text":
        return labelled_texts(files, options)
    if kind in ("audio", "image") and not any(map(_is_array_file, files)):
        return labelled_files(files, kind, options)
    return labelled_series(files, kind, options)


def read_unlabelled(
    source: Path | str, options: ReadingOptions, kind: str
) -> list[RawExample]:
    """Examples without targets, for a model to answer.

    Args:
        source: a file or a folder; or a string: a text itself, or of other kinds a
            path.
        options: see ``ReadingOptions``.
        kind: of the inputs, as ``text``.

    Raises:
        DataError: the file cannot be used; it names file and line.
    """
    if kind == "text":
        if isinstance(source, str):
            return [RawExample(source, None, "the text given")]
        return unlabelled_texts(source, options)
    path = Path(source)
    if not path.exists():
        raise DataError(f"{source} does not exist; check the path")
    if kind in ("audio", "image") and not _is_array_file(path):
        return labelled_files([path], kind, options, labelled=False)
    return labelled_series([path], kind, options, labelled=False)


def guess_kind(files: Sequence[Path], options: ReadingOptions) -> str:
    """``text``, ``series``, ``audio`` or ``image``, as the files look.

    Raises:
        DataError: some look like this and some like that.
    """
    kinds: dict[str, Path] = {}
    for path in files:
        kinds.setdefault(_kind_of_path(path, options), path)
    if len(kinds) > 1:
        listed = ", ".join(f"{path} as {kind}" for kind, path in kinds.items())
        raise DataError(
            f"the files hold different things ({listed}); say which it is, as with "
            "--inputs text"
        )
    return next(iter(kinds))


def kind_of(raw: Sequence[RawExample]) -> str:
    """The kind of inputs of examples that ``read_labelled`` has read.

    Raises:
        DataError: there are none, or the first is of no kind.

    >>> kind_of([RawExample("so good", "1", "a.csv:2")])
    'text'
    """
    first: Any = raw[0].input if raw else None
    if isinstance(first, str):
        return "text"
    if isinstance(first, Path) and (kind := kind_of_file(first)):
        return kind
    if isinstance(first, np.ndarray):
        if first.dtype == np.uint8:
            return "image"
        return "vector" if first.ndim == 1 else "series"
    raise DataError(
        f"{raw[0].where}: the input is neither text, sound, picture nor numbers"
        if raw
        else "there are no examples"
    )


def _is_array_file(path: Path) -> bool:
    return plain_suffix(path) in SERIES_SUFFIXES or IDX.search(path.name) is not None


def _kind_of_path(path: Path, options: ReadingOptions) -> str:
    if path.is_dir():
        names = (p for p in sorted(path.rglob("*")) if not p.name.startswith("."))
        kinds = {kind: name for name in names if (kind := kind_of_file(name))}
        if len(kinds) > 1:
            listed = " and ".join(str(name) for name in kinds.values())
            raise DataError(
                f"{path} holds both sounds and pictures ({listed}); say which to read, "
                "as with --inputs audio"
            )
        return next(iter(kinds), "text")
    if kind := kind_of_file(path):
        return kind
    if IDX.search(path.name):
        return "image"
    if plain_suffix(path) in SERIES_SUFFIXES:
        return "series"
    if is_table(path) and options.pattern is None:
        return _kind_of_table(open_table(path, options), options)
    return "text"


def _kind_of_table(table: Table, options: ReadingOptions) -> str:
    has_text = options.header and "text" in table.columns and options.path is None
    if options.text is not None or has_text:
        return "text"
    name = path_column(table, options)
    if name is not None:
        first = next((value for value in table.column(name) if value), "")
        kind = kind_of_file(first.strip())
        if kind is None:
            raise DataError(
                f"{table.where(0)}: {first!r} in column {name!r} is neither a sound "
                "nor a picture; say with --text or --path what is to be read"
            )
        return kind
    label = options.label or ("label" if options.header else table.columns[-1])
    other = [
        i
        for i, name in enumerate(table.columns)
        if name not in (label, options.group, options.sequence)
    ]
    values = [row[i] for row in table.rows[:LOOKED_AT] for i in other]
    present = [v for v in values if v and v.strip().lower() not in ("nan", "?")]
    if present and all(as_number(value) is not None for value in present):
        return "series"
    return "text"
