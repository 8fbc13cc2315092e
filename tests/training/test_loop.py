"""The loop: what it computes, when it skips, and that it can be stopped at any time."""

import math
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import throughtime as tt
from throughtime.errors import InvalidShape, TrainingError
from throughtime.losses import cross_entropy
from throughtime.training import (
    EventInfo,
    RunFolder,
    StepInfo,
    TrainingConfig,
    ValidationInfo,
    train,
)


class Model(nn.Module):
    """Embedding, dropout, RNN, output layer."""

    def __init__(self, size: int = 8, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(6, size)
        self.dropout = nn.Dropout(dropout)
        self.rnn = tt.Recurrent(tt.cells.Elman(size, size))
        self.output = nn.Linear(size, 6)

    def forward(self, tokens, state=None):
        h, state = self.rnn(self.dropout(self.embedding(tokens)), state)
        return self.output(h), state


def data(steps=40, batch=3):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(6, (steps + 1, batch), generator=generator)
    return tokens[:-1], tokens[1:]


def make(dropout=0.0):
    torch.manual_seed(0)
    return Model(dropout=dropout)


def config(**options):
    usual = {"tau": 5, "epochs": 2, "optimizer": "sgd", "learning_rate": 0.5}
    return TrainingConfig(**{**usual, "max_norm": None, **options})


def run_all(model, settings, **options):
    return list(train(model, data(), settings, **options))


def test_equals_a_hand_written_loop():
    model, reference = make(), make()
    run_all(model, config(max_norm=0.3))
    inputs, targets = data()
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.5)
    for _ in range(2):
        state = None
        for start in range(0, 40, 5):
            logits, state = reference(inputs[start : start + 5], state)
            state = tuple(type(s)(*(v.detach() for v in s)) for s in state)
            loss = nn.functional.cross_entropy(
                logits.flatten(0, 1), targets[start : start + 5].flatten()
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(reference.parameters(), 0.3)
            optimizer.step()
    for a, b in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_accumulated_windows_average_their_gradients():
    # With learning rate 0 nothing moves, so the norms can be compared afterwards.
    whole = run_all(make(), config(accumulate=8, learning_rate=1e-30, epochs=1))
    model = make()
    inputs, targets = data()
    state, total = None, [torch.zeros_like(p) for p in model.parameters()]
    for start in range(0, 40, 5):
        logits, state = model(inputs[start : start + 5], state)
        state = tuple(type(s)(*(v.detach() for v in s)) for s in state)
        loss = cross_entropy(logits, targets[start : start + 5])
        for sum_, g in zip(
            total, torch.autograd.grad(loss, list(model.parameters())), strict=True
        ):
            sum_ += g / 8
    steps = [r for r in whole if isinstance(r, StepInfo)]
    norm = torch.stack([t.norm() for t in total]).norm().item()
    assert len(steps) == 1
    assert steps[0].grad_norm == pytest.approx(norm, rel=1e-5)
    assert steps[0].tokens == 120


def test_sum_is_the_mean_times_the_count():
    mean = run_all(make(), config(learning_rate=1e-30, epochs=1))[0]
    total = run_all(
        make(), config(learning_rate=1e-30, epochs=1, loss_reduction="sum")
    )[0]
    assert isinstance(mean, StepInfo)
    assert isinstance(total, StepInfo)
    assert total.grad_norm == pytest.approx(15 * mean.grad_norm, rel=1e-5)
    assert total.loss == pytest.approx(mean.loss, rel=1e-6)


class Faulty(nn.Module):
    """A loss that is NaN at chosen calls."""

    def __init__(self, bad):
        super().__init__()
        self.bad, self.calls = set(bad), 0

    def forward(self, logits, targets, *, mask=None, reduction="mean"):
        self.calls += 1
        loss = cross_entropy(logits, targets, mask=mask, reduction=reduction)
        return loss * math.nan if self.calls in self.bad else loss


def test_one_bad_update_is_skipped_and_counted():
    records = run_all(make(), config(epochs=1), loss=Faulty([3]))
    steps = [r for r in records if isinstance(r, StepInfo)]
    events = [r for r in records if isinstance(r, EventInfo)]
    assert [s.skipped for s in steps] == [False, False, True] + [False] * 5
    assert [e.kind for e in events] == ["skipped"]
    assert "update 3 was skipped: loss nan" in events[0].message


def test_a_skipped_update_changes_no_weight():
    model = make()
    before = [p.clone() for p in model.parameters()]
    run_all(model, config(epochs=1, tau=40), loss=Faulty([1]))
    for a, b in zip(model.parameters(), before, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("on_disk", [False, True])
def test_five_in_a_row_restore_at_half_the_rate(tmp_path, on_disk):
    model = make()
    settings = config(epochs=2, checkpoint_every=2)
    run = RunFolder.create(tmp_path / "r", {}, model) if on_disk else None
    records = run_all(model, settings, run=run, loss=Faulty(range(4, 9)))
    restored = [r for r in records if getattr(r, "kind", "") == "restored"]
    assert len(restored) == 1
    assert restored[0].step == 2
    assert "back to the checkpoint of update 2" in restored[0].message
    assert "halved to 0.25" in restored[0].message
    steps = [r for r in records if isinstance(r, StepInfo)]
    assert [s.learning_rate for s in steps[:8]] == [0.5] * 8
    assert {s.learning_rate for s in steps[8:]} == {0.25}
    assert steps[-1].step == 16
    if run is not None:
        kinds = [m.get("kind") for m in run.metrics() if m["record"] == "event"]
        assert kinds == ["skipped"] * 5 + ["restored"]


def test_endless_divergence_is_an_error():
    with pytest.raises(TrainingError, match="10 returns .* lower learning_rate"):
        run_all(make(), config(), loss=Faulty(range(1, 1000)))


def test_validation_keeps_the_best_weights(tmp_path):
    model = make()
    run = RunFolder.create(tmp_path / "r", {}, model)
    losses = iter([3.0, 1.0, 2.0])
    seen = []

    def validate(model):
        seen.append([p.clone() for p in model.parameters()])
        return next(losses)

    records = run_all(model, config(epochs=3), run=run, validate=validate)
    best = [r.improved for r in records if isinstance(r, ValidationInfo)]
    assert best == [True, True, False]
    for p, q in zip(model.parameters(), seen[1], strict=True):
        assert torch.equal(p, q)


def test_early_stopping_and_plateau():
    losses = iter([3.0, 3.1, 3.2, 3.3, 3.4])
    records = run_all(
        make(),
        config(epochs=9, early_stopping=3, schedule="plateau", decay=0.25),
        validate=lambda model: next(losses),
    )
    rates = [r.learning_rate for r in records if isinstance(r, ValidationInfo)]
    assert rates == [0.5, 0.125, 0.03125, 0.0078125]
    assert isinstance(records[-1], EventInfo)
    assert records[-1].kind == "early_stopping"


def test_decay_after_an_epoch():
    records = run_all(
        make(), config(epochs=4, schedule="after_epoch", decay=0.5, decay_after=2)
    )
    rates = {r.epoch: r.learning_rate for r in records if isinstance(r, StepInfo)}
    assert rates == {1: 0.5, 2: 0.5, 3: 0.25, 4: 0.125}


def test_linear_decay():
    records = run_all(make(), config(epochs=4, schedule="linear"))
    rates = {r.epoch: r.learning_rate for r in records if isinstance(r, StepInfo)}
    assert rates == {1: 0.5, 2: 0.375, 3: 0.25, 4: 0.125}


def test_time_budget_stops_and_more_time_goes_on(tmp_path):
    model, whole = make(0.3), make(0.3)
    list(train(whole, data(), config()))
    run = RunFolder.create(tmp_path / "r", {}, make(0.3))
    torch.manual_seed(0)
    model = make(0.3)
    first = run_all(model, config(time_budget=1e-9), run=run)
    assert [r.kind for r in first if isinstance(r, EventInfo)] == ["time_budget"]
    again = run_all(make(0.3), config(time_budget=1e-9), run=run, resume=True)
    assert again == []
    other = make(0.3)
    run_all(other, config(), run=run, resume=True)
    for a, b in zip(other.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)


def test_metrics_file_holds_the_records(tmp_path):
    run = RunFolder.create(tmp_path / "r", {}, make())
    run_all(make(), config(log_every=3), run=run, validate=lambda m: 1.0)
    records = run.metrics()
    steps = [r for r in records if r["record"] == "step"]
    assert [r["step"] for r in steps] == [3, 6, 9, 12, 15]
    assert all(r["tokens_per_second"] > 0 for r in steps)
    held_out = [r["perplexity"] for r in records if r["record"] == "validation"]
    assert held_out == [math.e, math.e]


def test_data_that_does_not_fit():
    inputs, targets = data()
    with pytest.raises(InvalidShape, match=r"targets must have .* \(40, 3\), got"):
        list(train(make(), (inputs, targets[:5]), config()))
    with pytest.raises(InvalidShape, match="no steps"):
        list(train(make(), (inputs[:0], targets[:0]), config()))


SCRIPT = """
import sys
from pathlib import Path
from tests.training.test_loop import config, data, make
from throughtime.training import RunFolder, train

folder = Path(sys.argv[1])
settings = config(
    epochs=4, checkpoint_every=3, optimizer="adam", learning_rate=0.01,
    schedule="plateau", log_every=2,
)
model = make(0.3)
resume = folder.exists()
run = RunFolder.open(folder) if resume else RunFolder.create(folder, {}, model)
losses = lambda m: float(sum(p.abs().sum() for p in m.parameters()))
for record in train(model, data(), settings, run=run, validate=losses, resume=resume):
    pass
print("finished")
"""


def result(folder):
    """Everything that must not depend on interruptions."""
    run = RunFolder.open(folder)
    timing = ("seconds", "tokens_per_second")
    metrics = [
        {k: v for k, v in record.items() if k not in timing} for record in run.metrics()
    ]
    weights = (folder / "model.safetensors").read_bytes()
    state = run.load_state()
    state["progress"].pop("seconds")
    state.pop("metrics_size")  # timings have more or fewer digits
    return weights, metrics, repr(state)


def test_killed_at_any_moment_it_ends_with_the_same_bits(tmp_path):
    """Truth: an uninterrupted run. SIGKILL cannot be caught or prepared for."""
    root = str(Path(__file__).parents[2])

    def start(folder):
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder)],
            cwd=root,
            env={"PYTHONPATH": f"{root}/src:{root}", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
        )

    began = time.monotonic()
    assert start(tmp_path / "whole").communicate()[0] == b"finished\n"
    duration = time.monotonic() - began
    moments, kills = random.Random(0), 0
    for attempt in range(40):
        process = start(tmp_path / "killed")
        # The last attempts may finish; those before are cut somewhere in their run.
        limit = duration * (0.3 + moments.random()) if kills < 6 else 60
        try:
            out, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        assert out == b"finished\n", f"attempt {attempt} failed"
        if kills >= 3:
            break
        # Finished too early: begin again, so that enough kills happen.
        (tmp_path / "killed").rename(tmp_path / f"early{attempt}")
    assert kills >= 3
    assert result(tmp_path / "killed") == result(tmp_path / "whole")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == [] or kills
