"""Checkpoints: exact, atomic, and honest about damage."""

import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime.errors import InvalidType, RunError
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


class Pair(NamedTuple):
    h: torch.Tensor
    c: tuple[int, ...]


def test_named_tuples_keep_their_names(tmp_path):
    """A model that reads ``state.h`` must be able to do so after a resume."""
    save_state(tmp_path / "s", [Pair(torch.ones(2), (1, 2))])
    (state,) = load_state(tmp_path / "s")
    assert isinstance(state, tuple)
    assert state.h.tolist() == [1.0, 1.0]
    assert state.c == (1, 2)
    assert state._fields == Pair._fields


def test_what_cannot_be_stored_is_an_error():
    with pytest.raises(InvalidType, match="cannot hold a set"):
        flatten({"a": {1, 2}})


def test_equal_contents_are_equal_bytes(tmp_path):
    """safetensors writes several entries of metadata in random order."""
    notes = {"b": 1, "a": {"y": 2, "x": [3.5, None]}}
    save_checkpoint(tmp_path / "first", {"w": torch.ones(3)}, notes)
    for _ in range(10):
        save_checkpoint(tmp_path / "again", {"w": torch.ones(3)}, notes)
        again = (tmp_path / "again").read_bytes()
        assert again == (tmp_path / "first").read_bytes()


def test_tensors_may_share_memory(tmp_path):
    """As the weights of tied layers do."""
    weight = torch.arange(6.0).view(2, 3)
    save_checkpoint(tmp_path / "c", {"a": weight, "b": weight, "t": weight.t()}, {})
    tensors, _ = load_checkpoint(tmp_path / "c")
    assert torch.equal(tensors["a"], tensors["b"])
    assert torch.equal(tensors["t"], weight.t())


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


def test_every_flipped_bit_is_found(tmp_path):
    """In the tensors, in the structure, in the header, in the checksum itself."""
    path = tmp_path / "state.safetensors"
    save_state(path, {"factor": 0.5, "w": torch.arange(9.0), "h": torch.ones(2).half()})
    content = bytearray(path.read_bytes())
    for position in range(len(content)):
        bit = 1 << position % 8
        content[position] ^= bit
        path.write_bytes(content)
        with pytest.raises(RunError):
            load_state(path)
        content[position] ^= bit
    path.write_bytes(content)
    assert load_state(path)["factor"] == 0.5


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


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to write beyond ``size`` bytes, in the middle of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_write_that_ends_half_way_leaves_the_old_file(tmp_path):
    path = saved(tmp_path)
    before = path.read_bytes()
    with largest_file(5000), pytest.raises(RunError, match="File too large"):
        save_checkpoint(path, {"w": torch.ones(10_000)}, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_folder_that_is_gone(tmp_path):
    with pytest.raises(RunError, match="cannot write .*No such file or directory"):
        write_atomically(tmp_path / "none" / "file", b"new")


def test_an_interruption_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_loaded_tensors_have_memory_of_their_own(tmp_path):
    path = saved(tmp_path)
    tensors, notes = load_checkpoint(path)
    assert tensors["w"].data_ptr() % 64 == 0
    assert notes["note"] == "x"
