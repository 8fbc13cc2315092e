"""Numbers with labels."""

from pathlib import Path

import numpy as np
import pytest

from throughtime.errors import DataError
from throughtime.tasks.labelled_series import labelled_series
from throughtime.tasks.reading_options import ReadingOptions


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def read(*files: Path, kind: str = "series", labelled: bool = True, **options):
    return labelled_series(files, kind, ReadingOptions(**options), labelled=labelled)


def test_a_series_in_each_row(tmp_path):
    path = write(tmp_path / "a.csv", "t1,label,t2,who\n1,x,2.5,a\n-3,y,4e1,b\n")
    raw = read(path, group="who")
    assert [(e.target, e.where, e.group) for e in raw] == [
        ("x", f"{path}:2", "a"),
        ("y", f"{path}:3", "b"),
    ]
    assert raw[0].input.tolist() == [[1.0], [2.5]]
    assert raw[0].input.dtype == np.float32
    assert read(path, kind="vector", group="who")[1].input.tolist() == [-3.0, 40.0]
    raw = read(path, group="who", labelled=False)
    assert [(e.input.shape, e.target) for e in raw] == [((2, 1), None)] * 2
    bare = write(tmp_path / "b.txt", "1;2;x\n3;4;y\n")
    raw = read(bare, header=False, delimiter=";")
    assert [(e.input.tolist(), e.target) for e in raw] == [
        ([[1.0], [2.0]], "x"),
        ([[3.0], [4.0]], "y"),
    ]


def test_a_step_in_each_row(tmp_path):
    content = "a,b,run,label\n1,2,r,x\n5,6,s,y\n3,4,r,x\n"
    path = write(tmp_path / "a.csv", content)
    first, second = read(path, sequence="run")
    assert (first.input.tolist(), first.target) == ([[1.0, 2.0], [3.0, 4.0]], "x")
    assert (second.input.tolist(), second.where) == ([[5.0, 6.0]], f"{path}:3")
    path = write(tmp_path / "b.csv", content.replace("r,x\n5", "r,z\n5"))
    with pytest.raises(
        DataError, match=r"b.csv:4: .*'r' has the label 'x' here .*line 2"
    ):
        read(path, sequence="run")
    with pytest.raises(DataError, match="a vector has one row"):
        read(path, kind="vector", sequence="run")


def test_missing_numbers(tmp_path):
    path = write(tmp_path / "a.csv", "a,b,label\n1,2,x\n?,NaN,y\n")
    with pytest.raises(DataError, match="a.csv:3: column 'a': a number is missing"):
        read(path)
    assert np.isnan(read(path, missing="skip")[1].input).all()
    path = write(tmp_path / "b.csv", "a,b,label\n1,so,x\n")
    with pytest.raises(
        DataError, match="b.csv:2: column 'b' holds 'so', which is no n"
    ):
        read(path, missing="skip")


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("a,lab\n1,x\n", {}, "no column 'label': there are a, lab"),
        ("a,label\n1,\n", {}, "a.csv:2: the label is empty"),
        ("label\nx\n", {}, "no column of numbers beside the labels"),
        ("a,label\n1,x\n2,3\n", {}, "a.csv:.: the label .* stands among"),
        ("a,label\n1,x\n", {"sequence": "run"}, "no column 'run': there are a, label"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, content, options, says):
    with pytest.raises(DataError, match=says):
        read(write(tmp_path / "a.csv", content), **options)


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    x = np.arange(12.0).reshape(2, 3, 2)
    np.savez(path, X=x, y=[1, 0], lengths=[3, 0])
    first, second = read(path)
    np.testing.assert_array_equal(first.input, x[0])
    assert (first.target, first.where, second.target) == ("1", f"{path}:1", "0")
    assert second.input.shape == (0, 2)
    np.savez(path, inputs=x[:, :, 0], labels=["a", "b"])
    assert [e.input.shape for e in read(path)] == [(3, 1), (3, 1)]
    assert [e.input.shape for e in read(path, kind="vector")] == [(3,), (3,)]
    np.savez(path, inputs=x.astype(np.uint8))
    raw = read(path, kind="image", labelled=False)
    assert (raw[0].input.dtype, raw[0].target) == (np.uint8, None)
    with pytest.raises(
        DataError, match=r"no array 'labels' \(or y, .*there are inputs"
    ):
        read(path)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        (
            {"X": np.zeros((2, 3)), "y": [1]},
            "labels should be one for each of the 2 inputs",
        ),
        ({"X": np.zeros(2), "y": [1, 2]}, r"must be numbers, .* got float64 \(2,\)"),
        ({"X": np.full((2, 2), "a"), "y": [1, 2]}, "must be numbers"),
        ({"X": np.full((2, 2), None), "y": [1, 2]}, "no npz file of plain numbers"),
        (
            {"X": np.zeros((2, 3)), "y": [1, 2], "lengths": [1]},
            "lengths should be one for each of the 2 inputs",
        ),
        ({}, "no array 'inputs' .*there are none"),
    ],
)
def test_npz_files_that_cannot_be_used(tmp_path, arrays, says):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=says):
        read(tmp_path / "a.npz")


def test_damaged_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.zeros((2, 3)), y=[1, 2])
    for content in (b"", b"no", path.read_bytes()[:-30]):
        path.write_bytes(content)
        with pytest.raises(
            DataError, match="a.npz is no npz file of plain numbers and texts, or"
        ):
            read(path)


TS = """@problemName a
@timeStamps false
@univariate true
@classLabel true a b
@data
1,2,3:a
4,?:b
"""


def test_ts(tmp_path):
    path = write(tmp_path / "a.ts", TS)
    raw = read(path, missing="skip")
    assert [(e.input.shape, e.target, e.where) for e in raw] == [
        ((3, 1), "a", f"{path}:6"),
        ((2, 1), "b", f"{path}:7"),
    ]
    assert read(path, missing="skip", labelled=False)[0].target is None
    with pytest.raises(DataError, match="a.ts:7: a number is missing"):
        read(path)


def idx(*shape: int) -> bytes:
    """Bytes that count up, in the format of MNIST."""
    head = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    return head + bytes(range(int(np.prod(shape))))


def test_idx(tmp_path):
    pictures = tmp_path / "train-images-idx3-ubyte"
    labels = tmp_path / "train-labels-idx1-ubyte"
    pictures.write_bytes(idx(2, 4, 3))
    with pytest.raises(
        DataError, match="no file of labels beside it: .*idx1-ubyte does"
    ):
        read(pictures, kind="image")
    labels.write_bytes(idx(2))
    raw = read(pictures, labels, kind="image")
    assert [(e.input.shape, e.target) for e in raw] == [((4, 3), "0"), ((4, 3), "1")]
    assert raw[1].input[0].tolist() == [12, 13, 14]
    assert read(pictures, kind="image", labelled=False)[0].target is None
    labels.write_bytes(idx(1))
    with pytest.raises(DataError, match="2 inputs have 1 labels"):
        read(pictures, kind="image")


def test_other_files(tmp_path):
    path = tmp_path / "a.bin"
    path.write_text("1 2 3")
    with pytest.raises(DataError, match="a.bin holds no numbers by its name"):
        read(path)
