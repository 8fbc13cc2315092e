"""When the steps of a series are: times at equal distances, as files write them."""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from throughtime.errors import DataError, InvalidValue

FORMATS = tuple(
    day + time
    for day, times in (
        ("%Y-%m-%d", ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M", "T%H:%M:%SZ")),
        ("%Y/%m/%d", ("", " %H:%M:%S", " %H:%M")),
        ("%Y-%m", ("",)),
    )
    for time in times
)
NUMBER = "number"
SECOND, BUSINESS_DAY, MONTH = "second", "business day", "month"
_DAY = 86400
_MONDAY = datetime(1900, 1, 1)
# Steps of one season by (unit, count), where it is not a day made of smaller steps.
_SEASONS: dict[tuple[str, float], int] = {
    (SECOND, 7 * _DAY): 52,
    (SECOND, _DAY): 7,
    (BUSINESS_DAY, 1): 5,
    (MONTH, 1): 12,
    (MONTH, 3): 4,
}
_NAMES: dict[tuple[str, float], str] = {
    (SECOND, 60): "minute",
    (SECOND, 3600): "hour",
    (SECOND, _DAY): "day",
    (SECOND, 7 * _DAY): "week",
    (MONTH, 3): "quarter",
    (MONTH, 12): "year",
}


@dataclass(frozen=True)
class Frequency:
    """How far one step is from the next.

    Attributes:
        unit: ``second``, ``business day`` (Monday to Friday), ``month``, or ``number``
            where times are plain numbers.
        count: so many of them.

    >>> Frequency("second", 3600).season, str(Frequency("month", 1))
    (24, 'month')
    """

    unit: str
    count: float

    @property
    def season(self) -> int:
        """Steps of the usual season: a day, a week or a year; 1 where there is none."""
        if (self.unit, self.count) in _SEASONS:
            return _SEASONS[self.unit, self.count]
        if self.unit == SECOND and self.count < _DAY and _DAY % self.count == 0:
            return round(_DAY / self.count)
        return 1

    def __str__(self) -> str:
        name = _NAMES.get((self.unit, self.count))
        if name is not None:
            return name
        return self.unit if self.count == 1 else f"{self.count:g} {self.unit}s"


@dataclass(frozen=True)
class TimeAxis:
    """The time of step 0 and of all that follow.

    Attributes:
        start: time of step 0; a number where times are numbers.
        frequency: from one step to the next.
        format: how times are written, as for ``strftime``; "" for numbers.
        day: of months, the day on which a step falls, 31 for the last one.

    >>> axis = TimeAxis(datetime(1949, 11, 1), Frequency("month", 1), "%Y-%m")
    >>> axis.text(0), axis.text(2)
    ('1949-11', '1950-01')
    """

    start: datetime | float
    frequency: Frequency
    format: str = ""
    day: int = 1

    def time(self, step: int) -> datetime | float:
        """The time of a step, also beyond the end of the series."""
        count = self.frequency.count
        if not isinstance(self.start, datetime):
            return self.start + step * count
        if self.frequency.unit == SECOND:
            return self.start + timedelta(seconds=step * count)
        if self.frequency.unit == BUSINESS_DAY:
            weeks, day = divmod(self.start.weekday() + step, 5)
            return self.start + timedelta(days=weeks * 7 + day - self.start.weekday())
        months = self.start.year * 12 + self.start.month - 1 + step * int(count)
        year, month = months // 12, months % 12 + 1
        last = calendar.monthrange(year, month)[1]
        return self.start.replace(year=year, month=month, day=min(self.day, last))

    def text(self, step: int) -> str:
        """The time of a step as the file writes it."""
        time = self.time(step)
        return (
            time.strftime(self.format) if isinstance(time, datetime) else f"{time:.10g}"
        )


def parse_times(
    texts: Sequence[str | None], wheres: Sequence[str], format: str | None = None
) -> tuple[list[datetime] | list[float], str]:
    """The times of a column, and the format in which all are written.

    Args:
        texts: dates (2016-07-01), with a time of the day or without; months (1949-01);
            or numbers.
        wheres: file and line of each, for messages.
        format: as for ``strptime``, where dates are written in another way.

    Raises:
        DataError: a time cannot be read, or is written in another way than the first.

    >>> parse_times(["2016-07-01 00:00"], ["a.csv:2"])[1]
    '%Y-%m-%d %H:%M'
    """
    first = (texts[0] or "").strip()
    if format is None:
        if _as_number(first) is not None:
            return _numbers(texts, wheres), ""
        format = date_format(first)
    if format is None:
        raise DataError(
            f"{wheres[0]}: {first!r} is no time: expected a date such as 2016-07-01, "
            "2016-07-01 13:00 or 2016-07, or a number; --time-format says how others "
            "are written, as in '%d.%m.%Y'"
        )
    times = []
    for text, where in zip(texts, wheres, strict=True):
        try:
            times.append(datetime.strptime((text or "").strip(), format))
        except ValueError as error:
            raise DataError(
                f"{where}: {text!r} is no time of the form {format}, as "
                f"{times[0].strftime(format) if times else '2016-07-01'}; write all "
                "times alike"
            ) from error
    return times, format


def date_format(text: str) -> str | None:
    """The format in which a date is written; None: it is none that we know.

    >>> date_format("1949-01"), date_format("1949")
    ('%Y-%m', None)
    """
    for format in FORMATS:
        try:
            datetime.strptime(text, format)
        except ValueError:
            continue
        return format
    return None


def place_times(
    times: Sequence[datetime] | Sequence[float],
    wheres: Sequence[str],
    format: str,
    frequency: Frequency | None = None,
) -> tuple[TimeAxis, list[int]]:
    """The axis on which these times lie, and the step of each: 0, 1, ...

    A step is left out of the list where the series has a gap.

    Args:
        times: in their order.
        wheres: file and line of each, for messages.
        format: how they are written.
        frequency: from one step to the next; default: the shortest distance there is.

    Raises:
        DataError: a time comes twice, comes too early, or is no whole number of steps
            after the first; or more steps are missing than there are.
    """
    _check_order(times, wheres)
    if frequency is None:
        if len(times) < 2:
            raise DataError(
                f"{wheres[0]}: one time does not say how long a step is; give more rows"
            )
        frequency = _infer(times)
    start = times[0]
    day = max(t.day for t in times if isinstance(t, datetime)) if format else 1
    axis = TimeAxis(start, frequency, format, day)
    steps = []
    for time, where in zip(times, wheres, strict=True):
        step = round(_distance(start, time, frequency))
        there = axis.time(step)
        if isinstance(there, datetime):
            lies_there = there == time
        else:
            assert not isinstance(time, datetime)
            lies_there = abs(there - time) <= 1e-6 * frequency.count
        if not lies_there:
            raise DataError(
                f"{where}: {_text(time, format)} does not lie on a step: one step is "
                f"{frequency}, counted from {_text(start, format)}; the times should "
                "be at equal distances (rows may be missing), or say --time none"
            )
        steps.append(step)
    if steps[-1] + 1 > 2 * len(steps):
        raise DataError(
            f"{wheres[-1]}: {steps[-1] + 1 - len(steps):,} of {steps[-1] + 1:,} steps "
            f"are missing, if one step is {frequency}; aggregate the rows to longer "
            "steps, or give the pieces as files of their own"
        )
    return axis, steps


def _check_order(times: Sequence[Any], wheres: Sequence[str]) -> None:
    for index in range(1, len(times)):
        before, time = times[index - 1], times[index]
        if time == before:
            raise DataError(
                f"{wheres[index]}: the time {time} comes twice, before in "
                f"{wheres[index - 1]}; keep one of them, or name the column that tells "
                "series apart (--series)"
            )
        if time < before:
            raise DataError(
                f"{wheres[index]}: the time {time} comes after {before}; sort the rows "
                "by time, or name the column that tells series apart (--series)"
            )


def _infer(times: Sequence[Any]) -> Frequency:
    if not isinstance(times[0], datetime):
        return Frequency(
            NUMBER, min(b - a for a, b in zip(times, times[1:], strict=False))
        )
    shortest = min(b - a for a, b in zip(times, times[1:], strict=False))
    day = max(time.day for time in times)
    if shortest >= timedelta(days=28) and all(
        time.day == min(day, calendar.monthrange(time.year, time.month)[1])
        and time.time() == times[0].time()
        for time in times
    ):
        months = [time.year * 12 + time.month for time in times]
        return Frequency(
            MONTH, min(b - a for a, b in zip(months, months[1:], strict=False))
        )
    is_week = times[-1] - times[0] >= timedelta(days=7)
    weekdays = all(time.weekday() < 5 for time in times)
    if shortest == timedelta(days=1) and is_week and weekdays:
        return Frequency(BUSINESS_DAY, 1)
    return Frequency(SECOND, shortest.total_seconds())


def _distance(start: Any, time: Any, frequency: Frequency) -> float:
    """Steps from one time to another, whole if both lie on steps."""
    if frequency.unit == NUMBER:
        return (time - start) / frequency.count
    if frequency.unit == SECOND:
        return (time - start).total_seconds() / frequency.count
    if frequency.unit == MONTH:
        months = (time.year - start.year) * 12 + time.month - start.month
        return months / frequency.count
    return _workday(time) - _workday(start)


def _workday(time: datetime) -> int:
    weeks, day = divmod((time - _MONDAY).days, 7)
    return weeks * 5 + min(day, 5)


def _text(time: datetime | float, format: str) -> str:
    return time.strftime(format) if isinstance(time, datetime) else f"{time:.10g}"


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(texts: Sequence[str | None], wheres: Sequence[str]) -> list[float]:
    found = []
    for text, where in zip(texts, wheres, strict=True):
        value = _as_number(text or "")
        if value is None or value != value or abs(value) == float("inf"):
            raise DataError(
                f"{where}: {text!r} is no number, but the first time is; write all "
                "times alike"
            )
        found.append(value)
    return found


def frequency_to_dict(frequency: Frequency | None) -> dict[str, Any] | None:
    """Plain values, for JSON."""
    return None if frequency is None else asdict(frequency)


def frequency_from_dict(values: Mapping[str, Any] | None) -> Frequency | None:
    """What ``frequency_to_dict`` wrote.

    Raises:
        InvalidValue: an unknown unit.
    """
    if values is None:
        return None
    if values["unit"] not in (SECOND, BUSINESS_DAY, MONTH, NUMBER):
        raise InvalidValue(f"unknown unit of time {values['unit']!r}")
    return Frequency(values["unit"], values["count"])
