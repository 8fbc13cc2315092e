"""What each kind of dropout does to states and weights."""

import pytest
import torch

import throughtime as tt
from throughtime.layers.dropout import drop

DOUBLE = torch.float64


def make(name="lstm", **options):
    torch.manual_seed(0)
    cell = tt.cells.build_cell(name, 3, 4).double()
    return tt.Recurrent(cell, 2, **options)


X = torch.randn(6, 3, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.5},
        {"dropout": 0.5, "variational": True},
        {"recurrent_dropout": 0.5},
        {"zoneout": 0.5},
        {"zoneout": {"c": 0.5}},
        {"weight_drop": 0.5},
    ],
)
def test_acts_in_training_only(options):
    plain = make().eval()(X)[0]
    layer = make(**options)
    assert not torch.allclose(layer(X)[0], layer(X)[0])
    layer.eval()
    assert torch.equal(layer(X)[0], layer(X)[0])
    if "zoneout" not in options:  # its eval form is an average of old and new state
        assert torch.equal(layer(X)[0], plain)
    zero = make(**{k: v if k == "variational" else 0.0 for k, v in options.items()})
    assert torch.equal(zero(X)[0], plain)


def test_drop_keeps_the_mean_and_scales_what_stays():
    torch.manual_seed(0)
    x = torch.ones(400, 5, 50, dtype=DOUBLE)
    dropped = drop(x, 0.3, True)
    assert set(dropped.unique().tolist()) == {0.0, 1 / 0.7}
    # Standard error of the mean of 100,000 such elements: 0.002.
    assert dropped.mean().item() == pytest.approx(1, abs=0.008)


def test_variational_mask_is_the_same_at_all_steps():
    torch.manual_seed(0)
    dropped = drop(torch.ones(20, 5, 50, dtype=DOUBLE), 0.5, True, variational=True)
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert dropped[0].unique().tolist() == [0.0, 2.0]
    fresh = drop(torch.ones(20, 5, 50, dtype=DOUBLE), 0.5, True)
    assert not torch.equal(fresh[0], fresh[1])


def test_zoneout_holds_or_moves_each_unit():
    torch.manual_seed(0)
    cell = tt.cells.GRU(3, 50, dtype=DOUBLE)
    layer = tt.Recurrent(cell, zoneout=0.4)
    outputs, _, trace = layer(X, return_states=True)
    states = torch.cat([torch.zeros(1, 3, 50, dtype=DOUBLE), trace.states[0].h])
    weights = layer.weights(0)
    held = 0
    for t in range(6):
        moved = cell.step(X[t], tt.cells.HiddenState(states[t]), weights).h
        stays = states[t + 1] == states[t]
        assert torch.allclose(states[t + 1][~stays], moved[~stays], atol=1e-15)
        held += int(stays.sum())
    # 900 draws with probability 0.4: standard error 0.016.
    assert held / 900 == pytest.approx(0.4, abs=0.065)


def test_zoneout_expectation_in_eval_mode():
    layer = make("elman", zoneout=0.25).eval()
    _, _, trace = layer(X, return_states=True)
    cell, weights = layer.cells[0], layer.weights(0)
    h = torch.zeros(3, 4, dtype=DOUBLE)
    for t in range(6):
        new = cell.step(X[t], tt.cells.HiddenState(h), weights).h
        h = 0.25 * h + 0.75 * new
        torch.testing.assert_close(trace.states[0].h[t], h, rtol=0, atol=1e-15)


def test_recurrent_dropout_uses_one_mask_for_all_steps():
    """Elman identity, W_ih = 0, W_hh = I: h stays or doubles, unit by unit."""
    cell = tt.cells.Elman(3, 60, nonlinearity="identity", bias=False, dtype=DOUBLE)
    with torch.no_grad():
        cell.get_parameter("weight_ih").zero_()
        cell.get_parameter("weight_hh").copy_(torch.eye(60))
    layer = tt.Recurrent(cell, recurrent_dropout=0.5)
    torch.manual_seed(0)
    outputs, _ = layer(X, (tt.cells.HiddenState(torch.ones(3, 60, dtype=DOUBLE)),))
    powers = torch.tensor([2.0**t for t in range(1, 7)], dtype=DOUBLE)
    for column in outputs.flatten(1).t():
        assert torch.equal(column, powers) or not column.any()


def test_weight_drop_uses_one_mask_per_call():
    """Elman identity from e_1: the output is the first column of masked W^t."""
    cell = tt.cells.Elman(1, 4, nonlinearity="identity", bias=False, dtype=DOUBLE)
    with torch.no_grad():
        cell.get_parameter("weight_ih").zero_()
    layer = tt.Recurrent(cell, weight_drop=0.5)
    start = torch.eye(4, dtype=DOUBLE)
    x = torch.zeros(3, 4, 1, dtype=DOUBLE)
    outputs, _ = layer(x, (tt.cells.HiddenState(start),))
    masked = outputs[0].t()
    whole = layer.get_parameter("weight_hh_l0").detach()
    dropped = masked == 0
    torch.testing.assert_close(masked[~dropped], 2 * whole[~dropped])
    assert 0 < int(dropped.sum()) < 16
    torch.testing.assert_close(outputs[2].t(), masked @ masked @ masked)
