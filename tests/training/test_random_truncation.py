"""Random truncation: no bias, counted in standard errors; weights by arithmetic."""

import math

import pytest
import torch
from torch import nn

import throughtime as tt
from throughtime.errors import InvalidType, InvalidValue
from throughtime.losses import mse
from throughtime.training import (
    BPTT,
    Problem,
    RandomTruncatedBPTT,
    TruncatedBPTT,
    randomly_truncated,
    windows,
)

POWER = RandomTruncatedBPTT(5, lengths="power")


def linear_rnn(steps=8):
    """One unit, h_t = a h_{t-1} + w x_t: a gradient with all lags up to T."""
    model = tt.Recurrent(tt.cells.Elman(1, 1, nonlinearity="identity", bias=False))
    model = model.double()
    with torch.no_grad():
        model.weight_hh_l0.fill_(0.9)
        model.weight_ih_l0.fill_(1.0)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(steps, 1, 1, dtype=torch.float64, generator=generator)
    return model, x


def gradient_of_windows(method, epoch, model, x, targets, mask):
    """∂L/∂(a, w) of one pass over all windows of one draw."""
    model.zero_grad()
    task = Problem(model, model, _sum, x, targets, mask, "sum")
    state = None
    for window in windows(method, len(x), epoch):
        _, state = method.backward(task, window, state)
    return [float(p.grad) for p in (model.weight_hh_l0, model.weight_ih_l0)]


def _sum(outputs, targets, *, mask=None):
    return mse(outputs, targets, mask=mask, reduction="sum")


def standard_errors(estimates, truth):
    """How many standard errors the mean of estimates (N, n) is off, per entry."""
    estimates = torch.tensor(estimates, dtype=torch.float64)
    error = estimates.std(0) / math.sqrt(len(estimates))
    return (estimates.mean(0) - torch.tensor(truth)).abs() / error


@pytest.mark.parametrize(
    "method", [RandomTruncatedBPTT(probability=0.7), POWER], ids=["geometric", "power"]
)
def test_windows_have_no_bias_and_truncation_has(method):
    """10,000 draws: within 3 standard errors; chunks of the mean length: beyond 5."""
    model, x = linear_rnn()
    targets = torch.zeros(8, 1, 1, dtype=torch.float64)
    mask = torch.ones(8, 1, dtype=torch.bool)
    full = gradient_of_windows(BPTT(), 0, model, x, targets, mask)
    known = {}  # the same cuts give the same estimate
    draws = []
    for epoch in range(10_000):
        cuts = tuple(windows(method, len(x), epoch))
        if cuts not in known:
            known[cuts] = gradient_of_windows(method, epoch, model, x, targets, mask)
        draws.append(known[cuts])
    assert len(known) > 50
    assert standard_errors(draws, full).max() < 3
    cut = gradient_of_windows(TruncatedBPTT(3), 0, model, x, targets, mask)
    assert standard_errors(draws, cut).min() > 5


@pytest.mark.parametrize("bidirectional", [False, True])
def test_whole_sequences_of_deep_stacks_have_no_bias(bidirectional):
    """A path through a stack of two directions crosses a border several times."""
    torch.manual_seed(0)
    cell = tt.cells.Elman(1, 2, nonlinearity="identity", bias=False)
    model = tt.Recurrent(cell, 2, bidirectional=bidirectional).double()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "weight_hh" in name:
                weight.copy_(0.8 * torch.eye(2))
    x = torch.rand(5, 1, 1, dtype=torch.float64)
    value = (model(x)[0][-1] ** 2).sum()
    full = torch.autograd.grad(value, list(model.parameters()))
    full = torch.cat([g.flatten() for g in full])
    estimates = []
    generator = torch.Generator().manual_seed(0)
    with randomly_truncated(model, RandomTruncatedBPTT(probability=0.75), generator):
        for _ in range(1500):
            value = (model(x)[0][-1] ** 2).sum()
            found = torch.autograd.grad(value, list(model.parameters()))
            estimates.append(torch.cat([g.flatten() for g in found]))
    estimates = torch.stack(estimates)
    error = estimates.std(0) / math.sqrt(len(estimates))
    moved = error > 1e-12  # what no cut can change is exact
    assert bool(moved.any())
    off = (estimates.mean(0) - full).abs()
    assert float((off[moved] / error[moved]).max()) < 4  # of 20 to 40 entries
    assert float(off[~moved].max() if (~moved).any() else 0) < 1e-12


def test_probability_one_is_full_bptt():
    model, x = linear_rnn()
    targets, mask = torch.zeros(8, 1, 1).double(), torch.ones(8, 1, dtype=torch.bool)
    one = RandomTruncatedBPTT(probability=1)
    found = gradient_of_windows(one, 0, model, x, targets, mask)
    assert found == gradient_of_windows(BPTT(), 0, model, x, targets, mask)


@pytest.mark.parametrize(
    ("method", "survival"),
    [
        (RandomTruncatedBPTT(4), lambda n: 0.75**n),
        (RandomTruncatedBPTT(probability=0.9), lambda n: 0.9**n),
        (RandomTruncatedBPTT(lengths=[0.5, 0.25, 0.25]), lambda n: [1, 0.5, 0.25][n]),
    ],
)
def test_chances_of_a_cut_give_the_distribution(method, survival):
    """P(length > n) = Π_{l<=n} (1 - c_l)."""
    left = 1.0
    for n in range(3):
        assert left == pytest.approx(survival(n))
        left *= 1 - method.cut(n + 1)


def test_a_power_law_has_its_mean_and_its_tail():
    """E length = Σ_n P(length > n) = tau; P(> 2n)/P(> n) -> 2^-3."""
    left, mean, at = 1.0, 0.0, {}
    for n in range(200_000):
        at[n] = left
        mean += left
        left *= 1 - POWER.cut(n + 1)
    assert mean == pytest.approx(5, rel=1e-6)
    assert at[100_000] / at[50_000] == pytest.approx(1 / 8, rel=1e-3)


def test_gains_are_zero_or_one_over_the_chance():
    method = RandomTruncatedBPTT(lengths=[0.5, 0.25, 0.125, 0.125])
    xi = method.gains(4, 2000, torch.Generator().manual_seed(0))
    assert set(xi[0].tolist()) == {1.0}
    assert set(xi[1].tolist()) == {0.0, 2.0}
    # After two steps without a cut the chance of one is 1/2, else it is that of step 1.
    assert set(xi[2].tolist()) == {0.0, 2.0}
    assert float(xi.mean()) == pytest.approx(1, abs=0.05)


def test_windows_are_the_same_again_and_others_in_another_epoch():
    method = RandomTruncatedBPTT(6, seed=3)
    first, again = (list(windows(method, 50)) for _ in range(2))
    assert first == again
    assert first != list(windows(method, 50, epoch=1))
    assert first != list(windows(RandomTruncatedBPTT(6, seed=4), 50))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"probability": 0.0}, r"in \(0, 1\], got 0"),
        ({"probability": 1.5}, "probability should be a number in range"),
        ({"probability": -0.1}, "probability should be a number in range"),
        ({"tau": 1}, "tau, the mean length of a window, must be above 1, got 1"),
        ({}, "needs tau, its mean, or probability"),
        ({"tau": 4, "probability": 0.5}, "and not both"),
        ({"lengths": "powr", "tau": 4}, "unknown lengths 'powr': known are geometric"),
        ({"lengths": "power", "probability": 0.5}, "needs tau, its mean, and only"),
        ({"lengths": [0.5, 0.2]}, "add up to 1, .* got a sum of 0.7"),
        ({"lengths": [0.5, 0.5], "tau": 4}, "leave tau and probability out"),
    ],
)
def test_bad_options(options, says):
    with pytest.raises(InvalidValue, match=says):
        RandomTruncatedBPTT(**options)


def test_lengths_that_are_no_list():
    with pytest.raises(InvalidType, match="lengths should be a name or the prob"):
        RandomTruncatedBPTT(lengths=3)  # type: ignore[arg-type]


def test_lengths_that_end_too_early():
    method = RandomTruncatedBPTT(lengths=[0.5, 0.5])
    with pytest.raises(InvalidValue, match="end at 2 steps, and the pass has 9"):
        list(windows(method, 9))
    with pytest.raises(InvalidValue, match="end at 2 steps"):
        method.gains(9, 1)


def test_models_that_cannot():
    with (
        pytest.raises(InvalidType, match="needs recurrent layers of throughtime"),
        randomly_truncated(nn.LSTM(1, 2), RandomTruncatedBPTT(3)),
    ):
        pass
    model = tt.RNN(1, 1, bidirectional=True)
    x = torch.zeros(4, 1, 1)
    task = Problem(model, model, mse, x, torch.zeros(4, 1, 2))
    method = RandomTruncatedBPTT(3)
    window = next(windows(method, 4))
    with pytest.raises(InvalidValue, match="bidirectional layer reads what comes"):
        method.backward(task, window, None)


@pytest.mark.parametrize("batch_first", [False, True])
def test_layouts(batch_first):
    """Probability 1 draws gains of 1: values and gradients are those without."""
    model = tt.GRU(2, 3, batch_first=batch_first)
    always = RandomTruncatedBPTT(probability=1)
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, 2), torch.randn(2, 2)])
    for x in (torch.randn(4, 5, 2), torch.randn(6, 2), packed):
        grads = []
        for inside in (False, True):
            model.zero_grad()
            if inside:
                with randomly_truncated(model, always):
                    outputs, _ = model(x)
            else:
                outputs, _ = model(x)
            data = outputs.data if x is packed else outputs
            data.square().sum().backward()
            grads.append(model.weight_hh_l0.grad.clone())
        assert torch.equal(*grads)
