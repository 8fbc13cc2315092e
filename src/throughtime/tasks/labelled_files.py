"""Sounds and pictures and their labels: files that a table, folders or names label."""

import re
from collections.abc import Sequence
from pathlib import Path

from throughtime.data.tables import Table, is_table
from throughtime.errors import DataError
from throughtime.tasks.labelled_text import label_of, named_column, open_table
from throughtime.tasks.labels import check_labels
from throughtime.tasks.path_table import PATH_COLUMNS, PICTURES, SOUNDS
from throughtime.tasks.reading_options import ReadingOptions
from throughtime.tasks.task import RawExample

SUFFIXES = {"audio": SOUNDS, "image": PICTURES}
WHATS = {"audio": "sound", "image": "picture"}


def kind_of_file(path: Path | str) -> str | None:
    """``audio``, ``image`` or None, by the end of a file's name.

    >>> kind_of_file("a/7_jackson.WAV"), kind_of_file("a.csv")
    ('audio', None)
    """
    suffix = Path(path).suffix.lower()
    return next((kind for kind, known in SUFFIXES.items() if suffix in known), None)


def labelled_files(
    files: Sequence[Path], kind: str, options: ReadingOptions, *, labelled: bool = True
) -> list[RawExample]:
    r"""Sounds or pictures, by path, and their labels.

    - A table with a column of paths, which start from the table's folder.
    - A folder with a sub-folder for each label.
    - Files or folders of them with a pattern for their names, as
      ``(?P<label>\d)_(?P<group>[a-z]+)`` for ``7_jackson_12.wav``.

    Args:
        files: tables, folders, or sounds and pictures themselves.
        kind: ``audio`` or ``image``.
        options: see ``ReadingOptions``.
        labelled: whether examples must have a label; without, none has one.

    Raises:
        DataError: something is missing; it names file and line.
    """
    found: list[RawExample] = []
    for path in files:
        if path.is_dir():
            found += _of_folder(path, kind, options, labelled)
        elif is_table(path):
            found += _of_table(path, options, labelled)
        elif not path.is_file():
            raise DataError(f"{path} does not exist; check the path")
        elif not labelled:
            found.append(RawExample(path, None, str(path)))
        else:
            found.append(_named(path, path.resolve().parent.name, options))
    return found


def path_column(table: Table, options: ReadingOptions) -> str | None:
    """The column of a table that holds paths, or None if none is named as one.

    Raises:
        DataError: the table has not the column that was chosen.
    """
    if options.path is not None:
        table.position(options.path)
        return options.path
    if not options.header:
        first = table.rows[0][0]
        return "1" if first and kind_of_file(first.strip()) else None
    return next((name for name in PATH_COLUMNS if name in table.columns), None)


def _of_table(path: Path, options: ReadingOptions, labelled: bool) -> list[RawExample]:
    table = open_table(path, options)
    name = path_column(table, options)
    if name is None:
        name = named_column(table, None, "path", 0, options)
    names, labels = table.column(name), [None] * len(table)
    if labelled:
        labels = table.column(named_column(table, options.label, "label", -1, options))
    groups = [None] * len(table)
    if options.group is not None and (labelled or options.group in table.columns):
        groups = table.column(options.group)
    raw = []
    for i, file in enumerate(names):
        where = table.where(i)
        if file is None or not file.strip():
            raise DataError(f"{where}: no path in column {name!r}; take the row out")
        place = path.parent / file.strip()
        if not place.is_file():
            raise DataError(
                f"{where}: {place} does not exist; paths start from the table's folder"
            )
        label = label_of(labels[i], where, options) if labelled else None
        raw.append(RawExample(place, label, where, groups[i]))
    check_labels(raw)
    return raw


def _of_folder(
    folder: Path, kind: str, options: ReadingOptions, labelled: bool
) -> list[RawExample]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES[kind]
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not files:
        raise DataError(
            f"{folder} is a folder without a {WHATS[kind]} "
            f"({', '.join(SUFFIXES[kind])}); give another one"
        )
    if not labelled:
        return [RawExample(path, None, str(path)) for path in files]
    raw = []
    for path in files:
        inside = path.relative_to(folder).parts
        if len(inside) == 1 and options.pattern is None and options.label_from is None:
            raise DataError(
                f"{path} stands in no sub-folder that says its label; give a folder "
                "with one for each label, a table, or a --pattern for names, as "
                r"'(?P<label>\d)_.*'"
            )
        label = inside[0] if len(inside) > 1 else folder.resolve().name
        raw.append(_named(path, label, options))
    return raw


def _named(path: Path, folder: str, options: ReadingOptions) -> RawExample:
    """A file with the label of its name, where a pattern says so, or of its folder."""
    if options.pattern is None:
        if options.label_from in ("file", "column"):
            raise DataError(
                f"{path}: label_from {options.label_from!r} says nothing of a single "
                "file; choose folder, or give a --pattern"
            )
        return RawExample(path, folder, str(path))
    match = re.match(options.pattern, path.name)
    if match is None:
        raise DataError(
            f"{path}: the pattern {options.pattern!r} does not match its name"
        )
    parts = match.groupdict()
    return RawExample(path, parts["label"], str(path), parts.get("group"))
