"""A run folder exists completely or not at all, and says what is wrong with it."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from throughtime.errors import RunError
from throughtime.training import RunFolder


def model(size=3):
    torch.manual_seed(0)
    return nn.Linear(2, size)


def snapshot(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_new_run_is_complete(tmp_path):
    made = model()
    run = RunFolder.create(
        tmp_path / "deep" / "r", {"task": "x"}, made, files={"vocabulary.json": b"[1]"}
    )
    assert {p.name for p in run.path.iterdir()} == {
        "config.json",
        "vocabulary.json",
        "metrics.jsonl",
        "model.safetensors",
        "state.safetensors",
    }
    assert [p.name for p in run.path.parent.iterdir()] == ["r"]
    assert RunFolder.open(run.path).config == {"format": 1, "task": "x"}
    assert (run.path / "vocabulary.json").read_text() == "[1]"
    assert run.metrics() == []
    assert torch.equal(run.load_state()["random"]["cpu"], torch.get_rng_state())
    other = nn.Linear(2, 3)
    run.load_weights(other)
    assert torch.equal(other.weight, made.weight)


def test_an_existing_folder_is_refused_and_untouched(tmp_path):
    run = RunFolder.create(tmp_path / "r", {}, model())
    before = snapshot(tmp_path)
    with pytest.raises(RunError, match="exists; continue it with --resume"):
        RunFolder.create(run.path, {}, model())
    (tmp_path / "mine").mkdir()
    with pytest.raises(RunError, match="no run folder, so --overwrite does not touch"):
        RunFolder.create(tmp_path / "mine", {}, model(), overwrite=True)
    assert snapshot(tmp_path) == before


def test_overwrite_replaces_the_whole_folder(tmp_path):
    run = RunFolder.create(
        tmp_path / "r", {}, model(), files={"vocabulary.json": b"[]"}
    )
    (run.path / "report.html").touch()
    RunFolder.create(run.path, {"new": True}, model(), overwrite=True)
    assert RunFolder.open(run.path).config["new"]
    assert not (run.path / "report.html").exists()
    assert not (run.path / "vocabulary.json").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def full(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("call", range(1, 12))
def test_full_disk_at_every_write(tmp_path, monkeypatch, overwrite, call):
    """Whichever write fails, the old run stays, or there is none."""
    if overwrite:
        RunFolder.create(tmp_path / "r", {"old": True}, model())
    before = snapshot(tmp_path)
    calls, real = [], os.fsync

    def fsync(descriptor):
        calls.append(descriptor)
        return full() if len(calls) == call else real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    last = 2 * 4 + 1  # file and folder of four files, and the folder above
    if call > last:
        RunFolder.create(tmp_path / "r", {}, model(), overwrite=overwrite)
        assert len(calls) == last
        return
    with pytest.raises(RunError, match="cannot make .*No space left.*another --out"):
        RunFolder.create(tmp_path / "r", {}, model(), overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] in ([], ["r"])
    if call < last:  # in the last one the new run stands already
        assert snapshot(tmp_path) == before


def test_an_overwrite_that_cannot_be_finished_is_undone(tmp_path, monkeypatch):
    run = RunFolder.create(tmp_path / "r", {"old": True}, model())
    before, real = snapshot(tmp_path), Path.rename

    def rename(self, target):
        return full() if self.name.endswith(".new") else real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(RunError, match="No space left on device"):
        RunFolder.create(run.path, {}, model(), overwrite=True)
    assert snapshot(tmp_path) == before


def test_folders_that_are_no_runs(tmp_path):
    with pytest.raises(RunError, match="is no run folder"):
        RunFolder.open(tmp_path / "none")
    run = RunFolder.create(tmp_path / "r", {}, model())
    for text in ('{"format": 2}', "[1]", "null"):
        (run.path / "config.json").write_text(text)
        with pytest.raises(RunError, match="has another format than 1"):
            RunFolder.open(run.path)
    for content in (b'{"format": 1', b"\xff"):
        (run.path / "config.json").write_bytes(content)
        with pytest.raises(RunError, match="config.json is damaged"):
            RunFolder.open(run.path)


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (nn.Linear(2, 4), "bias"),
        (nn.Linear(2, 3, bias=False), "bias"),
        (nn.Linear(2, 3).double(), "bias"),
        (nn.Sequential(nn.Linear(2, 3)), "0.bias"),
    ],
)
def test_weights_of_another_model(tmp_path, other, differs):
    run = RunFolder.create(tmp_path / "r", {}, model())
    with pytest.raises(RunError, match=rf"another model \({differs} differs\)"):
        run.load_weights(other)


def test_metrics_are_appended_cut_and_read(tmp_path):
    run = RunFolder.create(tmp_path / "r", {}, model())
    run.append_metrics({"step": 1})
    size = run.metrics_size()
    run.append_metrics({"step": 2, "text": "ä"})
    assert run.metrics() == [{"step": 1}, {"step": 2, "text": "ä"}]
    run.truncate_metrics(size)
    assert run.metrics() == [{"step": 1}]


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path):
    run = RunFolder.create(tmp_path / "r", {}, model())
    run.append_metrics({"step": 1})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "lo')
    assert run.metrics() == [{"step": 1}]


def test_damaged_metrics(tmp_path):
    run = RunFolder.create(tmp_path / "r", {}, model())
    (run.path / "metrics.jsonl").write_text(json.dumps({"step": 1})[:-3] + "\n")
    with pytest.raises(RunError, match="metrics.jsonl is damaged"):
        run.metrics()
    with pytest.raises(RunError, match="fewer than the 100 it had"):
        run.truncate_metrics(100)
    (run.path / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match="metrics.jsonl is damaged"):
        run.metrics()
    with pytest.raises(RunError, match="0 bytes, fewer than"):
        run.truncate_metrics(0)


def test_full_disk_while_logging(tmp_path):
    """/dev/full refuses every byte, as a full disk does."""
    run = RunFolder.create(tmp_path / "r", {}, model())
    (run.path / "metrics.jsonl").unlink()
    (run.path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"metrics.jsonl \(No space left.*--resume"):
        run.append_metrics({"step": 1})
