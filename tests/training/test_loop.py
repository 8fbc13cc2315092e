"""The loop: what it computes, how it validates, and when it ends."""

import math

import pytest
import torch
from torch import nn

from tests.training.small import (
    Model,
    config,
    data,
    kinds,
    make,
    run_all,
    same_weights,
    steps_of,
    total_weight,
)
from throughtime import kernels
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.losses import cross_entropy
from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.training import (
    EventInfo,
    RunFolder,
    StepInfo,
    TruncatedBPTT,
    ValidationInfo,
    train,
    windows,
)

# So small that no weight moves, so that gradients of several updates are comparable.
STILL = 1e-30


# What an update computes.


def test_equals_a_hand_written_loop():
    model, reference = make(), make()
    run_all(model, config(max_norm=0.3))
    inputs, targets = data()
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.5)
    for _ in range(2):
        state = None
        for start in range(0, 40, 5):
            logits, state = reference(inputs[start : start + 5], state)
            state = tuple(s.detach() for s in state)
            loss = nn.functional.cross_entropy(
                logits.flatten(0, 1), targets[start : start + 5].flatten()
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(reference.parameters(), 0.3)
            optimizer.step()
    for a, b in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def gradient_of_one_batch(reduction, mask=None):
    """Truth for accumulation: one loss over all steps, the graph cut every 5 steps."""
    model = make().double()
    inputs, targets = data(steps=43)
    logits, state = [], None
    for window in windows(TruncatedBPTT(5), 43):
        part, state = model(inputs[window.start : window.stop], state)
        state = tuple(s.detach() for s in state)
        logits.append(part)
    losses = nn.functional.cross_entropy(
        torch.cat(logits).flatten(0, 1), targets.flatten(), reduction="none"
    )
    counted = losses if mask is None else losses[mask.flatten()]
    (counted.mean() if reduction == "mean" else counted.sum()).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()]), counted


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("masked", [False, True])
def test_accumulation_equals_one_bigger_batch(reduction, masked):
    """Nine windows, the last one shorter, with targets spread unevenly by the mask."""
    generator = torch.Generator().manual_seed(2)
    mask = torch.rand(43, 3, generator=generator) < torch.linspace(0, 1, 43)[:, None]
    extra = (mask,) if masked else ()
    want, counted = gradient_of_one_batch(reduction, *extra)
    model = make().double()
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    settings = config(
        accumulate=9, learning_rate=1.0, epochs=1, loss_reduction=reduction
    )
    (info,) = train(model, (*data(steps=43), *extra), settings)
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(before - after, want, rtol=1e-10, atol=1e-12)
    assert isinstance(info, StepInfo)
    assert info.grad_norm == pytest.approx(want.norm().item(), rel=1e-12)
    assert info.loss == pytest.approx(counted.mean().item(), rel=1e-12)
    assert info.tokens == len(counted)


def language_model(**options):
    torch.manual_seed(0)
    settings = LanguageModelConfig(hidden_size=8, num_layers=2, **options)
    return LanguageModel(6, settings).double()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate": 3, "loss_reduction": "sum"},
        {"tau": 6, "stride": 4},
        {"optimizer": "adam", "max_norm": None},
    ],
)
def test_a_models_own_loss_is_the_same_training(monkeypatch, tied, options):
    """Truth: the loss of all logits, which the model's own one never computes."""
    data_and_mask = (*data(), torch.arange(120).reshape(40, 3) % 7 != 0)
    settings = config(**{"max_norm": 0.3, **options})
    plain, own = language_model(tied=tied), language_model(tied=tied)
    want = steps_of(train(plain, data_and_mask, settings, loss=cross_entropy))
    linear = nn.functional.linear
    seen = []

    def watched(x, weight, bias=None):
        seen.append(weight.shape)
        return linear(x, weight, bias)

    monkeypatch.setattr(nn.functional, "linear", watched)
    monkeypatch.setattr(LanguageModel, "__call__", None)
    found = steps_of(train(own, data_and_mask, settings))
    assert kernels.missing() is not None or (6, 8) not in seen
    for a, b in zip(found, want, strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-9)
        assert a.grad_norm == pytest.approx(b.grad_norm, rel=1e-9)
    for a, b in zip(own.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


def test_a_stopped_language_model_goes_on_with_the_same_bits(tmp_path):
    def fresh():
        return language_model(tied=True, dropout=0.3).float()

    settings = config(max_norm=0.1, checkpoint_every=3)
    whole = fresh()
    torch.manual_seed(1)
    list(train(whole, data(), settings))
    stopped = fresh()
    torch.manual_seed(1)
    run = RunFolder.create(tmp_path / "run", {}, stopped)
    generator = train(stopped, data(), settings, run=run)
    for _ in range(11):
        next(generator)
    generator.close()
    again = fresh()
    list(train(again, data(), settings, run=RunFolder.open(run.path), resume=True))
    assert same_weights(again, whole)


def test_accumulation_counts_updates_not_windows():
    records = run_all(make(), config(accumulate=3, epochs=2))
    assert [(s.step, s.epoch, s.tokens) for s in steps_of(records)] == [
        (1, 1, 45),
        (2, 1, 45),
        (3, 1, 30),
        (4, 2, 45),
        (5, 2, 45),
        (6, 2, 30),
    ]


def test_sum_is_the_mean_times_the_count():
    (mean, total) = (
        run_all(make(), config(learning_rate=STILL, loss_reduction=name))[0]
        for name in ("mean", "sum")
    )
    assert isinstance(mean, StepInfo)
    assert isinstance(total, StepInfo)
    assert total.grad_norm == pytest.approx(15 * mean.grad_norm, rel=1e-5)
    assert total.loss == pytest.approx(mean.loss, rel=1e-6)


@pytest.mark.parametrize("tau", [40, 99])
def test_tau_of_all_steps_is_full_bptt(tau):
    full, truncated = make(0.3), make(0.3)
    run_all(full, config(tau=None))
    torch.manual_seed(0)
    truncated = make(0.3)
    run_all(truncated, config(tau=tau))
    assert same_weights(full, truncated)


def test_clipping_is_reported_and_limits_the_step():
    model = make().double()
    before = [p.detach().clone() for p in model.parameters()]
    (info,) = run_all(model, config(epochs=1, tau=40, max_norm=0.01))
    assert isinstance(info, StepInfo)
    assert info.clipped
    assert info.grad_norm > 0.01
    moved = torch.cat(
        [(p - q).flatten() for p, q in zip(model.parameters(), before, strict=True)]
    )
    assert moved.norm().item() == pytest.approx(0.5 * 0.01, rel=1e-6)


def test_clipping_by_value_comes_first():
    model = make().double()
    before = [p.detach().clone() for p in model.parameters()]
    run_all(model, config(epochs=1, tau=40, max_value=1e-4))
    for p, q in zip(model.parameters(), before, strict=True):
        assert (p - q).abs().max() <= 0.5 * 1e-4 * (1 + 1e-9)


# Validation, and what follows from it.


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
    saved = make()
    run.load_weights(saved)
    for best_model in (model, saved):
        for p, q in zip(best_model.parameters(), seen[1], strict=True):
            assert torch.equal(p, q)


def test_best_weights_in_memory_too():
    model, losses, seen = make(), iter([1.0, math.nan, 2.0]), []

    def validate(model):
        seen.append(total_weight(model))
        return next(losses)

    run_all(model, config(epochs=3), validate=validate)
    assert total_weight(model) == seen[0] != seen[2]


def test_validation_may_leave_evaluation_mode_on():
    modes = []

    class Watching(Model):
        def forward(self, tokens, state=None):
            modes.append(self.training)
            return super().forward(tokens, state)

    run_all(Watching(), config(), validate=lambda m: float(m.eval().training))
    assert modes == [True] * 16


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
    assert "no improvement in the last 3 epochs" in records[-1].message


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", {1: 0.5, 2: 0.5, 3: 0.5, 4: 0.5}),
        ("linear", {1: 0.5, 2: 0.375, 3: 0.25, 4: 0.125}),
        ("after_epoch", {1: 0.5, 2: 0.5, 3: 0.25, 4: 0.125}),
    ],
)
def test_schedules(schedule, rates):
    settings = config(epochs=4, schedule=schedule, decay=0.5, decay_after=2)
    records = run_all(make(), settings)
    assert {r.epoch: r.learning_rate for r in steps_of(records)} == rates


def test_what_follows_validation_needs_it():
    with pytest.raises(InvalidValue, match="plateau follows the validation loss"):
        run_all(make(), config(schedule="plateau"))
    with pytest.raises(InvalidValue, match="early_stopping follows the validation"):
        run_all(make(), config(early_stopping=2))


# The time budget.


@pytest.mark.parametrize("tau", [5, None])
def test_time_budget_ends_it_and_says_so(tau):
    """Also with full BPTT, where no window is left within the epoch."""
    records = run_all(
        make(), config(tau=tau, time_budget=1e-9), validate=lambda model: 1.0
    )
    assert len(steps_of(records)) == 1
    assert len([r for r in records if isinstance(r, ValidationInfo)]) == 1
    assert kinds(records) == ["time_budget"]


def test_time_budget_that_is_never_reached_says_nothing():
    assert kinds(run_all(make(), config(time_budget=1e9))) == []


def test_more_time_goes_on_as_if_there_had_been_no_end(tmp_path):
    """A validation within an epoch must not move schedule or early stopping."""

    def settings(budget):
        return config(
            epochs=4, schedule="plateau", early_stopping=3, time_budget=budget
        )

    whole = make(0.3)
    want = run_all(whole, settings(None), validate=total_weight)
    model = make(0.3)
    run = RunFolder.create(tmp_path / "r", {}, model)
    first = run_all(model, settings(1e-9), run=run, validate=total_weight)
    assert kinds(first) == ["time_budget"]
    again = run_all(make(), settings(1e-9), run=run, resume=True, validate=total_weight)
    assert again == []
    other = make(0.3)
    rest = run_all(other, settings(None), run=run, resume=True, validate=total_weight)
    assert [r.loss for r in rest if isinstance(r, ValidationInfo)] == [
        r.loss for r in want if isinstance(r, ValidationInfo)
    ]
    assert [s.learning_rate for s in steps_of([*first, *rest])] == [
        s.learning_rate for s in steps_of(want)
    ]
    assert kinds(rest) == kinds(want)


# Files and doors.


def test_metrics_file_holds_the_records(tmp_path):
    run = RunFolder.create(tmp_path / "r", {}, make())
    run_all(make(), config(log_every=3), run=run, validate=lambda m: 1.0)
    records = run.metrics()
    steps = [r for r in records if r["record"] == "step"]
    assert [r["step"] for r in steps] == [3, 6, 9, 12, 15]
    assert all(r["tokens_per_second"] > 0 for r in steps)
    assert [r["perplexity"] for r in steps] == [
        pytest.approx(math.exp(r["loss"])) for r in steps
    ]
    held_out = [r["perplexity"] for r in records if r["record"] == "validation"]
    assert held_out == [math.e, math.e]


def test_data_that_does_not_fit():
    inputs, targets = data()
    with pytest.raises(InvalidShape, match=r"targets must have .* \(40, 3\), got"):
        list(train(make(), (inputs, targets[:5]), config()))
    with pytest.raises(InvalidShape, match=r"mask must have .* got \(3, 40\)"):
        list(train(make(), (inputs, targets, targets.t() > 0), config()))
    with pytest.raises(InvalidShape, match=r"at least one step .* got \(0, 3\)"):
        list(train(make(), (inputs[:0], targets[:0]), config()))
    with pytest.raises(InvalidShape, match="got 1 parts"):
        list(train(make(), (inputs,), config()))


def test_loss_is_called_with_the_configured_reduction():
    seen = []

    def loss(logits, targets, *, mask=None, reduction="none"):
        seen.append(reduction)
        return cross_entropy(logits, targets, mask=mask, reduction=reduction)

    run_all(make(), config(epochs=1, tau=40, loss_reduction="sum"), loss=loss)
    assert seen == ["sum"]
