"""What a command makes of torchrun's variables."""

import os

import pytest
import torch

from throughtime.cli.launch import begun_run, check_same, launch_entry
from throughtime.errors import DataError, InvalidValue
from throughtime.training import RunFolder, Team


@pytest.fixture
def started(monkeypatch):
    """``started("name", restarts=1)`` sets torchrun's variables."""

    def start(name, restarts=0, most=0):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", name)
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
        monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", str(most))

    return start


@pytest.fixture
def make_run(tmp_path):
    def make(name="run"):
        path = tmp_path / name
        RunFolder.create(path, launch_entry(), torch.nn.Linear(1, 1))
        return path

    return make


def test_without_torchrun_nothing_is_noted(make_run, monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert launch_entry() == {}
    assert begun_run(make_run(), None, Team()) is None


def test_its_own_run_goes_on(started, make_run):
    started("job-7", most=3)
    run = make_run()
    assert begun_run(run, None, Team()) == run  # also when machines came or went
    started("job-7", restarts=1, most=3)
    assert begun_run(run, None, Team()) == run


def test_the_run_of_another_does_not(started, make_run, tmp_path):
    started("job-7", most=3)
    run = make_run()
    started("job-8", restarts=1, most=3)
    assert begun_run(run, None, Team()) is None
    assert begun_run(tmp_path / "none", None, Team()) is None
    started("job-7", restarts=1, most=3)
    assert begun_run(run, run, Team()) is None  # --resume says it


def test_a_torchrun_without_a_name(started, make_run, monkeypatch):
    started("none", most=3)
    run = make_run()
    assert begun_run(run, None, Team()) is None  # made before, maybe by another one
    started("none", restarts=1, most=3)
    assert begun_run(run, None, Team()) == run
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert begun_run(run, None, Team()) is None


def test_restarts_need_the_name_of_the_run(started):
    started("job-7", most=3)
    with pytest.raises(InvalidValue, match="--max-restarts needs --out"):
        begun_run(None, None, Team())
    started("job-7")
    assert begun_run(None, None, Team()) is None


def test_other_texts_on_other_machines():
    class Second(Team):
        def share(self, value=None):
            return {**value, "vocabulary": "abc"}

    check_same(Team(), {"vocabulary": "abd"})
    with pytest.raises(DataError, match="process 1 has another vocabulary"):
        check_same(Second(1), {"vocabulary": "abd"})


def test_a_comparison_by_several_processes(command, text, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    outcome = command("compare-cells", text, "--cells", "gru")
    assert outcome.status == 1
    assert "compare-cells is done by one process, got 2" in outcome.err


def test_one_of_all_processes_complains_of_wrong_usage(command, text, monkeypatch):
    assert "No such option" in command("train", "lm", text, "--bogus").err
    monkeypatch.setenv("RANK", "1")
    outcome = command("train", "lm", text, "--bogus")
    assert (outcome.status, outcome.err) == (2, "")


def test_half_of_the_variables(command, text, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    outcome = command("train", "lm", text)
    assert outcome.status == 1
    assert "must be set for each of 2 processes" in outcome.err
    assert "Traceback" not in outcome.err
