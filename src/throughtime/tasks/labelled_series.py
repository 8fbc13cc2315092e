"""Series, vectors and pictures of numbers, with labels."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.arrays import read_arrays
from throughtime.data.idx import read_idx
from throughtime.data.tables import Table, is_table, plain_suffix
from throughtime.data.ts import read_ts
from throughtime.errors import DataError
from throughtime.tasks.labelled_text import label_of, named_column, open_table
from throughtime.tasks.labels import check_labels
from throughtime.tasks.reading_options import ReadingOptions
from throughtime.tasks.task import RawExample

IDX = re.compile(r"idx\d-ubyte")
# Names of the arrays in a npz file, the first that there is.
INPUT_NAMES = ("inputs", "X", "x", "data")
LABEL_NAMES = ("labels", "y", "Y", "targets")
MISSING = ("", "nan", "na", "null", "?")
Array = NDArray[Any]


def labelled_series(
    files: Sequence[Path], kind: str, options: ReadingOptions, *, labelled: bool = True
) -> list[RawExample]:
    """Arrays of numbers and their labels.

    - ``.ts`` files of the UEA and UCR archives.
    - ``.npz`` files with the arrays ``inputs`` (or X), ``labels`` (or y) and, where
      series are filled up to one length, ``lengths``.
    - ``idx`` files of pictures, beside which those of the labels are looked for.
    - Tables with one series of one feature in each row; or, with the option
      ``sequence``, one step in each row.

    An input is a series (T, F), or of kind ``vector`` (F,), NaN where a number is
    missing; or a picture of bytes.

    Raises:
        DataError: a file cannot be used; it names file and line.
    """
    found: list[RawExample] = []
    for path in files:
        if IDX.search(path.name):
            found += _of_idx(path, labelled)
        elif plain_suffix(path) == ".ts":
            found += _of_ts(path, options, labelled)
        elif plain_suffix(path) == ".npz":
            found += _of_npz(path, kind, options, labelled)
        elif _is_table(path) or options.delimiter is not None:
            table = open_table(path, options)
            way = _by_row if options.sequence is None else _by_sequence
            found += way(table, kind, options, labelled)
        else:
            raise DataError(
                f"{path} holds no numbers by its name; give a table, .ts, .npz or idx "
                "file, or name the --delimiter"
            )
    if not found:
        raise DataError(f"{files[0]} holds labels alone; give the file of pictures")
    return found


def _is_table(path: Path) -> bool:
    return is_table(path) or plain_suffix(path) == ".txt"


def _of_ts(path: Path, options: ReadingOptions, labelled: bool) -> list[RawExample]:
    series, labels, lines = read_ts(path)
    raw = []
    for array, label, line in zip(series, labels, lines, strict=True):
        where = f"{path}:{line}"
        if options.missing == "error" and np.isnan(array).any():
            raise DataError(
                f"{where}: a number is missing; fill it in, or say --missing skip"
            )
        target = label_of(label, where, options) if labelled else None
        raw.append(RawExample(array, target, where))
    return raw


def _of_idx(path: Path, labelled: bool) -> list[RawExample]:
    if "idx1" in path.name:  # labels: read with their pictures
        return []
    pictures = read_idx(path)
    labels: Sequence[Any] = [None] * len(pictures)
    if labelled:
        name = path.name.replace("images", "labels").replace("idx3", "idx1")
        beside = path.with_name(name)
        if name == path.name or not beside.is_file():
            raise DataError(
                f"{path} has no file of labels beside it: {beside} does not exist"
            )
        labels = [str(int(label)) for label in read_idx(beside)]
        _same_number(path, len(pictures), len(labels))
    return [
        RawExample(picture, label, f"{path}:{i}")
        for i, (picture, label) in enumerate(zip(pictures, labels, strict=True), 1)
    ]


def _of_npz(
    path: Path, kind: str, options: ReadingOptions, labelled: bool
) -> list[RawExample]:
    arrays = read_arrays(path)
    inputs = _array(path, arrays, INPUT_NAMES)
    if inputs.dtype.kind not in "biuf" or inputs.ndim < 2:
        raise DataError(
            f"{path}: the inputs must be numbers, (N, F), (N, T, F) or pictures, got "
            f"{inputs.dtype} {inputs.shape}"
        )
    if not len(inputs):
        raise DataError(f"{path} holds no examples; give a file with some")
    lengths = arrays.get("lengths", np.full(len(inputs), inputs.shape[1]))
    _one_each(path, "lengths", lengths, len(inputs))
    if (
        lengths.dtype.kind not in "iu"
        or not ((lengths >= 0) & (lengths <= inputs.shape[1])).all()
    ):
        raise DataError(
            f"{path}: lengths must be whole numbers from 0 to {inputs.shape[1]}, the "
            f"steps of the inputs, got {lengths.dtype} such as {lengths[:3].tolist()}"
        )
    labels: Sequence[Any] = [None] * len(inputs)
    if labelled:
        given = _array(path, arrays, LABEL_NAMES)
        _one_each(path, "labels", given, len(inputs))
        wheres = [f"{path}:{i}" for i in range(1, len(inputs) + 1)]
        labels = [
            label_of("" if label != label else str(label), where, options)  # NaN
            for label, where in zip(given.tolist(), wheres, strict=True)
        ]
    raw = []
    for i, (array, label) in enumerate(zip(inputs, labels, strict=True), start=1):
        part = array[: int(lengths[i - 1])]
        if kind == "series" and part.ndim == 1:
            part = part[:, None]
        raw.append(RawExample(_numbers(part, kind), label, f"{path}:{i}"))
    check_labels(raw)
    return raw


def _numbers(array: Array, kind: str) -> Array:
    return array if kind == "image" else array.astype(np.float32)


def _array(path: Path, arrays: dict[str, Array], names: Sequence[str]) -> Array:
    found = next((name for name in names if name in arrays), None)
    if found is None:
        raise DataError(
            f"{path} has no array {names[0]!r} (or {', '.join(names[1:])}): there are "
            f"{', '.join(arrays) or 'none'}"
        )
    return arrays[found]


def _same_number(path: Path, inputs: int, labels: int) -> None:
    if inputs != labels:
        raise DataError(
            f"{path}: {inputs} inputs have {labels} labels; give one to each"
        )


def _one_each(path: Path, name: str, values: Array, inputs: int) -> None:
    if values.shape != (inputs,):
        raise DataError(
            f"{path}: {name} should be one for each of the {inputs} inputs, got "
            f"{values.shape}"
        )


def _by_row(
    table: Table, kind: str, options: ReadingOptions, labelled: bool
) -> list[RawExample]:
    label, features = _columns(table, options, labelled)
    labels = table.column(label) if label is not None else [None] * len(table)
    groups = _groups(table, options)
    raw = []
    for i in range(len(table)):
        row = np.array(list(_row(table, i, features, options)), dtype=np.float32)
        raw.append(
            RawExample(
                row if kind == "vector" else row[:, None],
                label_of(labels[i], table.where(i), options) if label else None,
                table.where(i),
                groups[i],
            )
        )
    check_labels(raw)
    return raw


def _by_sequence(
    table: Table, kind: str, options: ReadingOptions, labelled: bool
) -> list[RawExample]:
    """Rows with the same value in the column ``sequence`` are one series."""
    assert options.sequence is not None
    if kind == "vector":
        raise DataError(f"{table.path}: a vector has one row; leave --sequence out")
    steps: dict[str | None, list[int]] = {}
    for i, name in enumerate(table.column(options.sequence)):
        steps.setdefault(name, []).append(i)
    label, features = _columns(table, options, labelled)
    labels = table.column(label) if label is not None else [None] * len(table)
    groups = _groups(table, options)
    raw = []
    for name, rows in steps.items():
        for i in rows:
            if labels[i] != labels[rows[0]]:
                raise DataError(
                    f"{table.where(i)}: the sequence {name!r} has the label "
                    f"{labels[i]!r} here and {labels[rows[0]]!r} on line "
                    f"{table.lines[rows[0]]}; a sequence has one label"
                )
        where = table.where(rows[0])
        values = [list(_row(table, i, features, options)) for i in rows]
        target = label_of(labels[rows[0]], where, options) if label else None
        array = np.array(values, dtype=np.float32)
        raw.append(RawExample(array, target, where, groups[rows[0]]))
    check_labels(raw)
    return raw


def _columns(
    table: Table, options: ReadingOptions, labelled: bool
) -> tuple[str | None, list[int]]:
    """The column of the labels, and where the numbers stand."""
    label = None
    if labelled:
        label = named_column(table, options.label, "label", -1, options)
    elif options.header or options.label is not None:
        # What is to be answered may have no labels, or no longer needs them.
        name = options.label or "label"
        label = name if name in table.columns else None
    other = (label, options.group, options.sequence)
    features = [i for i, name in enumerate(table.columns) if name not in other]
    if not features:
        raise DataError(f"{table.path} has no column of numbers beside the labels")
    return label if labelled else None, features


def _groups(table: Table, options: ReadingOptions) -> list[str | None]:
    if options.group is None:
        return [None] * len(table)
    return table.column(options.group)


def _row(
    table: Table, index: int, features: list[int], options: ReadingOptions
) -> Iterator[float]:
    for column in features:
        value = table.rows[index][column]
        what = f"{table.where(index)}: column {table.columns[column]!r}"
        if value is None or value.strip().lower() in MISSING:
            if options.missing == "error":
                raise DataError(
                    f"{what}: a number is missing; fill it in, or say --missing skip"
                )
            yield float("nan")
            continue
        try:
            yield float(value)
        except ValueError as error:
            raise DataError(f"{what} holds {value!r}, which is no number") from error
