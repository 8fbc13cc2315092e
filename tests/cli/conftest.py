"""Run the command line in this process and look at what it says."""

import json
from dataclasses import dataclass

import pytest

from throughtime.cli import main

TEXT = "".join(f"line {i} the cat sat on the mat and went home\n" for i in range(150))
SMALL = ["--hidden-size", "8", "--epochs", "1", "--tau", "20", "--batch-size", "4"]


@dataclass
class Outcome:
    status: int
    out: str
    err: str

    @property
    def last(self):
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    """``command("train", "lm", ...)`` in an empty folder; returns what came of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), out, err)

    return run


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def run(command, text, tmp_path):
    """A small trained run."""
    outcome = command("train", "lm", text, *SMALL, "--out", "run")
    assert outcome.status == 0, outcome.err
    return tmp_path / "run"
