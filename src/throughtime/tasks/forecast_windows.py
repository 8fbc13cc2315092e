"""From series to windows: what is read, and what is to be forecast."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.checks import number
from throughtime.data.time_axis import BUSINESS_DAY, NUMBER, SECOND, TimeAxis
from throughtime.data.time_table import TimeTable
from throughtime.errors import DataError, InvalidValue
from throughtime.tasks.forecast_options import ForecastOptions
from throughtime.tasks.task import RawExample

Array = NDArray[Any]
_DAY = 86400


@dataclass(frozen=True)
class Span:
    """A part of a series: forecasts are of its steps, and may look back beyond it.

    Attributes:
        table: the series.
        start: the first step that may be forecast.
        stop: behind the last one.
    """

    table: TimeTable
    start: int
    stop: int


def span_example(table: TimeTable, start: int, stop: int) -> RawExample:
    """A part of a series as an example."""
    where = table.where(min(start, len(table) - 1))
    return RawExample(Span(table, start, stop), None, where, table.series)


def chronological_split(
    raw: Sequence[RawExample], share: float
) -> tuple[list[RawExample], list[RawExample]]:
    """The steps before, and the last share of them, of each series.

    Raises:
        InvalidType: ``share`` is no number.
        InvalidValue: ``share`` outside (0, 1).
    """
    if not 0 < number("share", share) < 1:
        raise InvalidValue(f"share must lie between 0 and 1, as in 0.1, got {share}")
    early, late = [], []
    for example in raw:
        span: Span = example.input
        cut = span.stop - max(1, round(share * (span.stop - span.start)))
        early.append(span_example(span.table, span.start, cut))
        late.append(span_example(span.table, cut, span.stop))
    return early, late


def named_parts(
    raw: Sequence[RawExample], options: ForecastOptions
) -> dict[str, list[RawExample]]:
    """Train, valid and test part of each series, as the option ``parts`` has them.

    Raises:
        DataError: a series has fewer steps.
    """
    found: dict[str, list[RawExample]] = {}
    for example in raw:
        span: Span = example.input
        sizes = options.part_sizes(span.stop - span.start)
        if sum(sizes) > span.stop - span.start:
            raise DataError(
                f"{span.table.name} has {span.stop - span.start:,} steps, fewer than "
                f"the {sum(sizes):,} of --parts {options.parts}; take fewer"
            )
        start = span.start
        for name, size in zip(("train", "valid", "test"), sizes, strict=False):
            place = span_example(span.table, start, start + size)
            found.setdefault(name, []).append(place)
            start += size
    return found


def origins(span: Span, look_back: int, horizon: int, stride: int) -> Array:
    """The first steps to forecast of all windows: a look-back before, a horizon after.

    Raises:
        DataError: there is no room for one.
    """
    first = max(span.start, look_back)
    found = np.arange(first, span.stop - horizon + 1, stride)
    if not len(found):
        before = min(look_back, span.start)
        raise DataError(
            f"{span.table.name}: {span.stop - span.start + before:,} steps, from "
            f"{span.table.time_text(span.start - before)} on, are too few for one "
            f"window: {look_back:,} to look back and {horizon:,} to forecast; give "
            "more, or take a smaller --look-back or --horizon, or another share"
        )
    return found


def calendar_kinds(axis: TimeAxis | None, steps: int) -> tuple[str, ...]:
    """Which cycles of the calendar can be told from the steps of a series.

    Those that are longer than two steps, and that it goes through at least twice.
    """
    if axis is None or axis.frequency.unit == NUMBER:
        return ()
    unit, count = axis.frequency.unit, axis.frequency.count
    if unit == SECOND:
        step = count
    else:
        step = _DAY * (1.4 if unit == BUSINESS_DAY else 30.4 * count)
    lengths = {"day": _DAY, "week": 7 * _DAY, "year": 365.25 * _DAY}
    return tuple(
        kind
        for kind, length in lengths.items()
        if 2 * step < length and 2 * length <= steps * step
    )


def calendar_features(axis: TimeAxis, steps: int, kinds: Sequence[str]) -> Array:
    """Sine and cosine of where each step lies in each cycle, (steps, 2 len(kinds))."""
    found = np.zeros((steps, 2 * len(kinds)))
    for step in range(steps if kinds else 0):
        time = axis.time(step)
        assert isinstance(time, datetime)
        of_day = (time.hour * 3600 + time.minute * 60 + time.second) / _DAY
        turns = {
            "day": of_day,
            "week": (time.weekday() + of_day) / 7,
            "year": (time.timetuple().tm_yday - 1 + of_day) / 365.25,
        }
        for index, kind in enumerate(kinds):
            angle = 2 * math.pi * turns[kind]
            found[step, 2 * index : 2 * index + 2] = math.sin(angle), math.cos(angle)
    return found


@dataclass(frozen=True)
class Layout:
    """What stands in the columns of a window, in this order.

    Attributes:
        targets: values to forecast.
        inputs: others, whose future is not known.
        known: others, whose future is known.
        calendar: cycles of the calendar, known as well.
        mean: of each column of targets, inputs and known in the training part.
        std: their standard deviations.
    """

    targets: tuple[str, ...]
    inputs: tuple[str, ...]
    known: tuple[str, ...]
    calendar: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns of numbers."""
        return self.targets + self.inputs + self.known

    @property
    def known_size(self) -> int:
        """Features of which the future is known."""
        return len(self.known) + 2 * len(self.calendar)

    def standardised(self, table: TimeTable) -> Array:
        """(value - mean) / std of all columns of numbers, (T, C); NaN stays."""
        return (table.columns_at(self.columns) - self.mean) / self.std

    def matrix(self, table: TimeTable, steps: int) -> tuple[Tensor, Tensor | None]:
        """What is read and forecast, (steps, I), and where a value is missing.

        Args:
            table: the series.
            steps: how many; beyond its end the calendar alone goes on.

        Returns:
            Values, 0 where there is none; and False there, None if nothing is missing.
        """
        values = self.standardised(table)[:steps]
        values = np.pad(
            values, ((0, steps - len(values)), (0, 0)), constant_values=np.nan
        )
        present = torch.from_numpy(~np.isnan(values))
        tensor = torch.from_numpy(np.nan_to_num(values)).float()
        if self.calendar:
            assert table.axis is not None
            cycles = calendar_features(table.axis, steps, self.calendar)
            tensor = torch.cat([tensor, torch.from_numpy(cycles).float()], 1)
            beside = torch.ones(steps, cycles.shape[1], dtype=torch.bool)
            present = torch.cat([present, beside], 1)
        return tensor, None if bool(present.all()) else present


class Windows(Sequence[Tensor]):
    """Slices of series, each made when it is asked for: however many, they cost little.

    Args:
        sources: (T, ...) each.
        which: the source of each window.
        first: its first step.
        stop: behind its last one.
    """

    def __init__(
        self, sources: Sequence[Tensor], which: Array, first: Array, stop: Array
    ) -> None:
        self._sources = sources
        self._which, self._first, self._stop = which, first, stop

    def __len__(self) -> int:
        return len(self._which)

    def __getitem__(self, index: Any) -> Any:
        source = self._sources[int(self._which[index])]
        return source[self._first[index] : self._stop[index]]


def cut_windows(
    layout: Layout,
    parts: Sequence[tuple[TimeTable, Array]],
    look_back: int,
    horizon: int,
    *,
    labelled: bool = True,
) -> dict[str, Windows]:
    """The sequences of a batch of ``Forecaster``: views, not copies.

    Args:
        layout: what they hold.
        parts: series, and of each the first steps to forecast.
        look_back: steps before, fewer where there are not so many.
        horizon: steps to forecast.
        labelled: with targets.
    """
    grids, masks = [], []
    for table, starts in parts:
        grid, present = layout.matrix(table, int(starts.max()) + horizon)
        if present is None:
            present = torch.ones(1, dtype=torch.bool).expand(grid.shape)
        grids.append(grid)
        masks.append(present)
    which = np.repeat(np.arange(len(parts)), [len(starts) for _, starts in parts])
    start = np.concatenate([starts for _, starts in parts])
    before = which, np.maximum(start - look_back, 0), start
    after = which, start, start + horizon
    found = {
        "inputs": Windows(grids, *before),
        "inputs_present": Windows(masks, *before),
    }
    count = len(layout.targets)
    if layout.known_size:
        known = count + len(layout.inputs)
        found["future"] = Windows([grid[:, known:] for grid in grids], *after)
    if labelled:
        found["targets"] = Windows([grid[:, :count] for grid in grids], *after)
        found["targets_mask"] = Windows([mask[:, :count] for mask in masks], *after)
    return found
