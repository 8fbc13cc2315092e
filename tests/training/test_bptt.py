"""Windows, and the truncated gradient against a hand-written linear recurrence."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from throughtime.errors import InvalidValue
from throughtime.losses import mse
from throughtime.training import BPTT, TruncatedBPTT, window_loss, windows


class Linear(nn.Module):
    """h_t = a h_{t-1} + x_t, one unit, so that dh_t/da has a closed form."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))

    def forward(self, inputs, state=None):
        h = torch.zeros_like(inputs[0]) if state is None else state[0]
        outputs = []
        for x in inputs:
            h = self.a * h + x
            outputs.append(h)
        return torch.stack(outputs), (h,)


def truncated_gradient(a, x, y, window, carried):
    """Σ_t 2 (h_t - y_t) dh_t/da by the recursion d_t = h_{t-1} + a d_{t-1}, d = 0."""
    h, d, total, count = carried, 0.0, 0.0, 0
    for t in range(window.start, window.stop):
        h, d = a * h + x[t], h + a * d
        if t >= window.loss_start:
            total += 2 * (h - y[t]) * d
            count += 1
    return total / count


@pytest.mark.parametrize(("tau", "stride"), [(4, 4), (4, 1), (5, 3), (20, 20), (7, 7)])
def test_gradient_equals_closed_recursion(tau, stride):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(17, 1, dtype=torch.float64, generator=generator)
    y = torch.randn(17, 1, dtype=torch.float64, generator=generator)
    model, state, carried = Linear(0.8), None, 0.0
    xs, ys = x[:, 0].tolist(), y[:, 0].tolist()
    for window in windows(TruncatedBPTT(tau, stride), 17):
        model.zero_grad()
        loss, state = window_loss(model, x, y, state, window, mse)
        loss.backward()
        want = truncated_gradient(0.8, xs, ys, window, carried)
        assert model.a.grad.item() == pytest.approx(want, rel=1e-12)
        for t in range(window.start, window.carry):
            carried = 0.8 * carried + xs[t]
        assert state[0].item() == pytest.approx(carried, rel=1e-12)


def test_tau_of_all_steps_is_full_bptt():
    x, y = torch.randn(9, 2), torch.randn(9, 2)
    gradients = []
    for method in (BPTT(), TruncatedBPTT(9)):
        model = Linear(0.5).float()
        (window,) = windows(method, 9)
        window_loss(model, x, y, None, window, mse)[0].backward()
        gradients.append(model.a.grad)
    assert torch.equal(*gradients)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 20))
def test_every_loss_counts_once_and_states_connect(steps, tau, stride):
    stride = min(stride, tau)
    at, counted = 0, []
    for window in windows(TruncatedBPTT(tau, stride), steps):
        assert window.start == at
        assert window.stop - window.start <= tau
        assert window.start < window.carry <= window.stop
        counted += range(window.loss_start, window.stop)
        at = window.carry
    assert counted == list(range(steps))


def test_mask_changes_what_counts():
    x, y = torch.randn(4, 2), torch.randn(4, 2)
    mask = torch.tensor([[True, False]]).expand(4, 2)
    (window,) = windows(BPTT(), 4)
    value, _ = window_loss(Linear(0.5).float(), x, y, None, window, mse, mask)
    alone, _ = window_loss(Linear(0.5).float(), x[:, :1], y[:, :1], None, window, mse)
    torch.testing.assert_close(value, alone)


def test_truncated_gradient_misses_exactly_the_longer_lags():
    """Closed form: h_t = Σ a^k x_{t-k}, so a loss Σ h_t has Σ_k k a^(k-1) x_{t-k}.

    With tau = stride, a step's gradient reaches back to the start of its own window.
    """
    a, tau, steps = 0.7, 3, 9
    x = torch.linspace(-1, 1, steps, dtype=torch.float64).unsqueeze(1)
    model, state, got = Linear(a), None, 0.0
    for window in windows(TruncatedBPTT(tau), steps):
        model.zero_grad()

        def total(outputs, targets, mask):
            return outputs.sum()

        loss, state = window_loss(model, x, x, state, window, total)
        loss.backward()
        got += model.a.grad.item()
    h = [sum(a**k * x[t - k].item() for k in range(t + 1)) for t in range(steps)]
    # d_t = Σ_i a^i h_{t-1-i}, over the i that stay inside the window of t.
    want = sum(
        a**i * h[t - 1 - i]
        for t in range(steps)
        for i in range(t - t // tau * tau + 1)
        if t - 1 - i >= 0
    )
    assert got == pytest.approx(want, rel=1e-12)


def test_stride_beyond_tau_is_refused():
    with pytest.raises(InvalidValue, match="stride must not exceed tau = 4, .*got 5"):
        TruncatedBPTT(4, 5)
    with pytest.raises(InvalidValue, match="tau must be greater than zero"):
        TruncatedBPTT(0)
