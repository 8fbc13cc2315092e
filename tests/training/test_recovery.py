"""Updates that are not finite: skipped, counted, and five in a row undone."""

import math

import pytest
import torch
from torch import nn

from tests.training.small import (
    Faulty,
    config,
    data,
    kinds,
    make,
    run_all,
    same_weights,
    steps_of,
)
from throughtime.errors import TrainingError
from throughtime.training import EventInfo, RunFolder, train


def test_one_bad_update_is_skipped_and_counted():
    records = run_all(make(), config(epochs=1), loss=Faulty([3]))
    assert [s.skipped for s in steps_of(records)] == [False, False, True] + [False] * 5
    assert kinds(records) == ["skipped"]
    event = records[3]
    assert isinstance(event, EventInfo)
    assert "update 3 was skipped: loss nan" in event.message


def test_a_skipped_update_changes_no_weight():
    model = make()
    before = make()
    run_all(model, config(epochs=1, tau=40), loss=Faulty([1]))
    assert same_weights(model, before)


class Spoiling(nn.Module):
    """Returns, in its second call, a state that is not finite with good outputs."""

    def __init__(self, model):
        super().__init__()
        self.model, self.seen = model, []

    def forward(self, tokens, state=None):
        self.seen.append(state)
        outputs, state = self.model(tokens, state)
        spoilt = len(self.seen) == 2
        return outputs, tuple(s * math.inf if spoilt else s for s in state)


def test_a_carried_state_that_is_not_finite_is_not_carried():
    model = Spoiling(make())
    records = run_all(model, config(epochs=1))
    assert kinds(records) == []
    assert torch.equal(model.seen[2][0], model.seen[1][0])
    assert not torch.equal(model.seen[3][0], model.seen[2][0])


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
    steps = steps_of(records)
    assert [s.learning_rate for s in steps[:8]] == [0.5] * 8
    assert {s.learning_rate for s in steps[8:]} == {0.25}
    assert steps[-1].step == 16
    assert steps[-1].seconds > steps[7].seconds  # time does not go back
    if run is not None:
        events = [m.get("kind") for m in run.metrics() if m["record"] == "event"]
        assert events == ["skipped"] * 5 + ["restored"]
        progress = run.load_state()["progress"]
        assert (progress["factor"], progress["skipped"]) == (0.5, 5)


def test_a_restored_training_is_the_one_that_began_there_with_half_the_rate():
    """Truth: two trainings by hand, the second from the weights of the first."""
    model = make()
    run_all(model, config(epochs=6, tau=40), loss=Faulty(range(2, 7)))
    reference = make()
    run_all(reference, config(epochs=1, tau=40, learning_rate=0.5))
    run_all(reference, config(epochs=5, tau=40, learning_rate=0.25))
    assert same_weights(model, reference)


def test_the_halved_rate_is_on_disk_at_once(tmp_path):
    model = make()
    run = RunFolder.create(tmp_path / "r", {}, model)
    for record in train(model, data(), config(), run=run, loss=Faulty(range(4, 9))):
        if getattr(record, "kind", "") == "restored":
            break
    assert run.load_state()["progress"]["factor"] == 0.5
    again = run_all(make(), config(), run=run, resume=True)
    assert {s.learning_rate for s in steps_of(again)} == {0.25}


@pytest.mark.parametrize("tau", [None, 5, 20])
def test_endless_divergence_is_an_error(tau):
    """Also where an epoch has fewer than five updates, which end it without success."""
    loss = Faulty(range(1, 1000))
    with pytest.raises(TrainingError, match="10 returns .* lower learning_rate"):
        run_all(make(), config(tau=tau, epochs=99), loss=loss)
    assert loss.calls == 11 * 5


def test_progress_forgives_earlier_returns():
    """Eleven returns, but never more than one to the same checkpoint."""
    bad = [i for block in range(11) for i in range(7 * block + 3, 7 * block + 8)]
    settings = config(epochs=4, checkpoint_every=1, learning_rate=1e-3)
    records = run_all(make(), settings, loss=Faulty(bad))
    assert kinds(records).count("restored") == 11
    assert steps_of(records)[-1].step == 32


def test_a_checkpoint_is_not_taken_amid_bad_updates():
    """Two bad updates end an epoch, three begin the next: back to before both."""
    settings = config(checkpoint_every=100)
    records = run_all(make(), settings, loss=Faulty(range(7, 12)))
    restored = [r for r in records if getattr(r, "kind", "") == "restored"]
    assert [r.step for r in restored] == [0]
    assert [s.step for s in steps_of(records)] == [*range(1, 12), *range(1, 17)]
