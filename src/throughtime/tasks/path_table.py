"""Tables that name a file in each row, and say something about it."""

from collections.abc import Sequence
from pathlib import Path

from throughtime.data.tables import Table, read_table
from throughtime.errors import DataError
from throughtime.tasks.task import RawExample

# Columns that hold paths where nothing else is said, the first that there is.
PATH_COLUMNS = ("path", "sound", "audio", "image", "picture", "file")
SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".au")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def read_path_table(
    file: Path,
    *,
    path: str | None,
    text: str | None,
    group: str | None = None,
    folder: Path | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    header: bool = True,
) -> list[RawExample]:
    """An example per row: a file that exists, and a text that says something.

    Args:
        file: csv, tsv, jsonl or parquet.
        path: column of the paths; None: the first of ``PATH_COLUMNS``, or without a
            header the first column.
        text: column of the texts; None: there are no targets.
        group: column that says who or what an example comes from.
        folder: what the paths start from; None: the folder of the table.
        encoding: of the table.
        delimiter: of the table.
        header: whether the table has one.

    Raises:
        DataError: a column or a file is missing, or a text is empty; it names file and
            line.
    """
    table = read_table(file, encoding=encoding, delimiter=delimiter, header=header)
    name = path_column(table, path, header)
    folder = file.parent if folder is None else folder
    paths = table.column(name)
    texts = [None] * len(table) if text is None else table.column(text)
    groups = [None] * len(table) if group is None else table.column(group)
    raw = []
    for i, (where_to, words, its_group) in enumerate(
        zip(paths, texts, groups, strict=True)
    ):
        where = table.where(i)
        if not where_to or not where_to.strip():
            raise DataError(f"{where}: no path in column {name!r}; take the row out")
        place = folder / where_to.strip()
        if not place.is_file():
            raise DataError(
                f"{where}: {place} does not exist; paths start from {folder}"
            )
        if text is not None and (words is None or not words.strip()):
            raise DataError(
                f"{where}: no text in column {text!r}; write it, or take the row out"
            )
        raw.append(RawExample(place, words, where, its_group))
    return raw


def path_column(table: Table, path: str | None, header: bool) -> str:
    """The column of the paths.

    Raises:
        DataError: there is none; the message lists the columns.
    """
    if path is not None:
        table.position(path)
        return path
    if not header:
        return table.columns[0]
    found = [name for name in PATH_COLUMNS if name in table.columns]
    if not found:
        raise DataError(
            f"{table.path} has no column of paths: none of {', '.join(table.columns)} "
            f"is called {', '.join(PATH_COLUMNS[:-1])} or {PATH_COLUMNS[-1]}; name it "
            "with --path" + (f"; {table.hint}" if table.hint else "")
        )
    return found[0]


def kind_of_files(raw: Sequence[RawExample]) -> str:
    """``audio`` or ``image``, by the ends of their names.

    Raises:
        DataError: neither, or some of both.

    >>> kind_of_files([RawExample(Path("a.WAV"), None, "a.csv:2")])
    'audio'
    """
    kinds: dict[str, RawExample] = {}
    for example in raw:
        suffix = Path(example.input).suffix.lower()
        if suffix not in (*SOUNDS, *PICTURES):
            raise DataError(
                f"{place_of(example)} is neither a sound "
                f"({', '.join(SOUNDS)}) nor a picture ({', '.join(PICTURES)})"
            )
        kinds.setdefault("audio" if suffix in SOUNDS else "image", example)
    if len(kinds) > 1:
        raise DataError(
            f"{kinds['audio'].where} is a sound and {kinds['image'].where} a picture; "
            "give sounds alone, or pictures alone"
        )
    return next(iter(kinds))


def place_of(example: RawExample) -> str:
    """The file of an example, behind the row that names it.

    >>> place_of(RawExample(Path("a.wav"), None, "a.csv:2"))
    'a.csv:2: a.wav'
    >>> place_of(RawExample(Path("a.wav"), None, "a.wav"))
    'a.wav'
    """
    path = str(example.input)
    return path if path == example.where else f"{example.where}: {path}"
