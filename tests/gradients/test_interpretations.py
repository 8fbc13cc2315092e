"""Where the literature is ambiguous: the reading chosen here, and what it excludes."""

import pytest
import torch

import throughtime as tt
from tests.gradients.nets import (
    ACTIVATIONS,
    NUMBERS,
    SIZE,
    TOLERANCE,
    VISIBLE,
    T,
    X,
    error,
    scalar,
    small_net,
)
from throughtime import gradients

STEPS = range(1, T + 1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_truncated_per_loss_step_or_in_chunks(activation):
    """Two estimators: a chunk of tau steps gives its first losses less than tau."""
    net, tau = small_net(activation), 3
    sliding = [(j, k) for j, k in gradients.paths(T, lag=tau - 1)]
    chunks = [(j, k) for j, k in gradients.paths(T) if (j - 1) // tau == (k - 1) // tau]
    assert set(chunks) < set(sliding)
    # Truth of the chunks: autograd with the state detached between windows.
    w, state, total = net.weights["hh"].clone().requires_grad_(), net.start, 0.0
    for t in range(T):
        state = state.detach() if t % tau == 0 else state
        state = net.phi(net.weights["hx"] @ net.x[t] + w @ state)
        total = total + ((net.weights["qh"] @ state - net.y[t]) ** 2).sum() / T
    (truth,) = torch.autograd.grad(total, w)
    found = {
        name: sum(net.term(j, k) for j, k in kept)
        for name, kept in {"chunks": chunks, "sliding": sliding}.items()
    }
    assert error(found["chunks"], truth) <= TOLERANCE
    assert error(found["sliding"], truth) > VISIBLE


def test_superscript_t_is_a_transpose():
    """W_hhᵀ raised to powers: not W_hh to the T."""
    net = small_net("identity")
    d_h = net.weights["qh"].T @ net.d_outputs[T - 1]
    h_1 = (
        torch.autograd.functional.jacobian(lambda h: _last(net, h), net.run()[1][1]).T
        @ d_h
    )
    transposed = torch.linalg.matrix_power(net.weights["hh"].T, T - 1)
    assert error(transposed @ d_h, h_1) <= TOLERANCE
    assert error(torch.linalg.matrix_power(net.weights["hh"], T) @ d_h, h_1) > VISIBLE


def _last(net, h):
    for x_t in net.x[1:]:
        h = net.phi(net.weights["hx"] @ x_t + net.weights["hh"] @ h)
    return h


def test_values_below_one_are_singular_values_not_entries():
    """All entries below 1, and powers grow; or one above 1, and they shrink."""
    w = torch.full((SIZE, SIZE), 0.5, dtype=torch.float64)
    assert tt.init.spectrum(w).of_power(10).spectral_norm > 10
    w = torch.tensor([[0.0, 1.5], [0.1, 0.0]], dtype=torch.float64)
    assert tt.init.spectrum(w).of_power(10).spectral_norm < 0.01


def test_constant_unit_is_the_bias():
    """h = [1, φ(...)]: W_h has a column more, whose gradient is that of the bias."""
    net, generator = small_net("tanh"), torch.Generator().manual_seed(8)
    bias = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)

    def loss(step):
        h, total = net.start, 0.0
        for x_t, y_t in zip(net.x, net.y, strict=True):
            h = net.phi(step(x_t, h))
            total = total + ((net.weights["qh"] @ h - y_t) ** 2).sum() / T
        return total

    b = bias.clone().requires_grad_()
    plain = loss(lambda x, h: net.weights["hx"] @ x + net.weights["hh"] @ h + b)
    (by_bias,) = torch.autograd.grad(plain, b)
    w = torch.cat([bias[:, None], net.weights["hh"]], 1).requires_grad_()
    constant = loss(lambda x, h: net.weights["hx"] @ x + w @ torch.cat([one, h]))
    (by_column,) = torch.autograd.grad(constant, w)
    assert w.shape == (SIZE, SIZE + 1)
    assert error(by_column[:, 0], by_bias) <= TOLERANCE
    # A 1 in x_t as well is the same bias a second time.
    twice = loss(lambda x, h: net.weights["hx"] @ x + bias + w @ torch.cat([one, h]))
    assert error(twice, constant) > VISIBLE


def test_clipping_by_the_joint_norm_or_by_each():
    """ "‖G‖" of one matrix leaves the direction of all together; both can be had."""
    net = small_net("tanh")
    truth = {name: net.truths(name)[0] for name in net.weights}
    joint_norm = torch.cat([g.flatten() for g in truth.values()]).norm()
    for joint in (True, False):
        parameters = [w.clone().requires_grad_() for w in net.weights.values()]
        for parameter, gradient in zip(parameters, truth.values(), strict=True):
            parameter.grad = gradient.clone()
        tt.training.clip_norm(parameters, 0.1, joint=joint)
        for parameter, gradient in zip(parameters, truth.values(), strict=True):
            norm = joint_norm if joint else gradient.norm()
            assert error(parameter.grad, 0.1 / norm * gradient) <= TOLERANCE


def test_read_out_gradient_has_the_state_on_the_left_in_rows():
    """H_tᵀ ∂L/∂O_t in rows of a batch, ∂L/∂o_t h_tᵀ in columns: transposed."""
    net = small_net("identity")
    h, d_o = net.run()[1][1:], net.d_outputs
    rows = sum(h[t : t + 1].T @ d_o[t : t + 1] for t in range(T))
    assert error(rows.T, net.truths("qh")[0]) <= TOLERANCE


@pytest.mark.parametrize("activation", ["identity", "tanh", "sigmoid"])
def test_forward_recursion_and_reverse_sweep(activation):
    """ "Go back" unrolls a recursion that runs forward; both give one gradient."""
    net = scalar(activation)
    forward = float(net.output_gradients @ net.output_sensitivities)
    assert abs(forward - net.gradients["recurrent_weight"]) <= TOLERANCE


def test_the_factor_per_step_is_recurrent_weight_times_slope():
    """tanh' <= 1 does not exclude explosion: |wm f'| decides."""
    options = {"input_weight": 0.0, "output_weight": 1.0, "initial": 1e-6}
    for weight in (1.5, 0.5):
        net = gradients.scalar_network([0.0] * 20, recurrent_weight=weight, **options)
        assert float(net.slopes.max()) <= 1
        ratios = net.multipliers()[1:] / net.multipliers()[:-1]
        assert torch.allclose(ratios, torch.tensor(weight).double(), atol=1e-3)


def test_a_state_that_depends_on_the_weight_needs_its_own_term():
    """∂h_1/∂wm = f'(z_1) h_0 is for a fixed h_0; with h_0 = wm, wm f'(z_1) joins it."""
    wm = NUMBERS["recurrent_weight"]
    net = scalar("tanh", initial=wm)

    def first(w):
        return torch.tanh(NUMBERS["input_weight"] * X[0] + w * w)

    at = torch.tensor(wm, dtype=torch.float64)
    truth = torch.autograd.functional.jacobian(first, at)
    assert abs(float(net.hidden_sensitivities[0] - truth)) > VISIBLE
    carried = net.hidden_sensitivities[0] + net.slopes[0] * wm
    assert error(carried, truth) <= TOLERANCE


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_weight_acts_from_step_one(activation):
    """Occurrences i = 1..t; a sum from i = 0 has nothing to add, as h_0 is given."""
    net = small_net(activation)
    first = min(path.occurrence for path in gradients.paths(T))
    assert first == 1
    copies = net.weights["hh"].expand(T + 1, SIZE, SIZE).clone().requires_grad_()
    h, total = net.start, copies[0].sum() * 0  # copy 0 has no step to act at
    for w, x_t, y_t in zip(copies[1:], net.x, net.y, strict=True):
        h = net.phi(net.weights["hx"] @ x_t + w @ h)
        total = total + ((net.weights["qh"] @ h - y_t) ** 2).sum() / T
    (per_occurrence,) = torch.autograd.grad(total, copies)
    assert error(per_occurrence[1:].sum(0), net.truths("hh")[0]) <= TOLERANCE
    assert not per_occurrence[0].any()


def test_eigenvectors_as_columns():
    """W^n = Q Λ^n Q^-1 with eigenvectors as columns, not Q^-1 Λ^n Q."""
    w = small_net("tanh").weights["hh"]
    values, Q = torch.linalg.eig(w)
    inverse, tenth = torch.linalg.inv(Q), torch.linalg.matrix_power(w, 10)
    scale = tenth.abs().max()
    assert error((Q @ torch.diag(values**10) @ inverse).real, tenth) <= TOLERANCE
    printed = (inverse @ torch.diag(values**10) @ Q).real
    assert error(printed, tenth) / scale > VISIBLE


def test_relu_jacobians_are_powers_only_while_all_units_are_active():
    net = small_net("relu")
    net.weights["hh"] = net.weights["hh"].abs()
    net.weights["hx"], net.x = net.weights["hx"].abs(), net.x.abs()
    net.start = net.start.abs()
    power = torch.linalg.matrix_power(net.weights["hh"], T - 1)
    assert bool((net.slopes == 1).all())
    assert error(net.product(T, 1), power) <= TOLERANCE
    net.weights["hx"] = -net.weights["hx"]
    assert not bool((net.slopes == 1).all())
    assert error(net.product(T, 1), power) > VISIBLE
