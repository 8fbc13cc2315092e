"""Tokens on disk."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from throughtime.data import evaluation_streams, streams
from throughtime.data.token_file import TokenFile
from throughtime.errors import DataError, InvalidShape, InvalidType, InvalidValue

PARTS = [np.array([0, 2], np.uint16), torch.tensor([1, 1]), torch.tensor([]).long()]


@pytest.fixture
def file(tmp_path):
    return TokenFile.write(tmp_path / "t.safetensors", PARTS, 3, notes={"of": "é"})


@pytest.mark.parametrize("again", [False, True])
def test_tokens_come_back(file, again):
    file = TokenFile.open(file.path) if again else file
    assert file.tensor().tolist() == file.array.tolist() == [0, 2, 1, 1]
    assert (len(file), file.vocabulary_size, file.notes) == (4, 3, {"of": "é"})


def test_safetensors_reads_it(file):
    """The truth: the package of the format itself."""
    found = load_file(file.path)
    assert list(found) == ["tokens"]
    assert found["tokens"].tolist() == [0, 2, 1, 1]
    assert found["tokens"].dtype == torch.int16


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(32768, torch.int16), (32769, torch.int32), (2**31, torch.int32)],
)
def test_the_smallest_type_that_holds_them(tmp_path, size, dtype):
    file = TokenFile.write(tmp_path / "t", [np.array([size - 1])], size)
    assert file.tensor().dtype == dtype
    assert file.tensor().tolist() == [size - 1]
    assert file.path.stat().st_size == 4096 + dtype.itemsize


def test_the_tensor_is_on_the_map_and_the_file_stays(file):
    before = file.path.read_bytes()
    tensor = file.tensor()
    assert tensor.data_ptr() == file.array.ctypes.data
    tensor[0] = 1
    assert file.array[0] == 1
    assert file.path.read_bytes() == before


def test_streams_are_on_the_map(tmp_path):
    """No copy of a text that may not fit into memory."""
    file = TokenFile.write(tmp_path / "t", [np.arange(100)], 100)
    tokens = file.tensor()
    inputs, targets = streams(tokens, 3)
    assert inputs.data_ptr() == tokens.data_ptr()
    assert targets.data_ptr() == tokens.data_ptr() + 2
    want = streams(torch.arange(100), 3)
    assert torch.equal(inputs.long(), want[0])
    assert torch.equal(targets.long(), want[1])
    inputs, targets, mask = evaluation_streams(tokens)
    assert inputs.data_ptr() == tokens.data_ptr()
    assert targets.data_ptr() == tokens.data_ptr() + 2
    assert targets[:, 0].tolist() == list(range(1, 100))
    assert mask.all()


def test_nothing(tmp_path):
    file = TokenFile.write(tmp_path / "t", [], 3)
    assert len(file) == len(TokenFile.open(tmp_path / "t").tensor()) == 0


@pytest.mark.parametrize(
    ("part", "kind", "says"),
    [
        (np.array([3]), InvalidValue, r"in \[0, 3\), .* from 3 to 3"),
        (np.array([-1, 1]), InvalidValue, "from -1 to 1"),
        (np.array([0.5]), InvalidType, "should be integers, got: float64"),
        (torch.zeros(1, 1).long(), InvalidShape, r"shape \(n,\), got \(1, 1\)"),
    ],
)
def test_parts_that_are_no_tokens(tmp_path, file, part, kind, says):
    before = file.path.read_bytes()
    with pytest.raises(kind, match=says):
        TokenFile.write(file.path, [np.array([1]), part], 3)
    assert [path.name for path in tmp_path.iterdir()] == ["t.safetensors"]
    assert file.path.read_bytes() == before


def test_bad_arguments(tmp_path):
    with pytest.raises(InvalidValue, match="vocabulary_size must be greater than"):
        TokenFile.write(tmp_path / "t", [], 0)
    with pytest.raises(InvalidValue, match="notes make a header of .* bytes"):
        TokenFile.write(tmp_path / "t", [], 1, notes={"a": "x" * 5000})
    with pytest.raises(DataError, match="cannot write .*No such file.*make room"):
        TokenFile.write(tmp_path / "no" / "t", [], 1)
    assert list(tmp_path.iterdir()) == []


def header(values):
    text = json.dumps(values).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text, and more of it",
        (30).to_bytes(8, "little") + b"{",
        header([]),
        header({"tokens": {"dtype": "I16", "shape": [0], "data_offsets": [0, 0]}}),
        header({"tokens": {"dtype": "F16", "shape": [0]}, "__metadata__": {}}),
        header({"tokens": {"dtype": "I16", "shape": [1, 2]}, "__metadata__": {}}),
    ],
)
def test_other_files(tmp_path, content):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(DataError, match="no complete file of tokens .*make it anew"):
        TokenFile.open(tmp_path / "t")


def test_damaged_files(tmp_path, file):
    with pytest.raises(DataError, match="does not exist"):
        TokenFile.open(tmp_path / "none")
    whole = file.path.read_bytes()
    for content in (whole[:-1], whole + b"x", whole.replace(b"tokens 1", b"tokens 2")):
        file.path.write_bytes(content)
        with pytest.raises(DataError, match="no complete file of tokens"):
            TokenFile.open(file.path)
