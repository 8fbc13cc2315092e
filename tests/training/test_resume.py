"""A training killed at any moment ends with the same bits; resume fits or is refused.

Truth everywhere: the training that was not interrupted.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from tests.training.crashing import result
from tests.training.small import config, data, make, run_all, total_weight
from throughtime.errors import InvalidValue, RunError
from throughtime.training import RunFolder, StepInfo, train

ROOT = Path(__file__).parents[2]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, ROOT / "tests" / "training" / "crashing.py", *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_around_and_within_every_write(tmp_path):
    process = start(tmp_path, "--all")
    out, _ = process.communicate()
    assert process.returncode == 0
    outcome = json.loads(out)
    assert outcome["differ"] == []
    assert outcome["restored"] == 1  # so the way back is among the moments too
    assert outcome["kills"] > 80


def test_killed_from_outside_at_random_moments(tmp_path):
    """SIGKILL cannot be caught or prepared for; it comes while the process works."""
    assert start(tmp_path / "whole").communicate()[0].endswith("finished\n")
    moments = random.Random(0)
    for _ in range(5):
        process = start(tmp_path / "killed")
        assert process.stdout is not None
        for _ in range(moments.randrange(1, 6)):
            assert process.stdout.readline() == "record\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert start(tmp_path / "killed").communicate()[0].endswith("finished\n")
    assert result(tmp_path / "killed") == result(tmp_path / "whole")


def interrupted(run, model, settings, records, **options):
    """Train, and stop listening after so many records."""
    generator = train(model, data(), settings, run=run, **options)
    for _ in range(records):
        next(generator)
    generator.close()


class State(NamedTuple):
    h: torch.Tensor


class ByName(nn.Module):
    """Reads its state by name, so a resume has to give it names."""

    def __init__(self):
        super().__init__()
        self.inner, self.rnn = nn.Embedding(6, 8), nn.RNN(8, 6)

    def forward(self, tokens, state=None):
        outputs, h = self.rnn(self.inner(tokens), None if state is None else state.h)
        return outputs, State(h)


def test_a_state_keeps_its_names(tmp_path):
    torch.manual_seed(0)
    whole = ByName()
    run_all(whole, config())
    torch.manual_seed(0)
    run = RunFolder.create(tmp_path / "r", {}, ByName())
    torch.manual_seed(0)
    interrupted(run, ByName(), config(checkpoint_every=3), 5)
    again = ByName()
    run_all(again, config(checkpoint_every=3), run=run, resume=True)
    for a, b in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)


def test_more_epochs_go_on_where_it_ended(tmp_path):
    whole = make(0.3)
    run_all(whole, config(epochs=3))
    model = make(0.3)
    run = RunFolder.create(tmp_path / "r", {}, model)
    run_all(model, config(epochs=1), run=run)
    rest = run_all(make(0.3), config(epochs=3), run=run, resume=True)
    assert [r.step for r in rest if isinstance(r, StepInfo)] == list(range(9, 25))
    again = make()
    run.load_weights(again)
    for a, b in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_finished_training_is_left_as_it_is(tmp_path):
    model = make(0.3)
    run = RunFolder.create(tmp_path / "r", {}, model)
    run_all(model, config(), run=run, validate=total_weight)
    before = {p.name: p.read_bytes() for p in run.path.iterdir()}
    other = make()
    assert run_all(other, config(), run=run, validate=total_weight, resume=True) == []
    assert {p.name: p.read_bytes() for p in run.path.iterdir()} == before
    for a, b in zip(other.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_leftovers_of_a_kill_are_removed(tmp_path):
    run = RunFolder.create(tmp_path / "r", {}, make())
    (run.path / ".state.safetensors.123.tmp").write_bytes(b"half a")
    run_all(make(), config(), run=run, resume=True)
    assert [p.name for p in run.path.iterdir() if p.name.startswith(".")] == []


# What does not fit is refused, and the run stays as it is.


@pytest.fixture
def trained(tmp_path):
    model = make()
    run = RunFolder.create(tmp_path / "r", {}, model)
    interrupted(run, model, config(checkpoint_every=3), 5)
    return run


def refused(run, says, settings, *, model=None, inputs=None, resume=True):
    before = {p.name: p.read_bytes() for p in run.path.iterdir()}
    with pytest.raises(RunError, match=says):
        list(train(model or make(), inputs or data(), settings, run=run, resume=resume))
    assert {p.name: p.read_bytes() for p in run.path.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"learning_rate": 0.1}, r"learning_rate cannot change .*with 0.5, got 0.1"),
        ({"optimizer": "adam"}, "optimizer cannot change within a run"),
        ({"tau": 7}, "tau cannot change within a run"),
        ({"optimizer_options": {"momentum": 0.9}}, "optimizer_options cannot change"),
        ({"seed": 3}, "seed cannot change within a run"),
    ],
)
def test_other_options(trained, options, says):
    refused(trained, says, config(checkpoint_every=3, **options))


def test_other_data(trained):
    shorter, wider = data(steps=39), data(batch=4)
    refused(trained, r"streams \[40, 3\], got \[39, 3\]", config(), inputs=shorter)
    refused(trained, r"streams \[40, 3\], got \[40, 4\]", config(), inputs=wider)


def test_another_model(trained):
    refused(trained, "weights of another model", config(), model=make().double())


def test_a_checkpoint_of_another_version(trained):
    state = trained.load_state()
    state["progress"]["window"] = state["progress"].pop("start")
    trained.save_state(state)
    refused(trained, "of another version of throughtime, it has 'window'", config())


def test_metrics_that_were_lost(trained):
    (trained.path / "metrics.jsonl").write_text("")
    run_all(make(), config(log_every=1), run=trained, resume=True)  # had no line yet
    (trained.path / "metrics.jsonl").write_text("")
    refused(trained, "fewer than the .* restore it from a copy", config(log_every=1))


def test_a_second_training_in_the_same_run(trained):
    refused(trained, "a training of 3 updates; continue it", config(), resume=False)


def test_resume_needs_a_run():
    with pytest.raises(InvalidValue, match="resume needs a run to continue"):
        run_all(make(), config(), resume=True)


def test_a_training_that_never_saved_begins_again(tmp_path):
    """The state of the new run, and lines that were logged before the kill."""
    whole = make(0.3)
    run_all(whole, config())
    model = make(0.3)
    run = RunFolder.create(tmp_path / "r", {}, model)
    interrupted(run, model, config(log_every=1), 3)
    again = make(0.3)
    run_all(again, config(log_every=1), run=run, resume=True)
    assert [r["step"] for r in run.metrics()] == list(range(1, 17))
    for a, b in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)
