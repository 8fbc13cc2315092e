"""Tables of files, good and bad."""

from pathlib import Path

import pytest

from throughtime.errors import DataError
from throughtime.tasks.path_table import kind_of_files, read_path_table
from throughtime.tasks.task import RawExample


def write(folder, content, name="a.csv", files=("a.wav", "b.wav")):
    for file in files:
        (folder / file).write_bytes(b"")
    (folder / name).write_text(content)
    return folder / name


def read(file, **options):
    return read_path_table(file, **{"path": None, "text": "text", **options})


def test_rows(tmp_path):
    file = write(tmp_path, "text,path,who\none,a.wav,ann\ntwo two,b.wav,bob\n")
    first, second = read(file, group="who")
    assert first == RawExample(tmp_path / "a.wav", "one", f"{file}:2", "ann")
    assert second == RawExample(tmp_path / "b.wav", "two two", f"{file}:3", "bob")
    assert [e.target for e in read(file, text=None)] == [None, None]
    assert [e.input.name for e in read(file, path="path")] == ["a.wav", "b.wav"]


def test_without_a_header(tmp_path):
    file = write(tmp_path, "a.wav\tone\nb.wav\ttwo\n", "a.tsv")
    raw = read(file, header=False, text="2")
    assert [e.input.name for e in raw] == ["a.wav", "b.wav"]


def test_another_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "c.wav").write_bytes(b"")
    file = write(tmp_path, "path,text\nc.wav,one\n", files=())
    (only,) = read(file, folder=tmp_path / "in")
    assert only.input == tmp_path / "in" / "c.wav"
    (tmp_path / "d.csv").write_text(f"path,text\n{tmp_path}/in/c.wav,one\n")
    assert read(tmp_path / "d.csv")[0].input == only.input


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "path,text\nc.wav,one\n",
            r"a.csv:2: .*c.wav does not exist; paths start from",
        ),
        ("path,text\na.wav,one\n,two\n", "a.csv:3: no path in column 'path'"),
        ("path,text\na.wav, \n", "a.csv:2: no text in column 'text'"),
        ("path,words\na.wav,one\n", "has no column 'text': there are path, words"),
        ("place,text\na.wav,one\n", "has no column of paths: none of place, text is"),
        ("path;text\na.wav;one\n", "try --delimiter ';'"),
        ("path,text\na.wav\n", "a.csv:2: 1 field instead of 2"),
    ],
)
def test_what_cannot_be_used(tmp_path, content, says):
    with pytest.raises(DataError, match=says):
        read(write(tmp_path, content))


def test_columns_that_are_not_there(tmp_path):
    file = write(tmp_path, "path,text\na.wav,one\n")
    with pytest.raises(DataError, match="has no column 'file': there are path, text"):
        read(file, path="file")
    with pytest.raises(DataError, match="has no column 'who'"):
        read(file, group="who")


def test_kinds():
    def of(*names):
        return [RawExample(Path(n), None, f"x.csv:{i}") for i, n in enumerate(names)]

    assert kind_of_files(of("a.flac", "b.wav")) == "audio"
    assert kind_of_files(of("a.png", "b.JPG")) == "image"
    with pytest.raises(DataError, match="x.csv:1 is a sound and x.csv:0 a picture"):
        kind_of_files(of("a.png", "b.wav"))
    with pytest.raises(DataError, match=r"x.csv:1: b.txt is neither a sound \(.wav"):
        kind_of_files(of("a.png", "b.txt"))
