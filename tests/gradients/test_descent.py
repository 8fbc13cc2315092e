"""One step of descent against closed forms, and where it does harm."""

import math

import pytest
import torch

import throughtime as tt
from tests.gradients.nets import small_net
from throughtime.errors import InvalidType, InvalidValue
from throughtime.gradients import loss_change


def number(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def test_parabola():
    """L = a w²/2, towards the minimum: Λ = |a w| at the start."""
    a, w, eta = 3.0, number(2.0), 0.1
    step = loss_change(lambda: a * w**2 / 2, [w], eta)
    assert step.before == 6
    assert math.isclose(step.after, a * (2 * (1 - eta * a)) ** 2 / 2)
    assert math.isclose(step.gradient_norm, 6)
    assert math.isclose(step.lipschitz, 6)
    assert math.isclose(step.bound, 6 * 0.1 * 6)
    assert step.holds
    assert not step.destructive


def test_parabola_beyond_the_other_side():
    """ηa = 4 leads from w to -3w, where the gradient is three times as long."""
    w = number(2.0)
    step = loss_change(lambda: w**2, [w], 2.0)
    assert math.isclose(step.after, 36)
    assert math.isclose(step.lipschitz, 12)
    assert step.holds
    assert step.destructive
    # The gradient at the start alone would be no bound for a longer step.
    far = loss_change(lambda: w**2, [w], 10.0)
    assert abs(far.change) > far.gradient_norm * 10.0 * far.gradient_norm
    assert far.holds


def test_clipped_change_is_at_most_lipschitz_times_threshold():
    w, v = number(3.0), number(4.0)
    step = loss_change(lambda: w**2 + v**2, [w, v], 0.5, max_norm=2.0)
    assert math.isclose(step.gradient_norm, 10)
    assert math.isclose(step.clipped_norm, 2)
    assert math.isclose(step.bound, 10 * 0.5 * 2)
    # 1 of the distance 5 to the minimum.
    assert math.isclose(step.after, 16)
    assert step.holds
    untouched = loss_change(lambda: w**2 + v**2, [w, v], 0.5, max_norm=10.0)
    assert math.isclose(untouched.clipped_norm, 10)


@pytest.mark.parametrize("activation", ["identity", "tanh", "sigmoid"])
@pytest.mark.parametrize("eta", [1e-4, 1e-2, 1.0])
def test_bound_of_a_recurrent_network(activation, eta):
    net = small_net(activation)
    weights = {name: w.clone().requires_grad_() for name, w in net.weights.items()}
    for max_norm in (None, 0.1):
        step = loss_change(
            lambda: net.loss(weights), weights.values(), eta, max_norm=max_norm
        )
        assert step.holds
        assert step.bound > 0
        if max_norm is not None:
            assert step.bound <= step.lipschitz * eta * max_norm * (1 + 1e-12)


def test_one_destructive_step():
    """h_t = w h_{t-1} over 20 steps, at a place where the gradient explodes."""
    w = number(1.3)

    def loss():
        return (w**20 - 1) ** 2

    plain = loss_change(loss, [w], 0.01)
    assert plain.gradient_norm > 1e5
    assert plain.destructive
    assert plain.after > 1e6 * plain.before
    clipped = loss_change(loss, [w], 0.01, max_norm=1.0)
    assert not clipped.destructive
    assert clipped.holds
    # It is the same with the optimiser's own step.
    loss().backward()
    tt.training.sgd_step([w], 0.01)
    assert math.isclose(float(loss().detach()), plain.after)


def test_nothing_is_left_behind():
    w, unused = number([1.0, 2.0]), number(1.0)
    w.grad = torch.ones(2, dtype=torch.float64)
    step = loss_change(lambda: (w**3).sum(), [w, unused], 0.1)
    assert w.tolist() == [1, 2]
    assert w.grad.tolist() == [1, 1]
    assert unused.grad is None
    assert step.holds
    calls = []

    def fails():
        calls.append(1)
        if len(calls) > 2:
            raise RuntimeError("no more")
        return (w**2).sum()

    with pytest.raises(RuntimeError, match="no more"):
        loss_change(fails, [w], 0.1)
    assert w.tolist() == [1, 2]


def test_a_loss_that_overflows_is_destructive():
    w = number(10.0)
    step = loss_change(lambda: torch.exp(-w) + torch.exp(w * w), [w], 1e-30)
    assert step.destructive
    assert step.after == math.inf
    assert not step.holds


def test_bad_arguments():
    w = number(1.0)
    with pytest.raises(InvalidValue, match="learning_rate"):
        loss_change(lambda: w**2, [w], 0.0)
    with pytest.raises(InvalidValue, match="max_norm"):
        loss_change(lambda: w**2, [w], 0.1, max_norm=0.0)
    with pytest.raises(InvalidValue, match="at least one tensor"):
        loss_change(lambda: w**2, [], 0.1)
    with pytest.raises(InvalidType, match="got: float"):
        loss_change(lambda: 1.0, [w], 0.1)  # pyright: ignore
    with pytest.raises(InvalidValue, match="requires_grad=False"):
        loss_change(lambda: w.detach(), [w], 0.1)
