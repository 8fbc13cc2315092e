"""The sliding window: each loss step by a window of its own, and a closed recursion."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import throughtime as tt
from throughtime.errors import InvalidType, InvalidValue
from throughtime.losses import mse
from throughtime.training import BPTT, Problem, SlidingBPTT, windows


class Model(nn.Module):
    """A recurrent layer and a read-out; ``kind`` makes the layer."""

    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.read = kind(), nn.Linear(4, 2)

    def forward(self, inputs, state=None):
        h, state = self.layer(inputs, state)
        return self.read(h), state


KINDS = {
    "lstm": lambda: tt.Recurrent(tt.cells.LSTM(3, 4), num_layers=2),
    "gru of torch's form": lambda: tt.GRU(3, 4, num_layers=2),
    "torch": lambda: nn.LSTM(3, 4),
}


def problem(kind, steps=13, batch=2, mask=None, reduction="mean"):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(steps, batch, 3, dtype=torch.float64, generator=generator)
    y = torch.randn(steps, batch, 2, dtype=torch.float64, generator=generator)
    model = Model(KINDS[kind]).double()

    def loss(outputs, targets, *, mask=None):
        return mse(outputs, targets, mask=mask, reduction=reduction)

    return Problem(model, model, loss, x, y, mask, reduction)


def gradients(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def run(task, method):
    """The sum of the gradients of all windows, each weighted by its targets."""
    task.module.zero_grad()
    state, value = None, 0.0
    total = windows_count = 0
    steps = len(task.inputs)
    for window in windows(method, steps):
        total += window.targets(task.targets, task.mask)
    for window in windows(method, steps):
        weight = window.targets(task.targets, task.mask) / total
        weight = weight if task.reduction == "mean" else 1.0
        part, state = method.backward(task, window, state, weight)
        value += part
        windows_count += 1
    return value, gradients(task.module), windows_count


def one_window_per_loss(task, tau):
    """The definition: for each j, a graph over the last tau steps, one loss."""
    model = task.module
    model.zero_grad()
    mask = torch.ones(task.inputs.shape[:2], dtype=torch.bool)
    mask = mask if task.mask is None else task.mask
    size = task.targets.size(-1)
    scale = int(mask.sum()) * size if task.reduction == "mean" else 1
    total = 0.0
    for j in range(len(task.inputs)):
        begin = max(0, j - tau + 1)
        state = None
        if begin:
            with torch.no_grad():
                state = model(task.inputs[:begin])[1]
        outputs, _ = model(task.inputs[begin : j + 1], state)
        squares = ((outputs[-1] - task.targets[j]) ** 2).sum(-1)
        value = (squares * mask[j]).sum() / scale
        value.backward()
        total += value.item()
    return total, gradients(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("tau", "stride"), [(1, None), (4, None), (5, 2), (6, 1)])
def test_equals_a_window_of_its_own_for_every_loss(kind, tau, stride):
    task = problem(kind)
    value, found, _ = run(task, SlidingBPTT(tau, stride))
    want_value, want = one_window_per_loss(task, tau)
    assert value == pytest.approx(want_value, rel=1e-12)
    assert torch.allclose(found, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_masked_losses_and_sums(reduction):
    mask = torch.rand(13, 2, generator=torch.Generator().manual_seed(2)) > 0.4
    task = problem("lstm", mask=mask, reduction=reduction)
    value, found, _ = run(task, SlidingBPTT(4, 3))
    want_value, want = one_window_per_loss(task, 4)
    assert value == pytest.approx(want_value, rel=1e-12)
    assert torch.allclose(found, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tau", [1, 3, 7])
def test_equals_the_terms_of_short_lags(tau):
    """Truth: the table of the gradient, summed over lags below tau."""
    task = problem("lstm")

    def losses(result):
        outputs, _ = result
        squares = (outputs - task.targets).square().sum((1, 2))
        return squares / task.targets.numel()

    terms = tt.gradients.decompose(task.module, task.inputs, losses)
    run(task, SlidingBPTT(tau))
    for name, want in terms.up_to_lag(tau - 1).items():
        found = task.module.get_parameter(name).grad
        assert torch.allclose(found, want, rtol=1e-9, atol=1e-13), name


def test_many_rows_go_in_blocks(monkeypatch):
    task = problem("lstm")
    whole = run(task, SlidingBPTT(5))
    monkeypatch.setattr("throughtime.training.sliding._ROWS", 4)
    value, found, _ = run(task, SlidingBPTT(5))
    assert value == pytest.approx(whole[0], rel=1e-13)
    assert torch.allclose(found, whole[1], rtol=1e-12)


@pytest.mark.parametrize("tau", [13, 20])
def test_a_window_of_all_steps_is_full_bptt_exactly(tau):
    task = problem("lstm")
    value, found, count = run(task, SlidingBPTT(tau))
    want_value, want, _ = run(task, BPTT())
    assert (value, count) == (want_value, 1)
    assert torch.equal(found, want)


def test_a_shorter_window_is_another_estimate():
    task = problem("lstm")
    want, found = run(task, BPTT())[1], run(task, SlidingBPTT(3))[1]
    assert float((found - want).norm() / want.norm()) > 1e-3


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20))
def test_every_loss_counts_once_and_states_connect(steps, tau, stride):
    stride = min(stride, tau)
    at, counted = 0, []
    for window in windows(SlidingBPTT(tau, stride), steps):
        assert window.start == at
        assert window.loss_start - window.start == (tau - 1 if counted else 0)
        counted += range(window.loss_start, window.stop)
        at = window.carry
    assert counted == list(range(steps))


def test_a_state_without_a_batch():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.read = nn.Linear(3, 2)

        def forward(self, inputs, state=None):
            return self.read(inputs), torch.zeros(1)

    task = problem("lstm")._replace(module=Counting().double())
    task = task._replace(run=task.module)
    with pytest.raises(InvalidType, match=r"one dimension for the batch, .*\(1,\)"):
        run(task, SlidingBPTT(4))


@pytest.mark.parametrize(
    ("tau", "stride", "says"),
    [(0, None, "tau must be greater than zero"), (4, 5, "must not exceed tau = 4")],
)
def test_bad_sizes(tau, stride, says):
    with pytest.raises(InvalidValue, match=says):
        SlidingBPTT(tau, stride)
