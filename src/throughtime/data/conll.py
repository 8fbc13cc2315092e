r"""One token a line, an empty line behind each sentence: the files of shared tasks.

Plain column files (CoNLL-2000, 2002, 2003, WNUT) separate columns by tabs or spaces
and do not name them. CoNLL-U (https://universaldependencies.org/format.html) has ten
columns with names; CoNLL-U Plus names its own in ``# global.columns = ...``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from throughtime.data.files import read_encoded
from throughtime.errors import DataError

COLUMNS = (
    *("ID", "FORM", "LEMMA", "UPOS", "XPOS"),
    *("FEATS", "HEAD", "DEPREL", "DEPS", "MISC"),
)
# Multiword ranges and empty nodes.
NO_WORD = re.compile(r"\d+[-.]\d+")
NAMED = re.compile(r"#\s*global\.columns\s*=\s*(.+)")
DOCUMENT = "-DOCSTART-"
# "_" says that nothing is known; but of features that the word has none.
NOTHING = "_"
MAY_BE_NONE = ("FEATS",)


@dataclass(frozen=True)
class Sentence:
    """Tokens of a sentence.

    Attributes:
        words: as they were written.
        labels: one each; None where the file gives none.
        line: of the first token.
    """

    words: tuple[str, ...]
    labels: tuple[str | None, ...]
    line: int


def read_conll(
    path: str | Path,
    *,
    word: str | None = None,
    label: str | None = None,
    labelled: bool = True,
    encoding: str = "utf-8",
) -> list[Sentence]:
    r"""The sentences of a column file, which may be packed (.gz, .zst).

    Columns are separated by tabs if there is one within a line, else by spaces. Of
    CoNLL-U, multiword ranges (``1-2``) and empty nodes (``1.1``) are left out. So are
    comments, lines of ``-DOCSTART-``, and in plain files lines that begin with ``#``
    and have another number of columns than the first token. A label ``_`` or an empty
    one is a missing label; only in FEATS ``_`` is a label like others.

    Args:
        path: the file; CoNLL-U is told by its name or its first token.
        word: column of words, by name or by number from 1; default: FORM, or 1.
        label: column of labels, by name or number; default: UPOS, or the last one.
        labelled: without, labels are not read, and lines may lack them.
        encoding: of the file.

    Raises:
        DataError: the file cannot be used; it names file and line.
        InvalidValue: no such encoding.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.conll"
    ...     _ = path.write_text("In O\nParis B-place\n\nYes O\n")
    ...     sentences = read_conll(path)
    >>> sentences[0].words, sentences[0].labels, sentences[1].line
    (('In', 'Paris'), ('O', 'B-place'), 4)
    """
    path = Path(path)
    lines = read_encoded(path, encoding).split("\n")
    separator = "\t" if any("\t" in line.strip() for line in _tokens(lines)) else " "
    rows = [_fields(line, separator) for line in lines]
    names = _names(path, lines, separator)
    found = list(_sentences(lines, rows, bool(names)))
    if not found:
        raise DataError(f"{path} holds no token; give a file with one token a line")
    width = len(names) or len(found[0][0][1])
    words = _position(path, "words", word or ("FORM" if names else "1"), names, width)
    if not labelled:
        return [_sentence(path, sentence, words, None, "") for sentence in found]
    named = label or ("UPOS" if "UPOS" in names else str(width))
    labels = _position(path, "labels", named, names, width)
    if words == labels:
        raise DataError(
            f"{path}:{found[0][0][0]}: words and labels would both be column "
            f"{words + 1} of {width}; choose the column of labels, or give a file "
            "that has one"
        )
    for line, fields in (row for sentence in found for row in sentence):
        if len(fields) != width:
            raise DataError(
                f"{path}:{line}: {len(fields)} columns instead of {width}, in "
                f"{' '.join(fields)[:40]!r}; give every token as many"
            )
    nothing = "" if named in MAY_BE_NONE else NOTHING
    return [_sentence(path, sentence, words, labels, nothing) for sentence in found]


Row = tuple[int, list[str]]


def _fields(line: str, separator: str) -> list[str]:
    """The columns of a line; none of an empty one, whatever space it holds."""
    if not line.strip():
        return []
    if separator == " ":
        return [field for field in line.split(" ") if field]
    return [field.strip(" ") for field in line.split("\t")]


def _tokens(lines: Sequence[str]) -> Iterator[str]:
    """The lines that are certainly no comments."""
    return (line for line in lines if line.strip() and not line.startswith("#"))


def _names(path: Path, lines: Sequence[str], separator: str) -> tuple[str, ...]:
    """The names of the columns, none in plain files."""
    for line in lines:
        if found := NAMED.fullmatch(line):
            return tuple(found[1].split())
    first = _fields(next(_tokens(lines), ""), separator)
    looks_like_it = len(first) == len(COLUMNS) and first[0] in ("1", "1-2")
    by_name = ".conllu" in (suffix.lower() for suffix in path.suffixes)
    return COLUMNS if looks_like_it or by_name else ()


def _sentences(
    lines: Sequence[str], rows: Sequence[list[str]], named: bool
) -> Iterator[list[Row]]:
    """The tokens of each sentence with their lines."""
    width = next((len(row) for row in rows if row and row[0][:1] != "#"), None)
    sentence: list[Row] = []
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), start=1):
        if not row:
            if sentence:
                yield sentence
            sentence = []
            continue
        is_comment = line.startswith("#") and (named or len(row) != width)
        is_extra = named and NO_WORD.fullmatch(row[0])
        if not (is_comment or is_extra or row[0] == DOCUMENT):
            sentence.append((number, row))
    if sentence:
        yield sentence


def _position(
    path: Path, what: str, column: str, names: Sequence[str], width: int
) -> int:
    """Where a column stands, by its name or its number."""
    if column in names:
        return names.index(column)
    if column.isdecimal() and 1 <= int(column) <= width:
        return int(column) - 1
    known = ", ".join(names) if names else "without names"
    raise DataError(
        f"{path} has no column {column!r} for {what}: there are {width}, {known}; "
        f"choose one{' of these' if names else ''}, or a number from 1 to {width}"
    )


def _sentence(
    path: Path, rows: Sequence[Row], words: int, labels: int | None, nothing: str
) -> Sentence:
    for line, fields in rows:
        if len(fields) <= words or not fields[words]:
            raise DataError(
                f"{path}:{line}: no word in column {words + 1}; take the line out, or "
                "write the word"
            )
    return Sentence(
        tuple(fields[words] for _, fields in rows),
        tuple(
            None
            if labels is None or fields[labels] in ("", nothing)
            else fields[labels]
            for _, fields in rows
        ),
        rows[0][0],
    )
