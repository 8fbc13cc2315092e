"""Which kind of examples files hold, and reading them."""

from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import DataError
from throughtime.tasks.reading import (
    guess_kind,
    kind_of,
    read_labelled,
    read_unlabelled,
)
from throughtime.tasks.reading_options import ReadingOptions
from throughtime.tasks.task import RawExample


def guess(folder: Path, name: str, content: str = "", **options) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return guess_kind([path], ReadingOptions(**options))


@pytest.mark.parametrize(
    ("name", "content", "options", "want"),
    [
        ("a.txt", "so\n", {}, "text"),
        ("a.train", "so\n", {}, "text"),
        ("a.csv", "text,label\n1,2\n", {}, "text"),
        ("a.csv", "x,label\nso,2\n", {}, "text"),
        ("a.csv", "x,label\n1,2\n", {"text": "x"}, "text"),
        ("a.csv", "x,label\n1,2\n", {"pattern": "(?P<label>.)"}, "text"),
        ("a.tsv", "so\t1\n", {"header": False}, "text"),
        ("a.csv", "x,y,label\n1,2.5,no\nnan,,yes\n", {}, "series"),
        ("a.csv", "x,who,label\n1,so,0\n", {}, "text"),
        ("a.csv", "x,who,label\n1,so,0\n", {"group": "who"}, "series"),
        ("a.csv", "1,2,a\n", {"header": False}, "series"),
        ("a.csv", "path,label\nx/a.wav,2\n", {}, "audio"),
        ("a.csv", "image,label\nx/a.JPG,2\n", {}, "image"),
        ("a.csv", "f,label\na.png,2\n", {"path": "f"}, "image"),
        ("a.csv", "a.png,2\n", {"header": False}, "image"),
        ("a.ts.gz", "", {}, "series"),
        ("a.npz", "", {}, "series"),
        ("train-images-idx3-ubyte.gz", "", {}, "image"),
        ("a.wav", "", {}, "audio"),
    ],
)
def test_kinds_of_files(tmp_path, name, content, options, want):
    assert guess(tmp_path, name, content, **options) == want


def test_kinds_of_folders(tmp_path):
    guess(tmp_path, "texts/1/a.txt")
    guess(tmp_path, "sounds/1/a.wav")
    for name, want in (("texts", "text"), ("sounds", "audio")):
        assert guess_kind([tmp_path / name], ReadingOptions()) == want
    both = [tmp_path / "texts", tmp_path / "sounds"]
    with pytest.raises(DataError, match="different things .*texts as text, .*as audio"):
        guess_kind(both, ReadingOptions())


def test_paths_that_are_neither_sounds_nor_pictures(tmp_path):
    with pytest.raises(DataError, match="a.csv:2: 'a.doc' in column 'path' is neither"):
        guess(tmp_path, "a.csv", "path,label\na.doc,2\n")


def test_kinds_of_examples():
    for value, want in (
        ("so", "text"),
        (Path("a.wav"), "audio"),
        (Path("a.png"), "image"),
        (np.zeros((28, 28), np.uint8), "image"),
        (np.zeros((5, 2)), "series"),
        (np.zeros(5, np.float32), "vector"),
    ):
        assert kind_of([RawExample(value, None, "")]) == want
    with pytest.raises(DataError, match="there are no examples"):
        kind_of([])
    with pytest.raises(DataError, match="a.csv:2: the input is neither text"):
        kind_of([RawExample(3, None, "a.csv:2")])


def test_reading(tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("text,label\nso,1\n")
    want = RawExample("so", "1", f"{table}:2")
    assert read_labelled([table], ReadingOptions()) == [want]
    assert read_labelled([table], ReadingOptions(inputs="text")) == [want]
    with pytest.raises(DataError, match="no file is given"):
        read_labelled([], ReadingOptions())
    for kind, name in (("audio", "0/a.wav"), ("image", "0/a.png")):
        path = tmp_path / kind / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        want = RawExample(path, "0", str(path))
        assert read_labelled([tmp_path / kind], ReadingOptions()) == [want]
        unlabelled = RawExample(path, None, str(path))
        for source in (path, str(path), tmp_path / kind):
            assert read_unlabelled(source, ReadingOptions(), kind) == [unlabelled]


def test_reading_to_answer(tmp_path):
    raw = read_unlabelled("so good", ReadingOptions(), "text")
    assert raw == [RawExample("so good", None, "the text given")]
    path = tmp_path / "a.txt"
    path.write_text("so\ngood\n")
    raw = read_unlabelled(path, ReadingOptions(), "text")
    assert [e.input for e in raw] == ["so", "good"]
