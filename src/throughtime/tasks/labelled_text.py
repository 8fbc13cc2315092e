"""Texts and their labels, in the ways that people keep them."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from throughtime.data.files import PACKED, SUFFIXES, read_encoded, text_files
from throughtime.data.tables import Table, is_table, plain_suffix, read_table
from throughtime.errors import DataError
from throughtime.tasks.labels import check_labels
from throughtime.tasks.reading_options import ReadingOptions
from throughtime.tasks.task import RawExample

SHOWN = 40


def labelled_texts(files: Sequence[Path], options: ReadingOptions) -> list[RawExample]:
    """The texts in these files, with their labels.

    - A table (csv, tsv, jsonl, parquet): a row is an example.
    - A folder with a sub-folder for each label: a file is an example.
    - Several text files, or a folder of them, one for each label: a line is an
      example. The label is what tells the names apart: ``Arabic`` of ``Arabic.txt``,
      ``pos`` of ``reviews.pos``.
    - Lines that a pattern takes apart.

    Raises:
        DataError: a file cannot be used; it names file and line.
    """
    found: list[RawExample] = []
    for path in files:
        if path.is_dir():
            found += _of_folder(path, options)
        elif options.pattern is not None:
            found += _matched_lines(path, options)
        elif _has_columns(path, options):
            found += table_texts(path, options, labelled=True)
        elif options.label_from == "folder":
            found += _whole_files([path], path.resolve().parent.name, options)
        elif options.label_from == "file" or len(files) > 1:
            found += _labelled_lines(path, options)
        else:
            read_encoded(path, options.encoding)  # whether it is a text at all
            raise DataError(
                f"{path}: no label is told by one text file; give one file for each "
                "label, a table (csv, tsv, jsonl, parquet), or a --pattern, as "
                r"'(?P<label>\w+): (?P<text>.*)' for lines like 'good: I liked it'"
            )
    return found


def unlabelled_texts(path: Path, options: ReadingOptions) -> list[RawExample]:
    """The texts in a file or folder, without targets.

    Of a table the column of texts, of a folder its text files, of any other file its
    lines; where a pattern matches a line, its text.

    Raises:
        DataError: the file cannot be used; it names file and line.
    """
    if path.is_dir():
        files = text_files([path])
        return [e for f in files for e in _whole_files([f], None, options)]
    if options.pattern is None and _has_columns(path, options):
        return table_texts(path, options, labelled=False)
    pattern = re.compile(options.pattern or "")
    has_text = "text" in pattern.groupindex
    found = []
    for where, line in _lines(path, options):
        match = pattern.match(line) if has_text else None
        found.append(RawExample(match["text"] if match else line, None, where))
    return found


def table_texts(
    path: Path, options: ReadingOptions, *, labelled: bool
) -> list[RawExample]:
    """The rows of a table as examples.

    Raises:
        DataError: the file cannot be used; it names file and line.
    """
    table = open_table(path, options)
    text = named_column(table, options.text, "text", 0, options)
    texts, labels = table.column(text), [None] * len(table)
    if labelled:
        label = named_column(table, options.label, "label", -1, options)
        if label == text:
            raise DataError(
                f"{path}: the column {text!r} cannot hold both texts and labels; name "
                "them with --text and --label"
                + (f"; {table.hint}" if table.hint else "")
            )
        labels = table.column(label)
    groups = [None] * len(table)
    if options.group is not None and (labelled or options.group in table.columns):
        groups = table.column(options.group)
    raw = [
        RawExample(
            _text(texts[i], table.where(i), options),
            label_of(labels[i], table.where(i), options) if labelled else None,
            table.where(i),
            groups[i],
        )
        for i in range(len(table))
    ]
    check_labels(raw)
    return raw


def open_table(path: Path, options: ReadingOptions) -> Table:
    """The table in a file, read as the options say."""
    return read_table(
        path,
        encoding=options.encoding,
        delimiter=options.delimiter,
        header=options.header,
    )


def named_column(
    table: Table, chosen: str | None, usual: str, position: int, options: ReadingOptions
) -> str:
    """The name of the column that was chosen, or that is usual.

    Raises:
        DataError: the table has none; the message lists those there are.
    """
    if chosen is not None:
        table.position(chosen)
        return chosen
    if not options.header:
        return table.columns[position]
    if usual in table.columns:
        return usual
    known = ", ".join(
        n if len(n) <= SHOWN else n[:SHOWN] + "..." for n in table.columns
    )
    raise DataError(
        f"{table.path} has no column {usual!r}: there are {known}; "
        + (
            table.hint
            or f"name it with --{usual}, or say --no-header if the first line is an "
            "example"
        )
    )


def label_of(value: str | None, where: str, options: ReadingOptions) -> str | None:
    """A label without white space around it; None if it is missing and may be.

    Raises:
        DataError: it is missing and may not be.
    """
    if value is not None and value.strip():
        return value.strip()
    if options.missing == "skip":
        return None
    raise DataError(
        f"{where}: the label is empty; fill it in, or say --missing skip: then it does "
        "not count"
    )


def _has_columns(path: Path, options: ReadingOptions) -> bool:
    told = (options.text, options.label, options.group, options.delimiter)
    return (
        is_table(path)
        or options.label_from == "column"
        or any(option is not None for option in told)
    )


def _of_folder(folder: Path, options: ReadingOptions) -> list[RawExample]:
    files = text_files([folder])
    if options.pattern is not None:
        return [e for path in files for e in _matched_lines(path, options)]
    below = [path for path in files if len(path.relative_to(folder).parts) > 1]
    way = options.label_from
    if way is None:
        if below and len(below) < len(files):
            beside = next(path for path in files if path not in below)
            raise DataError(
                f"{folder} holds texts ({beside.name}) beside folders of texts "
                f"({below[0].relative_to(folder)}); take them apart, or say "
                "--label-from folder or file"
            )
        way = "folder" if below else "file"
    if way == "column":
        raise DataError(f"{folder} is a folder of texts and has no columns")
    if way == "file":
        return [e for path in files for e in _labelled_lines(path, options)]
    found = []
    for path in files:
        inside = path.relative_to(folder).parts
        label = inside[0] if len(inside) > 1 else folder.resolve().name
        found += _whole_files([path], label, options)
    return found


def _whole_files(
    files: Sequence[Path], label: str | None, options: ReadingOptions
) -> list[RawExample]:
    return [
        RawExample(
            _text(read_encoded(path, options.encoding), str(path), options),
            label,
            str(path),
        )
        for path in files
    ]


def _lines(path: Path, options: ReadingOptions) -> Iterator[tuple[str, str]]:
    """Where each line that is not empty stands, and the line."""
    lines = read_encoded(path, options.encoding).split("\n")
    if not any(line.strip() for line in lines):
        raise DataError(f"{path} is empty; give a file with text in it")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield f"{path}:{number}", line.strip()


def _labelled_lines(path: Path, options: ReadingOptions) -> list[RawExample]:
    suffix = plain_suffix(path)
    if suffix in (*SUFFIXES, ""):
        packed = path.suffix.lower() in PACKED
        label = Path(path.stem if packed else path.name).stem
    else:
        label = suffix[1:]
    return [RawExample(line, label, where) for where, line in _lines(path, options)]


def _matched_lines(path: Path, options: ReadingOptions) -> list[RawExample]:
    assert options.pattern is not None
    pattern = re.compile(options.pattern)
    if "text" not in pattern.groupindex:
        raise DataError(
            f"{path}: the pattern {options.pattern!r} does not say where the text of a "
            "line is; put (?P<text>...) into it"
        )
    found = []
    for where, line in _lines(path, options):
        match = pattern.match(line)
        if match is None:
            raise DataError(
                f"{where}: the pattern {options.pattern!r} does not match "
                f"{line[:SHOWN]!r}"
            )
        parts = match.groupdict()
        found.append(
            RawExample(
                _text(parts["text"], where, options),
                label_of(parts["label"], where, options),
                where,
                parts.get("group"),
            )
        )
    return found


def _text(value: str | None, where: str, options: ReadingOptions) -> str:
    if value is not None and value.strip():
        return value.strip()
    if options.missing == "skip":
        return ""
    raise DataError(
        f"{where}: the text is empty; fill it in, take it out, or say --missing skip: "
        "then it is read as no words"
    )
