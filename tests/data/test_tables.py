"""Tables as users have them."""

import csv
import gzip
import json
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data.tables import is_table, plain_suffix, read_table
from throughtime.errors import DataError, InvalidValue


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv(tmp_path):
    content = '\ufefftext, label \r\n"so, ""so""\nso",0\r\n\r\ngood,1'
    table = read_table(write(tmp_path / "a.csv", content))
    assert table.columns == ("text", "label")
    assert table.rows == [('so, "so"\nso', "0"), ("good", "1")]
    assert table.lines == [2, 5]
    assert table.where(1) == f"{tmp_path}/a.csv:5"
    assert len(table) == 2
    assert table.column("label") == ["0", "1"]


def test_packed_and_encoded(tmp_path):
    content = "text;label\ncaf\xe9;1\n".encode("latin-1")
    for name, packed in (
        ("a.csv.gz", gzip.compress(content)),
        ("a.csv.zst", zstandard.ZstdCompressor().compress(content)),
    ):
        path = write(tmp_path / name, packed)
        table = read_table(path, encoding="latin-1", delimiter=";")
        assert table.column("text") == ["café"]
    with pytest.raises(DataError, match=r"a.csv.zst:2: not utf-8 .*--encoding latin-1"):
        read_table(path)


def test_quotes_are_literal_between_tabs(tmp_path):
    content = 'he said "no\t0\n"a" film\t1'
    table = read_table(write(tmp_path / "a.tsv", content), header=False)
    assert table.columns == ("1", "2")
    assert table.rows == [('he said "no', "0"), ('"a" film', "1")]
    assert table.lines == [1, 2]
    path = write(tmp_path / "b.csv", content)
    for tab in ("\t", "tab", "\\t"):
        assert read_table(path, delimiter=tab, header=False).rows == table.rows


def test_the_delimiter_of_other_files(tmp_path):
    """By the first line, where the name does not say it."""
    table = read_table(write(tmp_path / "a.txt", "a\tb,c\n1\t2,3"))
    assert table.columns == ("a", "b,c")
    table = read_table(write(tmp_path / "b.txt", "1.5\n2.5\n"), header=False)
    assert table.column("1") == ["1.5", "2.5"]
    # A comma-separated file may have tabs in its texts.
    assert read_table(write(tmp_path / "c.csv", "a\tb,c\n1\t2,3")).rows == [
        ("1\t2", "3")
    ]


def test_json_lines(tmp_path):
    objects = [{"text": "ü", "label": 1}, {"label": None, "x": [1, "a"], "y": True}]
    content = "\n\n".join(json.dumps(o) for o in objects)
    table = read_table(write(tmp_path / "a.jsonl", content))
    assert table.columns == ("text", "label", "x", "y")
    assert table.rows == [("ü", "1", None, None), (None, None, '[1, "a"]', "true")]
    assert table.lines == [1, 3]


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    values = {"text": ["so", None], "label": [1, 2], "x": [0.5, None]}
    parquet.write_table(pyarrow.table(values), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.columns == ("text", "label", "x")
    assert table.rows == [("so", "1", "0.5"), (None, "2", None)]
    assert table.where(1).endswith("a.parquet:2")
    with pytest.raises(DataError, match="b.parquet is no parquet file, or damaged"):
        read_table(write(tmp_path / "b.parquet", b"no"))
    parquet.write_table(pyarrow.table({"a": []}), tmp_path / "c.pq")
    with pytest.raises(DataError, match="c.pq is empty"):
        read_table(tmp_path / "c.pq")


def test_parquet_without_its_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'throughtime\[parquet\]'"):
        read_table(tmp_path / "a.parquet")


FIELD = st.text('aü,"\n ', min_size=1)


@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=5))
def test_a_csv_comes_back(tmp_path_factory, rows):
    """The truth: what was written, and its line numbers counted by hand."""
    path = tmp_path_factory.mktemp("table") / "a.csv"
    lines, line = [], 1
    with path.open("w", newline="", encoding="utf-8") as file:
        for row in rows:
            lines.append(line)
            csv.writer(file, lineterminator="\n").writerow(row)
            line += 1 + sum(field.count("\n") for field in row)
    table = read_table(path, header=False)
    assert table.rows == rows
    assert table.lines == lines


def test_a_long_field(tmp_path):
    limit = csv.field_size_limit()
    table = read_table(write(tmp_path / "a.csv", "a,b\n" + "x" * 200_000 + ",1\n"))
    assert len(table.column("a")[0] or "") == 200_000
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "a.csv",
            "a,b\n1,2\n1,2,3\n",
            r"a.csv:3: 3 fields instead of 2; put .* quotes",
        ),
        ("a.csv", 'a,b\n"x\ny",2\n1\n', "a.csv:4: 1 field instead of 2"),
        ("a.tsv", "a\tb\n1\t2\t3\n", "a.tsv:2: 3 fields instead of 2; take tabs out"),
        ("a.csv", "a;b\n1,2;3\n", "a.csv:2: 2 fields instead of 1; .* but a semicolon"),
        ("a.csv", "a,b,a\n1,2,3\n", "a.csv:1: more than one column is named 'a'"),
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", "\n\n", "a.csv is empty"),
        ("a.tsv", "\n\n", "a.tsv is empty"),
        ("a.csv", "a,b\n", "nothing but one row, .* no header"),
        ("a.csv", 'a,b\n1,2\n"so,3\n\n4,5\n', "a.csv:3: quotes do not match"),
        ("a.csv", 'a,b\n1,2\n"so" x,3\n', "a.csv:3: quotes do not match"),
        ("a.csv", b"a,b\n1,\xe9\n", "a.csv:2: not utf-8 .*--encoding latin-1"),
        ("a.csv", b"a,b\n1,\0\n", "a.csv is not a text file"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "a.jsonl:2: no JSON"),
        (
            "a.jsonl",
            "\n[1]\n",
            "a.jsonl:2: each line should be a JSON object.*got list",
        ),
        ("a.jsonl", "\n", "a.jsonl is empty"),
        ("a.csv.gz", "a,b\n", "no complete gzip file"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, name, content, says):
    with pytest.raises(DataError, match=says):
        read_table(write(tmp_path / name, content))


def test_unknown_columns(tmp_path):
    table = read_table(write(tmp_path / "a.csv", "text,label\nso,1\n"))
    with pytest.raises(DataError, match=r"no column 'txt': there are text, label$"):
        table.column("txt")
    table = read_table(write(tmp_path / "b.csv", "text\tlabel\nso\t1\n"))
    with pytest.raises(
        DataError, match="holds no comma but a tab: try --delimiter tab"
    ):
        table.position("text")
    table = read_table(write(tmp_path / "c.csv", "text;label\nso;1\n"))
    with pytest.raises(DataError, match="but a semicolon: try --delimiter ';'"):
        table.position("text")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="nowhere.csv does not exist"):
        read_table(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n"])
def test_wrong_delimiters(delimiter):
    with pytest.raises(InvalidValue, match="delimiter must be one character"):
        read_table("a.csv", delimiter=delimiter)


def test_names():
    assert is_table(Path("a.CSV.gz"))
    assert is_table(Path("a.jsonl"))
    assert not is_table(Path("a.txt.gz"))
    assert plain_suffix(Path("a.tar.gz")) == ".tar"
    assert plain_suffix(Path("gz")) == ""


def test_sentences_of_sst2(data_folder):
    """The truth: counts of the files' description."""
    count = {}
    for part in ("train", "dev", "test"):
        table = read_table(data_folder / "sst2" / f"{part}.tsv", header=False)
        assert table.columns == ("1", "2")
        labels = table.column("2")
        count[part] = len(table), labels.count("1"), labels.count("0")
    assert count == {
        "train": (6920, 3610, 3310),
        "dev": (872, 444, 428),
        "test": (1821, 909, 912),
    }
