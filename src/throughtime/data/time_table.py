"""Series of numbers over time, from tables in files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughtime.data.tables import Table, read_table
from throughtime.data.time_axis import (
    Frequency,
    TimeAxis,
    date_format,
    parse_times,
    place_times,
)
from throughtime.errors import DataError

NONE = "none"
MISSING = ("", "nan", "na", "n/a", "null", "none", "?", "-")


@dataclass(frozen=True)
class TimeTable:
    """One series: numbers at equal distances in time.

    Attributes:
        path: the file.
        columns: names of what was measured.
        values: (T, C), float64; NaN where there is no value.
        lines: line of each step, (T,); 0 where the file has no row for it.
        axis: when the steps are; None: the file does not say.
        series: which one of several in the file; None: the only one.
        gaps: for each run of steps without a row, where it is and how long.
    """

    path: Path
    columns: tuple[str, ...]
    values: NDArray[Any]
    lines: NDArray[Any]
    axis: TimeAxis | None = None
    series: str | None = None
    gaps: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def name(self) -> str:
        """File and series, for messages."""
        return str(self.path) + ("" if self.series is None else f" ({self.series})")

    def where(self, step: int) -> str:
        """File and line of a step; of one without a row, what comes before it."""
        if self.lines[step]:
            return f"{self.path}:{self.lines[step]}"
        before = self.lines[:step].max()
        return f"{self.path}:{before} (no row for {self.time_text(step)} after it)"

    def time_text(self, step: int) -> str:
        """The time of a step as the file writes it, or its number from 1."""
        return str(step + 1) if self.axis is None else self.axis.text(step)

    def columns_at(self, names: Sequence[str]) -> NDArray[Any]:
        """The values of some columns, (T, len(names)).

        Raises:
            DataError: an unknown one; the message lists those there are.
        """
        for name in names:
            if name not in self.columns:
                raise DataError(
                    f"{self.path} has no column {name!r} of numbers: there are "
                    + ", ".join(self.columns)
                )
        return self.values[:, [self.columns.index(name) for name in names]]

    def require(self, names: Sequence[str], stop: int | None = None) -> None:
        """Raise unless each row before ``stop`` has a value in these columns.

        Steps without a row are gaps, and may stay.

        Raises:
            DataError: one has none; it names file and line.
        """
        found = np.isnan(self.columns_at(names)[:stop])
        found &= (self.lines[:stop] > 0)[:, None]
        if found.any():
            step, column = (int(i[0]) for i in np.nonzero(found))
            raise DataError(
                f"{self.where(step)}: no value in column {names[column]!r}; fill it "
                "in, or go on without the values that are missing: --missing skip"
            )


def read_time_tables(
    path: str | Path,
    *,
    time: str | None = None,
    time_format: str | None = None,
    series: str | None = None,
    columns: Sequence[str] | None = None,
    frequency: Frequency | None = None,
    header: bool = True,
    encoding: str = "utf-8",
    delimiter: str | None = None,
) -> list[TimeTable]:
    r"""The series in one file, of any kind that ``read_table`` reads.

    A step for which the file has no row becomes one without values, so that steps
    stay at equal distances; ``gaps`` says where. A field that is empty, ``NaN``,
    ``NA``, ``null`` or ``?`` has no value.

    Args:
        path: the file.
        time: the column of times; ``none``: there is none, each row is a step;
            default: the first column if it holds dates, else none.
        time_format: as for ``strptime``, where dates are written in another way than
            2016-07-01, 2016-07-01 13:00:00 or 2016-07.
        series: the column that tells several series apart.
        columns: the columns of numbers; default: all but those of time and series.
        frequency: how far steps are apart; default: the shortest distance there is.
        header: as in ``read_table``.
        encoding: as in ``read_table``.
        delimiter: as in ``read_table``.

    Raises:
        DataError: the file cannot be used; it names file and line.
        InvalidValue: as in ``read_table``.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.csv"
    ...     _ = path.write_text("day,x\n2024-01-01,1\n2024-01-02,2\n2024-01-04,4\n")
    ...     (table,) = read_time_tables(path)
    >>> table.values[:, 0].tolist(), len(table.gaps)
    ([1.0, 2.0, nan, 4.0], 1)
    """
    table = read_table(path, encoding=encoding, delimiter=delimiter, header=header)
    if header:
        _check_header(table)
    time = _time_column(table, time, time_format)
    others = [name for name in (time, series) if name is not None]
    for name in others:
        table.position(name)
    if columns is None:
        columns = [name for name in table.columns if name not in others]
    if not columns:
        raise DataError(
            f"{table.path} has no column of numbers beside {', '.join(others)}; "
            "give a file that has"
        )
    values = np.array([_numbers(table, name) for name in columns], np.float64).T
    groups: dict[str | None, list[int]] = {}
    for index, key in enumerate(
        table.column(series) if series is not None else [None] * len(table)
    ):
        groups.setdefault(key, []).append(index)
    return [
        _one_series(
            table, key, rows, values[rows], tuple(columns), time, time_format, frequency
        )
        for key, rows in groups.items()
    ]


def _check_header(table: Table) -> None:
    try:
        [float(name) for name in table.columns]
    except ValueError:
        return
    raise DataError(
        f"{table.path}: the first row should name the columns, but holds numbers alone "
        f"({', '.join(table.columns[:3])}); if it is data, say --no-header"
    )


def _time_column(table: Table, time: str | None, format: str | None) -> str | None:
    if time == NONE and NONE not in table.columns:
        return None
    if time is not None or format is not None:
        return time if time is not None else table.columns[0]
    first = (table.rows[0][0] or "").strip()
    return table.columns[0] if date_format(first) is not None else None


def _numbers(table: Table, name: str) -> list[float]:
    found = []
    for index, text in enumerate(table.column(name)):
        text = (text or "").strip()
        if text.lower() in MISSING:
            found.append(np.nan)
            continue
        try:
            value = float(text)
        except ValueError as error:
            raise DataError(
                f"{table.where(index)}: {text!r} in column {name!r} is no number; "
                + _advice(table, index, text)
            ) from error
        if not np.isfinite(value):
            raise DataError(
                f"{table.where(index)}: {text} in column {name!r} is no finite number; "
                "leave the field empty where there is no value"
            )
        found.append(value)
    return found


def _advice(table: Table, index: int, text: str) -> str:
    if table.hint:
        return table.hint
    if text.count(",") == 1 and text.replace(",", "").lstrip("+-").isdigit():
        return "write decimals with a point: 3.5"
    if index == 0 and date_format(text) is not None:
        return "name the column of times with --time"
    return "name the columns of numbers to use, as in --targets sales"


def _one_series(
    table: Table,
    key: str | None,
    rows: list[int],
    values: NDArray[Any],
    columns: tuple[str, ...],
    time: str | None,
    format: str | None,
    frequency: Frequency | None,
) -> TimeTable:
    lines = np.array([table.lines[row] for row in rows])
    if time is None:
        return TimeTable(table.path, columns, values, lines, None, key)
    position = table.position(time)
    wheres = [table.where(row) for row in rows]
    times, format = parse_times(
        [table.rows[row][position] for row in rows], wheres, format
    )
    axis, steps = place_times(times, wheres, format, frequency)
    full = np.full((steps[-1] + 1, len(columns)), np.nan)
    full[steps] = values
    full_lines = np.zeros(len(full), dtype=int)
    full_lines[steps] = lines
    gaps = tuple(
        f"{where}: {after - before - 1} "
        f"{'step' if after - before == 2 else 'steps'} missing before it, from "
        f"{axis.text(before + 1)} on"
        for before, after, where in zip(steps, steps[1:], wheres[1:], strict=False)
        if after - before > 1
    )
    return TimeTable(table.path, columns, full, full_lines, axis, key, gaps)
