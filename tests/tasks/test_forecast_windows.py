"""Windows: where they begin and end, and that nothing leaks."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from throughtime.data.time_axis import Frequency, TimeAxis
from throughtime.data.time_table import TimeTable
from throughtime.errors import DataError, InvalidValue
from throughtime.tasks.forecast_options import ForecastOptions
from throughtime.tasks.forecast_windows import (
    Layout,
    Span,
    calendar_features,
    calendar_kinds,
    chronological_split,
    cut_windows,
    named_parts,
    origins,
    span_example,
)

HOUR = TimeAxis(datetime(2024, 1, 1), Frequency("second", 3600.0), "%Y-%m-%d %H:%M:%S")


def table_of(steps, columns=("x",), axis=None):
    values = np.arange(float(steps * len(columns))).reshape(steps, -1)
    return TimeTable(Path("a.csv"), columns, values, np.arange(2, steps + 2), axis)


def spans_of(parts):
    return [(part.input.start, part.input.stop) for part in parts]


def test_the_last_part_of_each_series_is_held_out():
    raw = [span_example(table_of(n), 0, n) for n in (100, 30)]
    early, late = chronological_split(raw, 0.2)
    assert spans_of(early) == [(0, 80), (0, 24)]
    assert spans_of(late) == [(80, 100), (24, 30)]
    assert late[0].where == "a.csv:82"
    for share in (0, 1, -0.5):
        with pytest.raises(InvalidValue, match="share must lie between 0 and 1"):
            chronological_split(raw, share)


@pytest.mark.parametrize("text", ["60,20,10", "0.6,0.2,0.1"])
def test_named_parts_follow_each_other(text):
    raw = [span_example(table_of(100), 0, 100)]
    found = named_parts(raw, ForecastOptions(parts=text))
    assert {name: spans_of(part) for name, part in found.items()} == {
        "train": [(0, 60)],
        "valid": [(60, 80)],
        "test": [(80, 90)],
    }


@pytest.mark.parametrize("steps", range(20, 60))
def test_shares_of_one_in_all_are_all_steps(steps):
    sizes = ForecastOptions(parts="0.7,0.1,0.2").part_sizes(steps)
    assert sum(sizes) == steps
    for size, share in zip(sizes, (0.7, 0.1, 0.2), strict=True):
        assert abs(size - share * steps) <= 1


def test_parts_of_a_series_that_is_too_short():
    raw = [span_example(table_of(50), 0, 50)]
    with pytest.raises(DataError, match=r"a.csv has 50 steps, fewer than the 60"):
        named_parts(raw, ForecastOptions(parts="40,20"))


def test_targets_stay_in_their_span_and_windows_may_reach_back():
    table = table_of(100)
    assert origins(Span(table, 0, 60), 10, 5, 1).tolist() == list(range(10, 56))
    assert origins(Span(table, 60, 100), 10, 5, 1).tolist() == list(range(60, 96))
    assert origins(Span(table, 60, 100), 10, 5, 20).tolist() == [60, 80]
    layout = Layout(("x",), (), (), (), (0.0,), (1.0,))
    for start, stop in ((0, 60), (60, 100)):
        starts = origins(Span(table, start, stop), 10, 5, 1)
        parts = cut_windows(layout, [(table, starts)], 10, 5)
        targets = torch.stack(list(parts["targets"]))
        # The values are the numbers of the steps.
        assert (targets.min(), targets.max()) == (max(start, 10), stop - 1)
        for window, target in zip(parts["inputs"], parts["targets"], strict=True):
            assert window[:, 0].tolist() == list(
                range(int(target[0]) - 10, int(target[0]))
            )


def test_windows_are_views():
    table = table_of(100)
    layout = Layout(("x",), (), (), (), (0.0,), (1.0,))
    parts = cut_windows(layout, [(table, np.arange(10, 90))], 10, 5)
    owners = {part.untyped_storage().data_ptr() for part in parts["inputs"]}
    owners |= {part.untyped_storage().data_ptr() for part in parts["targets"]}
    assert len(owners) == 1


def test_windows_of_several_series():
    tables = [table_of(20), table_of(30)]
    layout = Layout(("x",), (), (), (), (0.0,), (1.0,))
    starts = [np.array([2, 9]), np.array([25])]
    parts = cut_windows(layout, list(zip(tables, starts, strict=True)), 4, 2)
    found = [window[:, 0].tolist() for window in parts["inputs"]]
    assert found == [[0, 1], [5, 6, 7, 8], [21, 22, 23, 24]]
    assert [t[:, 0].tolist() for t in parts["targets"]] == [[2, 3], [9, 10], [25, 26]]


def test_spans_without_room():
    with pytest.raises(DataError, match=r"a.csv: 14 steps, from 1 on, are too few"):
        origins(Span(table_of(14), 0, 14), 10, 5, 1)
    with pytest.raises(DataError, match=r"a.csv: 14 steps, from 87 on, are too few"):
        origins(Span(table_of(100), 96, 100), 10, 5, 1)


def test_the_future_holds_what_is_known_and_nothing_else():
    table = table_of(40, ("x", "past", "plan"), HOUR)
    table.values[33:, :2] = np.nan
    layout = Layout(("x",), ("past",), ("plan",), ("day",), (0.0,) * 3, (1.0,) * 3)
    parts = cut_windows(layout, [(table, np.array([33]))], 4, 5, labelled=False)
    assert set(parts) == {"inputs", "inputs_present", "future"}
    plan = table.values[33:38, 2]
    np.testing.assert_array_equal(parts["future"][0][:, 0], plan)
    clock = [[np.sin(a), np.cos(a)] for a in np.arange(33, 38) * 2 * np.pi / 24]
    np.testing.assert_allclose(parts["future"][0][:, 1:], clock, atol=1e-6)
    assert parts["inputs_present"][0].all()


def test_missing_values_are_marked():
    table = table_of(20)
    table.values[7] = np.nan
    layout = Layout(("x",), (), (), (), (1.0,), (2.0,))
    parts = cut_windows(layout, [(table, np.array([6, 10]))], 5, 3)
    assert [part[:, 0].all().item() for part in parts["inputs_present"]] == [
        True,
        False,
    ]
    assert parts["inputs"][1][2, 0] == 0
    assert parts["inputs"][1][3, 0] == (8 - 1) / 2
    assert parts["targets_mask"][0][:, 0].tolist() == [True, False, True]


def test_cycles_of_the_calendar():
    """A whole cycle later everything is as it was."""
    found = calendar_features(HOUR, 24 * 7 + 2, ("day", "week"))
    np.testing.assert_allclose(found[24:48, :2], found[:24, :2], atol=1e-12)
    np.testing.assert_allclose(found[168:170, 2:], found[:2, 2:], atol=1e-12)
    assert np.abs(found[24, 2:] - found[0, 2:]).max() > 0.1
    np.testing.assert_allclose((found**2).sum(1), 2, atol=1e-12)


@pytest.mark.parametrize(
    ("unit", "count", "years", "kinds"),
    [
        ("second", 3600.0, 1, ("day", "week")),
        ("second", 3600.0, 3, ("day", "week", "year")),
        ("second", 86400.0, 3, ("week", "year")),
        ("business day", 1, 3, ("week", "year")),
        ("month", 1, 3, ("year",)),
        ("month", 12, 30, ()),
        ("number", 1.0, 3, ()),
    ],
)
def test_which_cycles_can_be_told(unit, count, years, kinds):
    axis = TimeAxis(datetime(2024, 1, 1), Frequency(unit, count), "%Y-%m-%d")
    length = timedelta(days=365 * years).total_seconds()
    step = {"second": 1, "business day": 86400 * 1.4, "month": 86400 * 30.4}
    steps = length / (step.get(unit, 1) * count)
    assert calendar_kinds(axis, int(steps)) == kinds
    assert calendar_kinds(None, 100) == ()
