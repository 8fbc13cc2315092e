"""Tables of named columns, from csv, tsv, jsonl and parquet files."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughtime.data.files import PACKED, read_bytes, read_encoded
from throughtime.errors import DataError, InvalidValue

Row = tuple[str | None, ...]
TAB_SUFFIXES = (".tsv", ".tab")
JSON_SUFFIXES = (".jsonl", ".ndjson")
PARQUET_SUFFIXES = (".parquet", ".pq")
SUFFIXES = (".csv", *TAB_SUFFIXES, *JSON_SUFFIXES, *PARQUET_SUFFIXES)
DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns.

    Attributes:
        path: the file.
        columns: their names.
        rows: a value for each column; None where jsonl and parquet files have none.
        lines: the line on which each row begins; of a parquet file its number, from 1.
        hint: what may be wrong with how the file was read; "" if nothing seems to be.
    """

    path: Path
    columns: tuple[str, ...]
    rows: list[Row]
    lines: list[int]
    hint: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def position(self, name: str) -> int:
        """Which column has this name.

        Raises:
            DataError: none has; the message lists those there are.
        """
        if name not in self.columns:
            known = ", ".join(self.columns)
            raise DataError(
                f"{self.path} has no column {name!r}: there are {known}"
                + (f"; {self.hint}" if self.hint else "")
            )
        return self.columns.index(name)

    def column(self, name: str) -> list[str | None]:
        """The values of one column.

        Raises:
            DataError: there is none of this name; the message lists those there are.
        """
        position = self.position(name)
        return [row[position] for row in self.rows]

    def where(self, index: int) -> str:
        """File and line of a row, as in ``reviews.csv:17``."""
        return f"{self.path}:{self.lines[index]}"


def plain_suffix(path: Path) -> str:
    """The end of a file's name without ``.gz`` or ``.zst``, in lower case.

    >>> plain_suffix(Path("reviews.CSV.gz")), plain_suffix(Path("a.txt"))
    ('.csv', '.txt')
    """
    name = path.name.lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return Path(name).suffix


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name."""
    return plain_suffix(path) in SUFFIXES


def read_table(
    path: str | Path,
    *,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    header: bool = True,
) -> Table:
    r"""The table in one file; its kind is told by the end of its name.

    ``.jsonl`` holds one object a line, ``.parquet`` needs pyarrow; everything else is
    text with one row a line and a delimiter. Quotes around a field may hold
    delimiters and newlines, but not in a tab-separated file: there quotes are
    characters like others. Each may also be packed (``.gz``, ``.zst``). Empty lines
    are left out.

    Args:
        path: the file.
        encoding: of text; jsonl is always UTF-8.
        delimiter: one character, or ``tab``; default: a tab where the name ends in
            ``.tsv``, a comma where it ends in ``.csv``; otherwise a tab if there is one
            in the first line, else a comma.
        header: the first row holds the names of the columns. Without, they are named
            1, 2, 3 and so on.

    Raises:
        DataError: the file cannot be used; it names file and line.
        InvalidValue: the delimiter is not one character, or no such encoding.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.csv"
    ...     _ = path.write_text('text,label\n"so,\nso",0\ngood,1\n')
    ...     table = read_table(path)
    >>> table.column("text"), table.lines
    (['so,\nso', 'good'], [2, 4])
    """
    path = Path(path)
    if delimiter in ("tab", "\\t"):
        delimiter = "\t"
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\n\r'):
        raise InvalidValue(
            f"delimiter must be one character, or 'tab', got {delimiter!r}"
        )
    suffix = plain_suffix(path)
    if suffix in JSON_SUFFIXES:
        return _json_lines(path)
    if suffix in PARQUET_SUFFIXES:
        return _parquet(path)
    text = read_encoded(path, encoding)
    if delimiter is None:
        first = text.lstrip("\n").partition("\n")[0]
        usual = "\t" if suffix in TAB_SUFFIXES else ","
        named = suffix in (".csv", *TAB_SUFFIXES)
        delimiter = usual if named or "\t" not in first else "\t"
    return _delimited(path, text, delimiter, header)


def _delimited(path: Path, text: str, delimiter: str, header: bool) -> Table:
    lines, found = [], []
    for line, fields in _records(path, text, delimiter):
        lines.append(line)
        found.append(tuple(fields))
    if not found:
        raise DataError(f"{path} is empty; give a file with rows in it")
    if header:
        columns = tuple(name.strip() for name in found.pop(0))
        _check_columns(path, lines.pop(0), columns)
        if not found:
            raise DataError(
                f"{path} holds nothing but one row, which is read as the names of the "
                "columns; give rows below it, or say that there is no header"
            )
    else:
        columns = tuple(str(i) for i in range(1, len(found[0]) + 1))
    hint = _hint(columns if header else found[0], delimiter)
    for line, fields in zip(lines, found, strict=True):
        if len(fields) != len(columns):
            raise DataError(
                f"{path}:{line}: {len(fields)} field{'s' if len(fields) > 1 else ''} "
                f"instead of {len(columns)}; "
                + (hint or _advice(delimiter, len(fields) > len(columns)))
            )
    return Table(path, columns, list(found), lines, hint)


def _records(
    path: Path, text: str, delimiter: str
) -> Iterator[tuple[int, Sequence[str]]]:
    """Each row with the line on which it begins."""
    if delimiter == "\t":
        for line, fields in enumerate(text.split("\n"), start=1):
            if fields:
                yield line, fields.split("\t")
        return
    limit = csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begun = 1
    try:
        for fields in reader:
            if fields:
                yield begun, fields
            begun = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{begun}: quotes do not match ({error}); a quote within a quoted "
            'field is written twice: "so ""good"" a film"'
        ) from error
    finally:
        csv.field_size_limit(limit)


def _check_columns(path: Path, line: int, columns: tuple[str, ...]) -> None:
    for name in columns:
        if columns.count(name) > 1:
            raise DataError(
                f"{path}:{line}: more than one column is named {name!r}; rename one"
            )


def _hint(first: Sequence[str], delimiter: str) -> str:
    """That another delimiter was meant, where the first row looks like it."""
    if len(first) > 1:
        return ""
    other = next((d for d in DELIMITERS if d != delimiter and d in first[0]), None)
    if other is None:
        return ""
    shown = "tab" if other == "\t" else f"'{other}'"
    return (
        f"the first line holds no {DELIMITERS.get(delimiter, repr(delimiter))} but a "
        f"{DELIMITERS[other]}: try --delimiter {shown}"
    )


def _advice(delimiter: str, is_more: bool) -> str:
    if not is_more:
        shown = DELIMITERS.get(delimiter, repr(delimiter))
        return f"give every row as many, with a {shown} between them"
    if delimiter == "\t":
        return "take tabs out of the texts"
    return f'put fields that hold {delimiter!r} or newlines in quotes: "so, so"'


def _json_lines(path: Path) -> Table:
    found: list[dict[str, Any]] = []
    lines: list[int] = []
    for line, text in enumerate(read_encoded(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except ValueError as error:
            raise DataError(
                f"{path}:{line}: no JSON ({error}); each line should be an object, as "
                '{"text": "so good", "label": "1"}'
            ) from error
        if not isinstance(values, dict):
            raise DataError(
                f"{path}:{line}: each line should be a JSON object, as "
                '{"text": "so good", "label": "1"}, got '
                f"{type(values).__name__}"
            )
        found.append(values)
        lines.append(line)
    if not found:
        raise DataError(f"{path} is empty; give a file with rows in it")
    columns = tuple(dict.fromkeys(name for values in found for name in values))
    rows = [tuple(_as_text(values.get(name)) for name in columns) for values in found]
    return Table(path, columns, rows, lines)


def _parquet(path: Path) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"reading {path} needs pyarrow: pip install 'throughtime[parquet]'"
        ) from error
    try:
        content = parquet.read_table(pyarrow.BufferReader(read_bytes(path)))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is no parquet file, or damaged ({error})") from error
    columns = tuple(content.column_names)
    _check_columns(path, 1, columns)
    if not len(content):
        raise DataError(f"{path} is empty; give a file with rows in it")
    values = [[_as_text(v) for v in column.to_pylist()] for column in content.columns]
    rows = list(zip(*values, strict=True))
    return Table(path, columns, rows, list(range(1, len(rows) + 1)))


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bool, list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
