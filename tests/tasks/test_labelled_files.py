"""Sounds and pictures with labels, by path."""

from pathlib import Path

import pytest

from throughtime.errors import DataError
from throughtime.tasks.labelled_files import kind_of_file, labelled_files
from throughtime.tasks.reading_options import ReadingOptions
from throughtime.tasks.task import RawExample


def touch(folder: Path, *names: str) -> list[Path]:
    files = [folder / name for name in names]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return files


def read(*files: Path, kind: str = "audio", labelled: bool = True, **options):
    return labelled_files(files, kind, ReadingOptions(**options), labelled=labelled)


def pairs(raw: list[RawExample]) -> list[tuple]:
    return [(e.input.name, e.target) for e in raw]


def test_tables(tmp_path):
    wav, flac = touch(tmp_path, "wav/a.wav", "b.flac")
    table = tmp_path / "a.csv"
    table.write_text("speaker,label,sound\nx, 7 ,wav/a.wav\ny,8,b.flac\n")
    assert read(table, group="speaker") == [
        RawExample(wav, "7", f"{table}:2", "x"),
        RawExample(flac, "8", f"{table}:3", "y"),
    ]
    assert read(table, labelled=False)[0] == RawExample(wav, None, f"{table}:2")
    assert pairs(read(table, path="sound", label="speaker"))[0] == ("a.wav", "x")
    bare = tmp_path / "b.csv"
    bare.write_text("wav/a.wav,7\nb.flac,\n")
    assert pairs(read(bare, header=False, missing="skip")) == [
        ("a.wav", "7"),
        ("b.flac", None),
    ]


def test_folders(tmp_path):
    touch(
        tmp_path,
        "1/b.wav",
        "1/deep/a.WAV",
        "0/c.wav",
        "0/.d.wav",
        "0/e.txt",
        ".1/f.wav",
    )
    assert pairs(read(tmp_path)) == [("c.wav", "0"), ("b.wav", "1"), ("a.WAV", "1")]
    assert pairs(read(tmp_path / "0", label_from="folder")) == [("c.wav", "0")]
    assert pairs(read(tmp_path, labelled=False))[0] == ("c.wav", None)
    assert pairs(read(tmp_path / "1" / "b.wav")) == [("b.wav", "1")]


def test_patterns(tmp_path):
    files = touch(tmp_path, "7_jackson_12.wav", "0_lucas_3.wav")
    pattern = r"(?P<label>\d)_(?P<group>[a-z]+)"
    want = [
        RawExample(files[1], "0", str(files[1]), "lucas"),
        RawExample(files[0], "7", str(files[0]), "jackson"),
    ]
    assert read(tmp_path, pattern=pattern) == want
    assert read(files[0], pattern=pattern) == want[1:]
    with pytest.raises(
        DataError, match=r"0_lucas_3.wav: the pattern .* does not match"
    ):
        read(tmp_path, pattern="(?P<label>[7-9])")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("path,label\na.wav,1\nb.wav,0\n", "a.csv:3: .*b.wav does not exist; paths st"),
        ("path,label\na.wav,1\n ,0\n", "a.csv:3: no path in column 'path'"),
        ("path,label\na.wav,\n", "a.csv:2: the label is empty"),
        ("path,lab\na.wav,1\n", "no column 'label': there are path, lab"),
        ("wav,label\na.wav,1\n", "no column 'path': there are wav, label"),
        (
            "path,label\na.wav,1\na.wav,2\na.wav,x\n",
            "a.csv:4: the label 'x' stands among",
        ),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, content, says):
    touch(tmp_path, "a.wav")
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=says):
        read(tmp_path / "a.csv")


def test_files_without_labels(tmp_path):
    (path,) = touch(tmp_path, "a.wav")
    with pytest.raises(DataError, match="a.wav stands in no sub-folder that says its"):
        read(tmp_path)
    with pytest.raises(DataError, match="is a folder without a picture"):
        read(tmp_path, kind="image")
    with pytest.raises(DataError, match="nowhere.wav does not exist"):
        read(tmp_path / "nowhere.wav")
    with pytest.raises(DataError, match="label_from 'file' says nothing of a single"):
        read(path, label_from="file")


def test_kinds():
    assert kind_of_file("a.PNG") == "image"
    assert kind_of_file(Path("a.mp3")) == "audio"
    assert kind_of_file("a.csv.gz") is None
