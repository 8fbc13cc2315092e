"""Series as a forecast reads them, and the answer it gives."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from throughtime.data.time_axis import Frequency
from throughtime.data.time_table import TimeTable, read_time_tables
from throughtime.errors import DataError
from throughtime.tasks.forecast_options import ForecastOptions
from throughtime.tasks.forecast_windows import Array, Layout, Span


def read_series(
    path: Path, options: ForecastOptions, frequency: Frequency | None = None
) -> list[TimeTable]:
    """The series of a file; without ``targets`` all columns are read.

    Args:
        path: the file.
        options: which columns are what.
        frequency: how far steps are apart; default: the shortest distance there is.

    Raises:
        DataError: the file cannot be used.
    """
    names = [
        name for role in ("targets", "inputs", "known") for name in options.names(role)
    ]
    return read_time_tables(
        path,
        time=options.time,
        time_format=options.time_format,
        series=options.series,
        columns=names if options.targets else None,
        frequency=frequency,
        header=options.header,
        encoding=options.encoding,
        delimiter=options.delimiter,
    )


def table_of_numbers(
    text: str, layout: Layout, frequency: Frequency | None
) -> TimeTable:
    """A series without times from a text such as ``112 118 132``.

    Raises:
        DataError: the text holds something else, or more than numbers is needed.
    """
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        values = []
    enough = len(layout.columns) == 1 and frequency is None
    if not values or not enough or not np.isfinite(values).all():
        raise DataError(
            f"{text[:40]!r} is no file that exists; give a table of the columns "
            f"{', '.join(layout.columns)}"
            + ("" if frequency is None else " with its times")
            + (", or numbers with spaces between them" if enough else "")
        )
    lines = np.arange(1, len(values) + 1)
    return TimeTable(Path("input"), layout.columns, np.array(values)[:, None], lines)


def answer(
    span: Span, names: Sequence[str], point: Array, by_level: Mapping[str, Array]
) -> dict[str, Any]:
    """The steps after the end of a series, as JSON; ``text`` is a csv of them.

    Args:
        span: of the series; its end is what the forecast begins at.
        names: of the columns.
        point: (H, C).
        by_level: the value of each quantile, (H, C), by its level.
    """
    times = [span.table.time_text(span.stop + k) for k in range(len(point))]
    columns = {"": point} | dict(by_level)
    header = [
        f"{name}_{level}" if level else name for name in names for level in columns
    ]
    lines = [",".join(["time", *header])]
    for k, time in enumerate(times):
        row = [part[k, i] for i in range(len(names)) for part in columns.values()]
        lines.append(",".join([time, *(f"{value:.6g}" for value in row)]))
    found: dict[str, Any] = (
        {} if span.table.series is None else {"series": span.table.series}
    )
    found |= {
        "times": times,
        "forecast": {name: point[:, i].tolist() for i, name in enumerate(names)},
    }
    if by_level:
        found["quantiles"] = {
            name: {level: part[:, i].tolist() for level, part in by_level.items()}
            for i, name in enumerate(names)
        }
    return found | {"text": "\n".join(lines)}


def check_frequency(table: TimeTable, frequency: Frequency | None) -> None:
    """Raise unless a series has these steps.

    Raises:
        DataError: it has others.
    """
    own = None if table.axis is None else table.axis.frequency
    if own != frequency:
        want, got = (
            "no times" if f is None else f"steps of one {f}" for f in (frequency, own)
        )
        raise DataError(
            f"{table.name}: expected {want} as in what was trained on, got {got}; give "
            "series of the same steps"
        )


def scales(
    values: Array, columns: Sequence[str], targets: Sequence[str], table: TimeTable
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each column of the training part.

    Raises:
        DataError: a column has no value, or a target never changes.
    """
    mean, std = [], []
    for name, column in zip(columns, values.T, strict=True):
        there = column[~np.isnan(column)]
        if not there.size:
            raise DataError(
                f"{table.path}: column {name!r} has no value in the training part; "
                "leave it out"
            )
        deviation = float(there.std())
        # Rounding alone leaves a column of equal values some deviation.
        if deviation <= 1e-12 * np.abs(there).max():
            if name in targets:
                raise DataError(
                    f"{table.path}: column {name!r} is {there[0]:g} throughout the "
                    "training part, and there is nothing to learn; leave it out"
                )
            deviation = 1.0
        mean.append(float(there.mean()))
        std.append(deviation)
    return mean, std
