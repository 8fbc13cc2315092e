"""A budget changes how a gradient is computed, not the gradient: plain methods."""

import pytest
import torch

import throughtime as tt
from tests.training.small import config, make, run_all
from throughtime.errors import InvalidValue
from throughtime.training import (
    BPTT,
    Problem,
    SlidingBPTT,
    TruncatedBPTT,
    WithinMemory,
    windows,
)


def problem(steps=60, reduction="mean", mask=None):
    torch.manual_seed(0)
    layer = tt.LSTM(3, 8, num_layers=2).double()
    x = torch.randn(steps, 2, 3, dtype=torch.float64)
    y = torch.randn(steps, 2, 8, dtype=torch.float64)

    def loss(outputs, targets, *, mask=None, reduction=reduction):
        return tt.losses.mse(outputs, targets, mask=mask, reduction=reduction)

    return Problem(layer, layer, loss, x, y, mask, reduction)


def pass_over(task, method):
    task.module.zero_grad()
    state, value = None, 0.0
    for window in windows(method, len(task.inputs)):
        part, state = method.backward(task, window, state, 0.7)
        value += part
    grads = torch.cat([p.grad.flatten() for p in task.module.parameters()])
    return value, grads, torch.cat([s.flatten() for s in state])


@pytest.mark.parametrize("method", [BPTT(), TruncatedBPTT(25), TruncatedBPTT(25, 10)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_same_gradient(method, reduction):
    mask = torch.rand(60, 2, generator=torch.Generator().manual_seed(1)) > 0.3
    task = problem(reduction=reduction, mask=mask)
    within = WithinMemory(method, "12kB", task)
    longest = max(w.stop - w.start for w in windows(method, 60))
    plan = within.plan(longest)
    assert plan.block < longest  # so something is run again
    assert plan.peak_bytes <= 12_000
    want, got = pass_over(task, method), pass_over(task, within)
    assert got[0] == pytest.approx(want[0], rel=1e-12)
    assert torch.allclose(got[1], want[1], rtol=1e-10, atol=1e-13)
    assert torch.allclose(got[2], want[2], rtol=1e-12)


def test_training_within_a_budget():
    """Embedding, LSTM of torch and output layer, two epochs: the plain training."""
    plain, within = make(), make()
    run_all(plain, config(tau=20))
    run_all(within, config(tau=20, memory="34kB"))
    for a, b in zip(plain.parameters(), within.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert not all(map(torch.equal, plain.parameters(), within.parameters()))


def test_below_the_minimum():
    with pytest.raises(InvalidValue, match=r"at least \d"):
        run_all(make(), config(tau=20, memory="1kB"))


def test_methods_that_cannot():
    with pytest.raises(InvalidValue, match="got SlidingBPTT"):
        WithinMemory(SlidingBPTT(3), "1MB", problem())
