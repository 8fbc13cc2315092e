"""Checkpoints: exact, atomic, and honest about damage."""

import errno
import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime.errors import RunError
from throughtime.training.checkpoint import (
    flatten,
    load_checkpoint,
    load_state,
    save_checkpoint,
    save_state,
    unflatten,
    write_atomically,
)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.builds(lambda n: torch.arange(n, dtype=torch.float64), st.integers(0, 3)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.integers() | st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(a, b):
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(plain)
def test_nested_values_come_back(value):
    assert same(unflatten(*flatten(value)), value)


def test_file_round_trip_is_exact(tmp_path):
    state = {
        "w": torch.randn(3, 4),
        "half": torch.randn(2).bfloat16(),
        "flags": torch.tensor([True, False]),
        "empty": torch.zeros(0, 5),
        "infinite": float("inf"),
        "tenth": 0.1,
    }
    save_state(tmp_path / "s", state)
    assert same(load_state(tmp_path / "s"), state)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_what_cannot_be_stored_is_an_error():
    with pytest.raises(TypeError, match="cannot hold a set"):
        flatten({"a": {1, 2}})


def saved(tmp_path):
    path = tmp_path / "state.safetensors"
    save_checkpoint(path, {"w": torch.arange(100.0)}, {"note": "x"})
    return path


def test_every_truncation_is_found(tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(RunError, match="damaged"):
            load_checkpoint(path)


def test_every_flipped_bit_in_the_data_is_found(tmp_path):
    path = saved(tmp_path)
    content = bytearray(path.read_bytes())
    for position in range(len(content) - 400, len(content), 13):
        content[position] ^= 1
        path.write_bytes(content)
        with pytest.raises(RunError, match="damaged"):
            load_checkpoint(path)
        content[position] ^= 1


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(RunError, match="is missing"):
        load_checkpoint(tmp_path / "none")
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(RunError, match="no checkpoint of this format"):
        load_checkpoint(tmp_path / "foreign")
    save_checkpoint(tmp_path / "weights", {"w": torch.zeros(1)}, {})
    with pytest.raises(RunError, match="holds no training state"):
        load_state(tmp_path / "weights")


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch, where):
    path = saved(tmp_path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, where, fail)
    with pytest.raises(RunError, match="No space left on device.*--resume"):
        write_atomically(path, b"new")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_loaded_tensors_have_memory_of_their_own(tmp_path):
    path = saved(tmp_path)
    tensors, notes = load_checkpoint(path)
    assert tensors["w"].data_ptr() % 64 == 0
    assert notes["note"] == "x"
