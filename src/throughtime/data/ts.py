"""Series and their labels in ``.ts`` files of the UEA and UCR archives."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from throughtime.data.files import read_encoded
from throughtime.errors import DataError

MISSING = "?"
DATA = "@data"


def read_ts(
    path: str | Path,
) -> tuple[list[NDArray[np.float32]], list[str | None], list[int]]:
    r"""The cases of a ``.ts`` file, which may be packed (``.gz``, ``.zst``).

    After a header of lines that begin with ``@`` comes one case a line: the numbers of
    each channel with commas between them, colons between the channels, and the label
    behind the last one (Bagnall et al., 2018, https://arxiv.org/abs/1811.00075).

    Returns:
        Series (T, F), NaN where a number is missing; their labels, None where there
        are none; and the lines that they stand on.

    Raises:
        DataError: the file cannot be used; it names file and line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.ts"
    ...     _ = path.write_text("@classLabel true a b\n@data\n1,2:3,?:b\n")
    ...     series, labels, lines = read_ts(path)
    >>> series[0].tolist(), labels, lines
    ([[1.0, 3.0], [2.0, nan]], ['b'], [3])
    """
    path = Path(path)
    rows = _rows(read_encoded(path))
    header = _header(path, rows)
    classes = _classes(path, header)
    channels = _channels(path, header)
    series: list[NDArray[np.float32]] = []
    labels: list[str | None] = []
    lines: list[int] = []
    for line, row in rows:
        where = f"{path}:{line}"
        parts = row.split(":")
        label = None if classes is None else _label(where, parts, classes)
        array = _case(where, parts)
        channels = channels or array.shape[1]
        if array.shape[1] != channels:
            raise DataError(
                f"{where}: {array.shape[1]} channels instead of {channels}; there "
                "should be a colon between channels, and the label behind the last"
            )
        series.append(array)
        labels.append(label)
        lines.append(line)
    if not series:
        raise DataError(f"{path} holds no series after {DATA}")
    return series, labels, lines


def _rows(text: str) -> Iterator[tuple[int, str]]:
    for line, row in enumerate(text.split("\n"), start=1):
        row = row.strip()
        if row and not row.startswith("#"):
            yield line, row


def _header(path: Path, rows: Iterator[tuple[int, str]]) -> dict[str, list[str]]:
    """The words behind each name, up to the line of @data."""
    found: dict[str, list[str]] = {}
    for line, row in rows:
        name, *words = row.split()
        if not name.startswith("@"):
            raise DataError(
                f"{path}:{line}: expected a line of the header, which begins with @, "
                f"before {DATA}, got {row[:40]!r}"
            )
        if name.lower() == DATA:
            return found
        found[name[1:].lower()] = words
    raise DataError(f"{path} has no line {DATA}, after which series are expected")


def _classes(path: Path, header: dict[str, list[str]]) -> list[str] | None:
    """The labels there may be, none if all may; None: there are no labels."""
    words = header.get("classlabel") or header.get("targetlabel")
    if not words or words[0].lower() not in ("true", "false"):
        raise DataError(
            f"{path}: the header should say '@classLabel true' and the labels, or "
            "'@classLabel false'"
        )
    return words[1:] if words[0].lower() == "true" else None


def _channels(path: Path, header: dict[str, list[str]]) -> int | None:
    if header.get("timestamps", ["false"])[:1] != ["false"]:
        raise DataError(
            f"{path} has time stamps; write its numbers without them, one for each "
            "step, and @timeStamps false"
        )
    words = header.get("dimensions") or header.get("dimension")
    if not words:
        return 1 if header.get("univariate") == ["true"] else None
    if not words[0].isdecimal() or int(words[0]) < 1:
        raise DataError(f"{path}: expected a number of @dimensions, got {words[0]!r}")
    return int(words[0])


def _label(where: str, parts: list[str], classes: list[str]) -> str | None:
    label = parts.pop().strip()
    if label == MISSING:
        return None
    if classes and label not in classes:
        raise DataError(
            f"{where}: the label {label[:40]!r} is none of those in the header: "
            f"{', '.join(classes[:20])}"
        )
    return label


def _case(where: str, parts: list[str]) -> NDArray[np.float32]:
    channels = [_numbers(where, part) for part in parts]
    lengths = {len(channel) for channel in channels}
    if len(lengths) > 1:
        raise DataError(
            f"{where}: the channels have {', '.join(map(str, sorted(lengths)))} "
            "steps; all should have as many, with ? for a missing number"
        )
    if not channels:
        raise DataError(f"{where}: there are no numbers before the label")
    return np.stack(channels, axis=1)


def _numbers(where: str, text: str) -> NDArray[np.float32]:
    values = [v.strip().replace(MISSING, "nan") for v in text.split(",")]
    try:
        return np.array(values, dtype=np.float32)
    except ValueError:
        wrong = next(value for value in values if not _is_number(value))
        raise DataError(
            f"{where}: expected a number or ?, got {wrong[:40]!r}"
        ) from None


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
