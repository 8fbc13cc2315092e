"""Files of the UEA and UCR archives."""

import gzip

import numpy as np
import pytest

from throughtime.data.ts import read_ts
from throughtime.errors import DataError

HEADER = """# a comment: with a colon
@problemName Waves
@timeStamps false
@dimensions 2
@classLabel true up down
@data
"""


def write(folder, content, name="a.ts"):
    path = folder / name
    path.write_bytes(
        gzip.compress(content.encode()) if name.endswith("gz") else content.encode()
    )
    return path


def test_cases_of_any_length(tmp_path):
    content = HEADER + "1,2.5,-3e1:4,?,6:up\n\n# said between\n7:NaN: down \n8:9:?\n"
    series, labels, lines = read_ts(write(tmp_path, content, "a.ts.gz"))
    assert [s.dtype for s in series] == [np.float32] * 3
    np.testing.assert_array_equal(series[0], [[1, 4], [2.5, np.nan], [-30, 6]])
    np.testing.assert_array_equal(series[1], [[7, np.nan]])
    assert labels == ["up", "down", None]
    assert lines == [7, 10, 11]


def test_other_headers(tmp_path):
    path = write(tmp_path, "@univariate true\n@classLabel false\n@DATA\n1,2\n")
    series, labels, _ = read_ts(path)
    assert (series[0].tolist(), labels) == ([[1.0], [2.0]], [None])
    path = write(tmp_path, "@targetLabel true\n@data\n1:2:3:0.5\n")
    series, labels, _ = read_ts(path)
    assert (series[0].tolist(), labels) == ([[1.0, 2.0, 3.0]], ["0.5"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "has no line @data"),
        (HEADER.replace("@data", ""), "has no line @data"),
        (HEADER, "holds no series after @data"),
        ("1,2:up\n" + HEADER, r"a.ts:1: expected a line of the header.*'1,2:up'"),
        ("@data\n1:up\n", "should say '@classLabel true'"),
        (HEADER.replace("true up down", "yes"), "should say '@classLabel true'"),
        (HEADER.replace("false", "true"), "has time stamps"),
        (HEADER.replace("ions 2", "ions many"), "number of @dimensions, got 'many'"),
        (HEADER + "1:2:up\n1:up\n", "a.ts:8: 1 channels instead of 2"),
        (HEADER.replace("@dimensions 2\n", "") + "1:2:up\n1:up\n", ":7: 1 channels"),
        (HEADER + "1:2:3:up\n", "a.ts:7: 3 channels instead of 2"),
        (HEADER + "1:2:left\n", "a.ts:7: the label 'left' .*: up, down"),
        (HEADER + "1:2\n", "a.ts:7: the label '2' is none"),
        (HEADER + "1,2:3:up\n", "a.ts:7: the channels have 1, 2 steps"),
        (HEADER + "1,x:3,4:up\n", r"a.ts:7: expected a number or \?, got 'x'"),
        (HEADER + "1,:3,4:up\n", r"a.ts:7: expected a number or \?, got ''"),
        (HEADER + "up\n", "a.ts:7: there are no numbers before the label"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, content, says):
    with pytest.raises(DataError, match=says):
        read_ts(write(tmp_path, content))


def test_japanese_vowels(data_folder):
    """The truth: cases, channels, lengths and classes as the archive states them."""
    folder = data_folder / "ts-classification"
    series, labels, lines = read_ts(folder / "JapaneseVowels_TRAIN.ts.gz")
    assert len(series) == len(lines) == 270
    assert {s.shape[1] for s in series} == {12}
    lengths = [len(s) for s in series]
    assert (min(lengths), max(lengths)) == (7, 26)
    assert set(labels) == set("123456789")
