"""Series from files: gaps, missing values, and everything that can be wrong."""

import gzip

import numpy as np
import pytest

from throughtime.data.time_table import read_time_tables
from throughtime.errors import DataError


def read(folder, text, name="a.csv", **options):
    path = folder / name
    content = text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return read_time_tables(path, **options)


def test_columns_and_times(tmp_path):
    text = "day,x,y\n2024-01-01,1,-2e3\n2024-01-02,3,4.5\n"
    for name in ("a.csv", "a.csv.gz"):
        (table,) = read(tmp_path, text, name)
        assert table.columns == ("x", "y")
        assert table.values.tolist() == [[1, -2000], [3, 4.5]]
        assert table.where(1).endswith(f"{name}:3")
        assert table.time_text(2) == "2024-01-03"
        assert table.gaps == ()


def test_gaps_are_steps_without_values(tmp_path):
    text = "day,x\n2024-01-01,1\n2024-01-02,2\n2024-01-04,4\n"
    (table,) = read(tmp_path, text)
    np.testing.assert_array_equal(table.values[:, 0], [1, 2, np.nan, 4])
    (gap,) = table.gaps
    assert gap.endswith("a.csv:4: 1 step missing before it, from 2024-01-03 on")
    assert table.where(2).endswith("a.csv:3 (no row for 2024-01-03 after it)")
    table.require(["x"])  # a gap is no mistake


def test_missing_values_are_named(tmp_path):
    (table,) = read(tmp_path, "x,y\n1,1\n2,NaN\n,3\n", time="none")
    with pytest.raises(DataError, match=r"a.csv:3: no value in column 'y'.*--missing"):
        table.require(["x", "y"])
    table.require(["x"], stop=2)
    with pytest.raises(DataError, match="a.csv:4: no value in column 'x'"):
        table.require(["x"])
    with pytest.raises(DataError, match="no column 'z' of numbers: there are x, y"):
        table.columns_at(["z"])


def test_several_series_in_a_file(tmp_path):
    text = "shop,day,x\n" + "".join(
        f"{shop},2024-01-0{day},{day}\n" for day in (1, 2) for shop in "ab"
    )
    first, second = read(tmp_path, text, series="shop", time="day")
    assert (first.series, second.series) == ("a", "b")
    assert first.values.tolist() == second.values.tolist() == [[1], [2]]
    assert second.where(1).endswith(":5")
    with pytest.raises(DataError, match="comes twice.*--series"):
        read(tmp_path, text, time="day", columns=["x"])


def test_without_header_or_times(tmp_path):
    (table,) = read(tmp_path, "1,2\n3,4\n", "a.txt", header=False)
    assert table.columns == ("1", "2")
    assert table.axis is None
    assert table.time_text(2) == "3"


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("1,2\n3,4\n", {}, r"should name the columns, .*\(1, 2\).*--no-header"),
        ("x\n1\ntwo\n", {}, r"a.csv:3: 'two' in column 'x' is no number.*--targets"),
        ("x\n1\ninf\n", {}, "a.csv:3: inf in column 'x' is no finite number"),
        ('x\n"1,5"\n', {}, "a.csv:2: '1,5' .*write decimals with a point"),
        ("x,day\n1,2024-01-01\n", {}, "a.csv:2: .*name the column of times with --tim"),
        ("x;y\n1;2\n", {}, "a.csv:2: .*try --delimiter ';'"),
        ("x,y\n1\n", {}, "a.csv:2: 1 field instead of 2"),
        ("day\n2024-01-01\n2024-01-02\n", {}, "no column of numbers beside day"),
        ("x\n1\n", {"time": "when"}, "no column 'when': there are x"),
        ("x\n1\n", {"columns": ["z"]}, "no column 'z': there are x"),
        ("", {}, "a.csv is empty"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, options, says):
    with pytest.raises(DataError, match=says):
        read(tmp_path, text, **options)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="nowhere.csv does not exist"):
        read_time_tables(tmp_path / "nowhere.csv")


def test_real_series(data_folder):
    """Counts and gaps as the folder's own description gives them."""
    folder = data_folder / "time-series"
    (table,) = read_time_tables(folder / "daily-min-temperatures.csv")
    assert len(table) == 3652
    assert [gap.rsplit("from ")[1] for gap in table.gaps] == [
        "1984-12-31 on",
        "1988-12-31 on",
    ]
    (table,) = read_time_tables(data_folder / "ett" / "ETTh1.csv.gz")
    assert table.values.shape == (17420, 7)
    assert table.time_text(17419) == "2018-06-26 19:00:00"
    (table,) = read_time_tables(folder / "exchange_rate.txt.gz", header=False)
    assert table.values.shape == (7588, 8)
