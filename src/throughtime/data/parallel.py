"""Pairs of texts: what is said in one language, and the same in another.

Or an article and its summary, a name and how it is written elsewhere: a source and its
target.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from throughtime.data.files import read_encoded
from throughtime.data.tables import Table, is_table, read_table
from throughtime.errors import DataError, unknown_name

MISSING = ("error", "skip")
COLUMNS = ("source", "target")


class Pair(NamedTuple):
    """A source and its target.

    source: without white space around it, and with single spaces inside.
    target: likewise.
    where: file and line, as in ``train.en:17``.
    where_target: of the target, where it stands in another file.
    """

    source: str
    target: str
    where: str
    where_target: str | None = None


def plain(text: str) -> str:
    r"""A text with single spaces for all white space, none around it.

    >>> plain(" so\n good\t")
    'so good'
    """
    return " ".join(text.split())


def read_pairs(
    files: Sequence[str | Path],
    *,
    source: str | None = None,
    target: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    missing: str = "error",
) -> list[Pair]:
    r"""The pairs in these files, each of which may also be packed (.gz, .zst).

    Tables (csv, tsv, jsonl, parquet) hold one pair a row. Text files come by twos, and
    line i of the first belongs to line i of the second; a single one holds a source, a
    tab and its target in each line.

    Args:
        files: tables, or text files, not both.
        source: column of the sources, by name or as a number from 1; default: the one
            named ``source``, else the first.
        target: column of the targets; default: the one named ``target``, else the
            second.
        encoding: of text.
        delimiter: between columns, see ``read_table``.
        missing: what becomes of a pair with an empty side: ``error`` or ``skip``.

    Raises:
        DataError: a file cannot be used; it names file and line.
        InvalidValue: ``missing`` or ``encoding`` is unknown.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "fra.txt"
    ...     _ = path.write_text("Go.\tVa !\nGo.\tMarche.\n")
    ...     [pair.target for pair in read_pairs([path])]
    ['Va !', 'Marche.']
    """
    if missing not in MISSING:
        raise unknown_name("way with missing texts", missing, MISSING)
    paths = [Path(file) for file in files]
    tables = [path for path in paths if is_table(path)]
    if tables and len(tables) < len(paths):
        other = next(path for path in paths if not is_table(path))
        raise DataError(
            f"{tables[0]} is a table and {other} is not; give tables, or text files by "
            "twos"
        )
    found: list[Pair] = []
    if tables or len(paths) == 1:
        for path in paths:
            found += _of_table(path, source, target, encoding, delimiter)
    elif len(paths) % 2 or not paths:
        raise DataError(
            f"got {len(paths)} text files; give sources and targets by twos, as "
            "train.en train.de, or one file with a tab between both"
        )
    else:
        for first, second in zip(paths[::2], paths[1::2], strict=True):
            found += _of_lines(first, second, encoding)
    return _complete(found, missing, ", ".join(path.name for path in paths))


def _of_lines(first: Path, second: Path, encoding: str) -> list[Pair]:
    sources, targets = (read_lines(path, encoding) for path in (first, second))
    if len(sources) != len(targets):
        raise DataError(
            f"{first} has {len(sources):,} lines and {second} {len(targets):,}; line i "
            "of one must belong to line i of the other"
        )
    return [
        Pair(plain(a), plain(b), f"{first}:{i}", f"{second}:{i}")
        for i, (a, b) in enumerate(zip(sources, targets, strict=True), start=1)
    ]


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    """The lines of a text file.

    Raises:
        DataError: the file cannot be used, or is empty.
    """
    text = read_encoded(path, encoding)
    if not text.strip():
        raise DataError(f"{path} is empty; give a file with text in it")
    return text.removesuffix("\n").split("\n")


def read_sources(
    path: Path,
    *,
    source: str | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> list[tuple[str, str]]:
    """Sources alone, each with file and line: of a table, or one in each line.

    Raises:
        DataError: the file cannot be used; it names file and line.
    """
    if is_table(path):
        table = _table(path, source, None, encoding, delimiter)
        values = table.column(_column(table, source, 0))
        return [(plain(v or ""), table.where(i)) for i, v in enumerate(values)]
    lines = read_lines(path, encoding)
    return [(plain(line), f"{path}:{i}") for i, line in enumerate(lines, start=1)]


def _of_table(
    path: Path,
    source: str | None,
    target: str | None,
    encoding: str,
    delimiter: str | None,
) -> list[Pair]:
    if not is_table(path) and delimiter is None:
        delimiter = "tab"
    table = _table(path, source, target, encoding, delimiter)
    if len(table.columns) < 2:
        raise DataError(
            f"{path} has one column, and pairs need two; give a second file with the "
            "targets, or put a tab between source and target"
            + (f" ({table.hint})" if table.hint else "")
        )
    columns = [_column(table, source, 0), _column(table, target, 1)]
    if columns[0] == columns[1]:
        raise DataError(
            f"{path}: source and target are both column {columns[0]!r}; name another "
            f"of {', '.join(table.columns)}"
        )
    sides = zip(*(table.column(column) for column in columns), strict=True)
    return [
        Pair(plain(a or ""), plain(b or ""), table.where(i))
        for i, (a, b) in enumerate(sides)
    ]


def _table(
    path: Path,
    source: str | None,
    target: str | None,
    encoding: str,
    delimiter: str | None,
) -> Table:
    """The table; its first row holds names where one is asked for, or the usual."""
    named = [name for name in (source, target) if name is not None]
    is_named = any(not name.isdigit() for name in named)
    table = read_table(path, encoding=encoding, delimiter=delimiter, header=is_named)
    if not is_named and table.columns[0] == "1" and table.rows:
        first = tuple((name or "").strip() for name in table.rows[0])
        if set(COLUMNS) <= set(first):
            return read_table(path, encoding=encoding, delimiter=delimiter)
    return table


def _column(table: Table, name: str | None, place: int) -> str:
    if name is None:
        usual = COLUMNS[place]
        return usual if usual in table.columns else table.columns[place]
    if name.isdigit() and name not in table.columns:
        if not 1 <= int(name) <= len(table.columns):
            raise DataError(
                f"{table.path} has no column {name}: there are {len(table.columns)}"
            )
        return table.columns[int(name) - 1]
    return name


def _complete(pairs: list[Pair], missing: str, names: str) -> list[Pair]:
    kept = []
    for pair in pairs:
        if pair.source and pair.target:
            kept.append(pair)
        elif missing == "error":
            side, where = "source", pair.where
            if pair.source:
                side, where = "target", pair.where_target or pair.where
            raise DataError(
                f"{where}: the {side} is empty; fill it in, or leave such pairs "
                "out with --missing skip"
            )
    if not kept:
        raise DataError(f"{names}: no pair has both a source and a target; give some")
    return kept
