"""Steps of time: how files write them, how far apart they are, and how they go on."""

from datetime import datetime, timedelta

import pytest

from throughtime.data.time_axis import (
    Frequency,
    TimeAxis,
    frequency_from_dict,
    frequency_to_dict,
    parse_times,
    place_times,
)
from throughtime.errors import DataError, InvalidValue


def axis_of(texts, format=None, frequency=None):
    wheres = [f"a.csv:{i + 2}" for i in range(len(texts))]
    times, format = parse_times(texts, wheres, format)
    return place_times(times, wheres, format, frequency)


@pytest.mark.parametrize(
    ("texts", "frequency", "name", "season", "following"),
    [
        (
            ["2016-07-01 23:00:00", "2016-07-02 00:00:00"],
            ("second", 3600),
            "hour",
            24,
            "2016-07-02 01:00:00",
        ),
        (
            ["2016-07-01T23:45", "2016-07-02T00:00"],
            ("second", 900),
            "900 seconds",
            96,
            "2016-07-02T00:15",
        ),
        (["2024-02-28", "2024-02-29"], ("second", 86400), "day", 7, "2024-03-01"),
        (["2024/02/22", "2024/02/29"], ("second", 604800), "week", 52, "2024/03/07"),
        (["1949-11", "1949-12"], ("month", 1), "month", 12, "1950-01"),
        (
            ["2023-12-31", "2024-01-31", "2024-02-29"],
            ("month", 1),
            "month",
            12,
            "2024-03-31",
        ),
        (["2023-10-01", "2024-01-01"], ("month", 3), "quarter", 4, "2024-04-01"),
        (["2022-01-01", "2023-01-01"], ("month", 12), "year", 1, "2024-01-01"),
        (
            ["2024-03-07", "2024-03-08", "2024-03-11", "2024-03-14", "2024-03-15"],
            ("business day", 1),
            "business day",
            5,
            "2024-03-18",
        ),
        (["1749", "1750"], ("number", 1), "number", 1, "1751"),
        (["0", "0.5", "1.0"], ("number", 0.5), "0.5 numbers", 1, "1.5"),
    ],
)
def test_frequencies(texts, frequency, name, season, following):
    axis, steps = axis_of(texts)
    assert (axis.frequency.unit, axis.frequency.count) == frequency
    assert str(axis.frequency) == name
    assert axis.frequency.season == season
    assert axis.text(steps[-1] + 1) == following
    written = [axis.text(step) for step in steps]
    assert (
        [float(w) for w in written] == [float(t) for t in texts]
        if (frequency[0] == "number")
        else written == texts
    )
    assert frequency_from_dict(frequency_to_dict(axis.frequency)) == axis.frequency


def test_business_days_against_the_calendar():
    """The truth: days counted one by one."""
    start = datetime(2024, 3, 6)
    days = [start + timedelta(days=i) for i in range(40)]
    workdays = [day for day in days if day.weekday() < 5]
    axis = TimeAxis(start, Frequency("business day", 1), "%Y-%m-%d")
    assert [axis.time(i) for i in range(len(workdays))] == workdays
    _, steps = place_times(workdays, ["a"] * len(workdays), "%Y-%m-%d")
    assert steps == list(range(len(workdays)))


def test_a_step_without_a_row_is_left_out():
    assert axis_of(["2024-01-01", "2024-01-02", "2024-01-04"])[1] == [0, 1, 3]
    assert axis_of(["2024-01", "2024-02", "2024-05", "2024-06"])[1] == [0, 1, 4, 5]


def test_other_formats_are_named():
    axis, _ = axis_of(["01.02.2024", "02.02.2024"], format="%d.%m.%Y")
    assert axis.text(2) == "03.02.2024"


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["yesterday"], r"a.csv:2: 'yesterday' is no time: .*--time-format"),
        (["2024-01-01", "2024-13-01"], r"a.csv:3: '2024-13-01' is no time .* as 2024"),
        (["2024-01-01", None], r"a.csv:3: None is no time of the form"),
        (["1", "two"], r"a.csv:3: 'two' is no number"),
        (["1", "nan"], r"a.csv:3: 'nan' is no number"),
        (["2024-01-01"], r"a.csv:2: one time does not say how long a step is"),
        (["2024-01-01"] * 2, r"a.csv:3: the time .* comes twice, before in a.csv:2"),
        (["2024-01-02", "2024-01-01"], r"a.csv:3: the time .* comes after .*sort"),
        (["1", "2", "2.5", "4.2"], r"a.csv:5: 4.2 does not lie on a step"),
        (["2024-01", "2024-02", "2030-01"], r"a.csv:4: 70 of 73 steps are missing"),
    ],
)
def test_times_that_cannot_be_used(texts, says):
    with pytest.raises(DataError, match=says):
        axis_of(texts)


def test_a_given_frequency_is_kept():
    axis, steps = axis_of(["2024-01-01"], frequency=Frequency("second", 3600.0))
    assert (axis.text(24), steps) == ("2024-01-02", [0])
    with pytest.raises(DataError, match="2024-01-06 does not lie on a step"):
        axis_of(["2024-01-05", "2024-01-06"], frequency=Frequency("business day", 1))


def test_unknown_units():
    with pytest.raises(InvalidValue, match="unknown unit of time 'moon'"):
        frequency_from_dict({"unit": "moon", "count": 1})
