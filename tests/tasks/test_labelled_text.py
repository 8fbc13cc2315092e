"""Labelled texts as users keep them."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from throughtime.errors import DataError, InvalidType, InvalidValue
from throughtime.tasks.labelled_text import labelled_texts, unlabelled_texts
from throughtime.tasks.labels import as_number, check_labels
from throughtime.tasks.reading_options import ReadingOptions
from throughtime.tasks.task import RawExample


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding=encoding)
    return path


def read(*files: Path, **options) -> list[tuple]:
    raw = labelled_texts(files, ReadingOptions(**options))
    return [(e.input, e.target) for e in raw]


def test_tables(tmp_path):
    path = write(tmp_path / "a.csv", "who,label,text\nx, 1 , so \ny,0,bad\n")
    raw = labelled_texts([path], ReadingOptions(group="who"))
    assert raw == [
        RawExample("so", "1", f"{path}:2", "x"),
        RawExample("bad", "0", f"{path}:3", "y"),
    ]
    assert read(path, text="who", label="text") == [("x", "so"), ("y", "bad")]
    lines = write(tmp_path / "a.jsonl", '{"text": "so", "label": true}')
    assert read(path, lines)[2:] == [("so", "true")]


def test_tables_without_header(tmp_path):
    path = write(tmp_path / "a.tsv", "so\tx\t1\nbad\ty\t0\n")
    assert read(path, header=False) == [("so", "1"), ("bad", "0")]
    assert read(path, header=False, label="2") == [("so", "x"), ("bad", "y")]
    other = write(tmp_path / "a.txt", "so;1\nbad;0\n")
    assert read(other, header=False, delimiter=";") == [("so", "1"), ("bad", "0")]


def test_folders_of_texts(tmp_path):
    write(tmp_path / "pos" / "1.txt", "so\ngood\n")
    write(tmp_path / "pos" / "deep" / "2.txt", "fun")
    write(tmp_path / "neg" / "1.txt", "bad")
    want = [("bad", "neg"), ("so\ngood", "pos"), ("fun", "pos")]
    assert read(tmp_path) == want
    assert read(tmp_path, label_from="folder") == want
    folders = [tmp_path / "pos", tmp_path / "neg"]
    with pytest.raises(
        DataError, match=r"pos holds texts \(1.txt\) beside folders .*2"
    ):
        read(*folders)
    assert sorted(read(*folders, label_from="folder")) == [
        ("bad", "neg"),
        ("fun", "deep"),
        ("so\ngood", "pos"),
    ]
    one = tmp_path / "neg" / "1.txt"
    assert read(one, label_from="folder") == [("bad", "neg")]


def test_a_file_for_each_label(tmp_path):
    files = [
        write(tmp_path / "names" / "Arabic.txt", "Khoury\n\n Nahas \n"),
        write(tmp_path / "names" / "Irish.txt", "Adam"),
    ]
    want = [("Khoury", "Arabic"), ("Nahas", "Arabic"), ("Adam", "Irish")]
    assert read(*files) == want
    assert read(tmp_path / "names") == want
    assert labelled_texts(files, ReadingOptions())[1].where == f"{files[0]}:3"
    assert read(files[0], label_from="file") == want[:2]
    packed = tmp_path / "Greek.txt.gz"
    packed.write_bytes(gzip.compress(b"Adamou\n"))
    ending = write(tmp_path / "reviews.pos", "caf\xe9\x85x", encoding="latin-1")
    bare = write(tmp_path / "README", "so")
    assert read(packed, ending, bare, encoding="latin-1") == [
        ("Adamou", "Greek"),
        ("café\x85x", "pos"),
        ("so", "README"),
    ]


def test_patterns(tmp_path):
    path = write(tmp_path / "a.train", "DESC:manner How ?\n\nENTY:x What :\n")
    raw = labelled_texts(
        [path], ReadingOptions(pattern=r"(?P<label>\w+):(?P<group>\w+) (?P<text>.*)")
    )
    assert raw == [
        RawExample("How ?", "DESC", f"{path}:1", "manner"),
        RawExample("What :", "ENTY", f"{path}:3", "x"),
    ]
    assert read(tmp_path / "a.train", pattern="(?P<label>.*?) (?P<text>.*)")[0] == (
        "How ?",
        "DESC:manner",
    )
    with pytest.raises(
        DataError, match=r"a.train:1: the pattern .* does not match 'DE"
    ):
        read(path, pattern=r"(?P<label>\d+) (?P<text>.*)")
    with pytest.raises(DataError, match=r"put \(\?P<text>...\) into it"):
        read(path, pattern=r"(?P<label>\d+)")


def test_unlabelled(tmp_path):
    table = write(tmp_path / "a.csv", "text\nso\n")
    assert unlabelled_texts(table, ReadingOptions(group="who")) == [
        RawExample("so", None, f"{table}:2")
    ]
    lines = write(tmp_path / "b" / "b.txt", "so\n\nA:b good\n")
    raw = unlabelled_texts(lines, ReadingOptions())
    assert [(e.input, e.where) for e in raw] == [
        ("so", f"{lines}:1"),
        ("A:b good", f"{lines}:3"),
    ]
    pattern = r"(?P<label>\w+):\S+ (?P<text>.*)"
    raw = unlabelled_texts(lines, ReadingOptions(pattern=pattern))
    assert [e.input for e in raw] == ["so", "good"]
    raw = unlabelled_texts(lines.parent, ReadingOptions())
    assert [e.input for e in raw] == ["so\n\nA:b good"]


def test_missing_values(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\nso,1\n ,0\nbad,\n")
    with pytest.raises(DataError, match="a.csv:3: the text is empty; fill it in"):
        read(path)
    assert read(path, missing="skip") == [("so", "1"), ("", "0"), ("bad", None)]
    path = write(tmp_path / "b.jsonl", '{"text": "so"}\n{"label": 1, "text": null}')
    with pytest.raises(DataError, match="b.jsonl:1: the label is empty"):
        read(path)
    empty = write(tmp_path / "pos" / "1.txt", " \n")
    with pytest.raises(DataError, match="1.txt: the text is empty"):
        read(empty.parent, label_from="folder")
    with pytest.raises(DataError, match="1.txt is empty; give a file with text"):
        read(empty, label_from="file")


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        (
            "t,label\nso,1\n",
            {},
            "no column 'text': there are t, label; name it with --t",
        ),
        ("so so,1\nbad,0\n", {}, "say --no-header if the first line is an example"),
        ("text\tlabel\nso\t1\n", {}, "no column 'text'.*try --delimiter tab"),
        ("text,label\nso,1\n", {"text": "t"}, "no column 't': there are text, label"),
        ("text,label\nso,1\n", {"group": "g"}, "no column 'g': there are text, label"),
        (
            "so;1\nbad;0\n",
            {"header": False},
            "both texts and labels; .*--delimiter ';'",
        ),
        (
            "text,label\nso,1\nbad,no\nx,0",
            {},
            "a.csv:3: the label 'no' stands among 2 num",
        ),
        ("text,label\nso,1\nbad,nan\nx,0", {}, "a.csv:3: the label 'nan' stands among"),
        (
            "text,label\nso,a\nbad,b\nx,0",
            {},
            "a.csv:4: the label '0' stands among 2 wor",
        ),
        (
            "text,label\nso,1\nbad,0\n",
            {"header": False},
            "a.csv:1: the label 'label' .* the file has a header",
        ),
        ("text,label\nso,1\nbad\n", {}, "a.csv:3: 1 field instead of 2"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, content, options, says):
    with pytest.raises(DataError, match=says):
        read(write(tmp_path / "a.csv", content), **options)


def test_long_columns_are_cut(tmp_path):
    path = write(tmp_path / "a.tsv", "so " * 100 + "\t1\nbad\t0\n")
    with pytest.raises(DataError, match=r"there are (so ){13}s\.\.\., 1; name"):
        read(path)


def test_files_without_labels(tmp_path):
    path = write(tmp_path / "a.txt", "so\n")
    with pytest.raises(DataError, match="no label is told by one text file; give one"):
        read(path)
    with pytest.raises(DataError, match="is a folder of texts and has no columns"):
        read(tmp_path, label_from="column")
    with pytest.raises(DataError, match="nowhere.csv does not exist"):
        read(tmp_path / "nowhere.csv")
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match="void is a folder without a text file"):
        read(tmp_path / "void")


def test_labels():
    assert as_number("1e3") == 1000
    assert as_number("inf") is None
    check_labels([RawExample("", label, "") for label in ("1", None, "2.5")])
    check_labels([RawExample("", label, "") for label in ("a", None, "nan")])
    check_labels([])


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (
            {"inputs": "texts"},
            InvalidValue,
            "unknown inputs 'texts': known are text",
        ),
        (
            {"label_from": "name"},
            InvalidValue,
            "known are column, file, folder, pattern",
        ),
        ({"missing": "drop"}, InvalidValue, "known are error, skip"),
        ({"header": "no"}, InvalidType, "header"),
        ({"pattern": "("}, InvalidValue, "no regular expression"),
        ({"pattern": "(?P<text>.*)"}, InvalidValue, r"must hold \(\?P<label>"),
        ({"label_from": "pattern"}, InvalidValue, "needs a pattern"),
        (
            {"pattern": "(?P<label>.*)", "label_from": "file"},
            InvalidValue,
            "label_from 'file' says otherwise",
        ),
    ],
)
def test_wrong_options(options, error, says):
    with pytest.raises(error, match=says):
        ReadingOptions(**options)


def test_real_files(data_folder):
    """The truth: counts of the files' descriptions."""
    options = {"encoding": "latin-1"}
    reviews = [data_folder / "rt-polarity" / f"rt-polarity.{s}" for s in ("pos", "neg")]
    counts = Counter(label for _, label in read(*reviews, **options))
    assert counts == {"pos": 5331, "neg": 5331}
    pattern = r"(?P<label>\w+):\S+ (?P<text>.*)"
    questions = read(data_folder / "trec" / "TREC.train", pattern=pattern, **options)
    assert len(questions) == 5452
    assert len({label for _, label in questions}) == 6
    assert questions[0] == (
        "How did serfdom develop in and then leave Russia ?",
        "DESC",
    )
    names = read(data_folder / "names")
    assert len(names) == 20050
    assert Counter(label for _, label in names)["Russian"] == 9384
