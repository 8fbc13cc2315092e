"""Sequences with labels of their steps, from column files and tables."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from throughtime.data.conll import read_conll
from throughtime.data.files import read_encoded
from throughtime.data.images import read_picture
from throughtime.data.tables import TAB_SUFFIXES, Table, plain_suffix, read_table
from throughtime.data.tables import is_table as is_named_table
from throughtime.errors import DataError
from throughtime.tasks.tag_options import TagOptions
from throughtime.tasks.task import RawExample

GROUPS = ("sentence", "sequence", "video")
WORDS = ("token", "word", "text")
RANGE = re.compile(r"(\d+)-(\d+)")
NOT_A_NUMBER = ("", "nan", "na", "null", "?")


class Frames(NamedTuple):
    """Pictures of a video.

    pictures: bytes, (T, C, height, width), 0 where there is none.
    present: False where a step has no picture, (T,).
    """

    pictures: NDArray[np.uint8]
    present: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pictures)


def read_sequences(
    files: Sequence[Path], options: TagOptions, *, labelled: bool = True
) -> list[RawExample]:
    """Inputs and labels of all sequences.

    An input is a tuple of words, "" where a step has none; numbers, float32 (T, D), NaN
    where there are none; or ``Frames``. A target is a tuple of labels, one for each
    step, None where it is missing.

    Raises:
        DataError: a file cannot be used; it names file and line.
    """
    found: list[RawExample] = []
    for path in map(Path, files):
        if is_table(path, options):
            found += _of_table(path, options, labelled)
        else:
            found += _of_columns(path, options, labelled)
    return found


def read_sentences(source: Path | str, encoding: str) -> list[RawExample]:
    """A sentence from each line, its tokens between white space.

    Args:
        source: a file, or the text itself.
        encoding: of the file.

    Raises:
        DataError: the file cannot be used, or is empty.
    """
    if isinstance(source, Path):
        text, name = read_encoded(source, encoding), f"{source}:"
        if not text.strip():
            raise DataError(f"{source} is empty; give a file with text in it")
    else:
        text, name = source, "line "
    return [
        RawExample(tuple(line.split()), None, f"{name}{number}")
        for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1)
    ]


def is_table(path: Path, options: TagOptions) -> bool:
    """Whether a file is read as a table: words may also stand in column files.

    A ``.tsv`` file of words is a column file unless ``group`` is given.
    """
    if options.kind != "words":
        return True
    if plain_suffix(path) in TAB_SUFFIXES:
        return options.group is not None
    return is_named_table(path)


def _of_columns(path: Path, options: TagOptions, labelled: bool) -> list[RawExample]:
    sentences = read_conll(
        path,
        word=options.text,
        label=options.label,
        labelled=labelled,
        encoding=options.encoding,
    )
    return [
        RawExample(s.words, s.labels if labelled else None, f"{path}:{s.line}")
        for s in sentences
    ]


def _of_table(path: Path, options: TagOptions, labelled: bool) -> list[RawExample]:
    table = read_table(
        path,
        encoding=options.encoding,
        delimiter=options.delimiter,
        header=options.header,
    )
    groups = _groups(table, options.group)
    labels = table.column(options.label or "label") if labelled else None
    found, words = [], []
    if options.kind == "words":
        words = table.column(_usual(table, "text", options.text, WORDS))
    for name, rows in groups.items():
        if options.kind == "words":
            inputs = _words(table, words, rows, options)
        elif options.kind == "numbers":
            inputs = _numbers(table, rows, options)
        else:
            inputs = _frames(table, rows, options)
        target = None if labels is None else tuple(_label(labels[i]) for i in rows)
        found.append(RawExample(inputs, target, table.where(rows[0]), name))
    return found


def _label(value: str | None) -> str | None:
    return None if value is None or value.strip() in ("", "_") else value.strip()


def _usual(table: Table, option: str, chosen: str | None, usual: Sequence[str]) -> str:
    """The column that was chosen, or the first of the usual ones."""
    if chosen is not None:
        return chosen
    for name in usual:
        if name in table.columns:
            return name
    raise DataError(
        f"{table.path} has no column named {' or '.join(usual)}: there are "
        f"{', '.join(table.columns)}; choose one with --{option}"
    )


def _groups(table: Table, chosen: str | None) -> dict[str, list[int]]:
    """The rows of each sequence, in the order of the file."""
    groups: dict[str, list[int]] = {}
    column = _usual(table, "group", chosen, GROUPS)
    for i, name in enumerate(table.column(column)):
        if name is None or not name.strip():
            raise DataError(
                f"{table.where(i)}: nothing in column {column!r}, which says to which "
                "sequence a row belongs; fill it in"
            )
        groups.setdefault(name, []).append(i)
    return groups


def _refuse_gap(table: Table, row: int, what: str, options: TagOptions) -> None:
    if options.missing == "error":
        raise DataError(
            f"{table.where(row)}: {what}; fill it in, or keep the step without input "
            "with --missing skip"
        )


def _words(
    table: Table, words: Sequence[str | None], rows: Sequence[int], options: TagOptions
) -> tuple[str, ...]:
    found = [(words[i] or "").strip() for i in rows]
    for i, word in zip(rows, found, strict=True):
        if not word:
            _refuse_gap(table, i, "no word", options)
    return tuple(found)


def _value_columns(table: Table, values: str) -> list[int]:
    """Positions of columns that are named, or numbered as in 7-134."""
    positions: list[int] = []
    for part in (part.strip() for part in values.split(",")):
        found = RANGE.fullmatch(part)
        if found is None or part in table.columns:
            positions.append(table.position(part))
            continue
        first, last = int(found[1]), int(found[2])
        if not 1 <= first <= last <= len(table.columns):
            raise DataError(
                f"{table.path} has columns 1 to {len(table.columns)}, not {part}"
            )
        positions += range(first - 1, last)
    return positions


def _numbers(
    table: Table, rows: Sequence[int], options: TagOptions
) -> NDArray[np.float32]:
    assert options.values is not None
    positions = _value_columns(table, options.values)
    fields = [[table.rows[i][p] for p in positions] for i in rows]
    try:  # all at once, which is fast
        numbers = np.array(fields, dtype=np.float32)
    except (TypeError, ValueError):
        numbers = np.empty((len(rows), len(positions)), np.float32)
        for t, i in enumerate(rows):
            numbers[t] = [_number(table, i, p) for p in positions]
    for t, p in np.argwhere(~np.isfinite(numbers)):
        name = table.columns[positions[p]]
        if np.isinf(numbers[t, p]):
            raise DataError(
                f"{table.where(rows[t])}: {name} is {fields[t][p]}, no finite number"
            )
        _refuse_gap(table, rows[t], f"{name} has no number", options)
    return numbers


def _number(table: Table, row: int, position: int) -> float:
    field = (table.rows[row][position] or "").strip()
    try:
        return float("nan") if field.lower() in NOT_A_NUMBER else float(field)
    except ValueError as error:
        raise DataError(
            f"{table.where(row)}: {table.columns[position]} is {field!r}, no number"
        ) from error


def _frames(table: Table, rows: Sequence[int], options: TagOptions) -> Frames:
    assert options.frame is not None
    names = table.column(options.frame)
    size, channels = options.picture_size, 3 if options.colour else 1
    pictures = np.zeros((len(rows), channels, size, size), np.uint8)
    present = np.ones(len(rows), np.bool_)
    for t, i in enumerate(rows):
        name = (names[i] or "").strip()
        if name:
            pictures[t] = _picture(table, i, table.path.parent / name, options)
        else:
            _refuse_gap(table, i, "no picture", options)
            present[t] = False
    return Frames(pictures, present)


def _picture(
    table: Table, row: int, path: Path, options: TagOptions
) -> NDArray[np.uint8]:
    size = options.picture_size
    try:
        pixels = read_picture(path, height=size, width=size, colour=options.colour)
    except DataError as error:
        raise DataError(
            f"{table.where(row)}: {error}; paths are read from the folder of the table "
            "on"
        ) from error
    return pixels.transpose(2, 0, 1) if options.colour else pixels[None]
