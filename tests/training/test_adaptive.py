"""The reach of a gradient: against truncated gradients, and a closed form."""

import math

import pytest
import torch
from torch import nn

import throughtime as tt
from tests.training.small import config, data, make, run_all, same_weights, steps_of
from throughtime.errors import InvalidValue
from throughtime.losses import mse
from throughtime.training import (
    AdaptiveBPTT,
    Problem,
    Reach,
    RunFolder,
    measure_reach,
    train,
)


def scalar(a):
    layer = tt.Recurrent(tt.cells.Elman(1, 1, nonlinearity="identity", bias=False))
    layer = layer.double()
    with torch.no_grad():
        layer.weight_hh_l0.fill_(a)
        layer.weight_ih_l0.fill_(1.0)
    return layer


def test_closed_form_of_one_linear_unit():
    """x = 1, h_0 = 0: from lags < τ, ∂h_T/∂w = Σ a^l and ∂h_T/∂a = Σ a^l h_{T-l-1}."""
    a, steps, lags = 0.9, 40, (1, 2, 5, 10, 20, 40)
    layer = scalar(a)
    found = measure_reach(
        layer,
        layer,
        torch.ones(steps, 1, 1, dtype=torch.float64),
        None,
        lambda h: h.sum(),
        lags=lags,
        epsilon=0.1,
    )
    h = [0.0]
    for _ in range(steps):
        h.append(a * h[-1] + 1)

    def gradient(tau):
        of_a = sum(a**lag * h[steps - lag - 1] for lag in range(tau))
        return of_a, sum(a**lag for lag in range(tau))

    whole = gradient(steps)
    for lag, share in zip(found.lags, found.shares, strict=True):
        part = gradient(lag)
        want = math.dist(whole, part) / math.hypot(*whole)
        assert share == pytest.approx(want, abs=1e-12)
    assert found.tau == 20  # 8.1 % lies beyond, and 31 % beyond 10


@pytest.mark.parametrize("kind", ["lstm", "torch"])
def test_shares_are_those_of_truncated_gradients(kind):
    """Truth: autograd over the last τ steps from a detached state."""
    torch.manual_seed(0)
    make_layer = {"lstm": lambda: tt.Recurrent(tt.cells.LSTM(2, 3), 2)}
    model = make_layer.get(kind, lambda: nn.LSTM(2, 3))().double()
    x = torch.randn(12, 4, 2, dtype=torch.float64)

    def gradient(tau):
        state = None
        if tau < 12:
            with torch.no_grad():
                state = model(x[: 12 - tau])[1]
        outputs, _ = model(x[12 - tau :], state)
        value = outputs[-1].pow(2).sum()
        found = torch.autograd.grad(value, list(model.parameters()))
        return torch.cat([g.flatten() for g in found])

    reach = measure_reach(
        model,
        model,
        x,
        None,
        lambda out: out.pow(2).sum(),
        lags=(1, 3, 4, 8, 12),
        epsilon=0.1,
    )
    whole = gradient(12)
    for lag, share in zip(reach.lags, reach.shares, strict=True):
        want = float((whole - gradient(lag)).norm() / whole.norm())
        assert share == pytest.approx(want, abs=1e-12)


def test_tau_is_the_smallest_lag_beyond_which_all_is_below_epsilon():
    lags = (1, 2, 4, 8, 16)
    assert Reach(lags, (0.5, 0.01, 0.2, 0.04, 0.0), 0.05).tau == 8
    assert Reach(lags, (0.01, 0.01, 0.01, 0.0, 0.0), 0.05).tau == 1
    assert Reach(lags, (0.5, 0.5, 0.5, 0.5, 0.0), 0.05).tau == 16
    assert Reach(lags, (math.nan,) * 5, 0.05).tau == 16


def test_measured_on_streams_without_touching_the_model():
    layer = scalar(0.5)
    x = torch.ones(200, 3, 1, dtype=torch.float64)
    task = Problem(layer, layer, mse, x, torch.zeros_like(x))
    before = torch.get_rng_state()
    reach = AdaptiveBPTT(epsilon=0.01, maximum=32).measure(task)
    assert torch.equal(torch.get_rng_state(), before)
    assert layer.weight_hh_l0.grad is None
    # In the steady state h = 2: the part of d/da from lags >= τ is a^τ of the whole.
    for lag, share in zip(reach.lags[:-1], reach.shares[:-1], strict=True):
        assert share == pytest.approx((0.5**lag - 0.5**32) / (1 - 0.5**32), rel=1e-9)
    assert reach.tau == 8  # 0.5^6 = 1.6 %, 0.5^8 = 0.4 %


def test_losses_that_do_not_count_end_no_sequence():
    layer = scalar(0.5)
    x = torch.ones(20, 2, 1, dtype=torch.float64)
    x[:10] = math.nan  # would show if a sequence ended before the last step
    mask = torch.zeros(20, 2, dtype=torch.bool)
    mask[-1] = True
    task = Problem(layer, layer, mse, x, torch.zeros_like(x), mask)
    assert AdaptiveBPTT(maximum=5).measure(task).shares[0] > 0
    short = Problem(layer, layer, mse, x, torch.zeros_like(x), mask.flip(0))
    with pytest.raises(InvalidValue, match="no loss counts after step 8"):
        AdaptiveBPTT(maximum=8).measure(short)


def test_training_follows_the_measured_reach(tmp_path):
    settings = config(truncation="adaptive", tau=16, measure_every=3, epsilon=0.2)
    records = run_all(make(), settings)
    events = [r for r in records if getattr(r, "kind", "") == "reach"]
    assert [e.step for e in events] == list(range(0, steps_of(records)[-1].step, 3))
    assert "the gradient reaches back" in events[0].message


def test_adaptive_training_resumes_with_the_same_bits(tmp_path):
    settings = config(
        truncation="adaptive", tau=16, measure_every=3, checkpoint_every=4
    )
    whole = make(0.3)
    run_all(whole, settings)
    model = make(0.3)
    run = RunFolder.create(tmp_path / "run", {}, model)
    records = train(model, data(), settings, run=run)
    for _ in range(7):
        next(records)
    records.close()
    again = make(0.3)
    run_all(again, settings, run=run, resume=True)
    assert same_weights(again, whole)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epsilon": 0}, "epsilon should be a number in range"),
        ({"maximum": 0}, "maximum must be greater than zero"),
        ({"every": 0}, "every must be greater than zero"),
    ],
)
def test_bad_options(options, says):
    with pytest.raises(InvalidValue, match=says):
        AdaptiveBPTT(**options)
