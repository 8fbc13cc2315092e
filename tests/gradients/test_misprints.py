"""Formulas that are often printed wrongly: as printed they fail, corrected they hold.

A printed form fails when it asks for a step that does not exist, or when it is off by
more than ``VISIBLE``; the correct one is right to ``TOLERANCE``.
"""

import pytest
import torch

import throughtime as tt
from tests.gradients.nets import (
    NUMBERS,
    SEVEN,
    SIZE,
    TOLERANCE,
    VISIBLE,
    T,
    error,
    scalar,
    small_net,
)
from throughtime import gradients

STEPS = range(1, T + 1)
CURVED = ("tanh", "sigmoid")


class Steps(dict):
    """Values by step, from 1; any other step is an error."""

    @classmethod
    def of(cls, values):
        return cls(enumerate(values, 1))


def power(matrix, exponent):
    return torch.linalg.matrix_power(matrix, exponent)


# ---- the state on the right is the old one: [X_t, H_{t-1}]


@pytest.mark.parametrize("activation", ["identity", *CURVED])
def test_concatenated_form(activation):
    """Printed: concat(X_t, H_t)."""
    net = small_net(activation)
    joined = torch.cat([net.weights["hx"], net.weights["hh"]], 1)
    h = net.run()[1]

    def step(t, state):
        return net.phi(joined @ torch.cat([net.x[t - 1], state]))

    for t in STEPS:
        assert error(step(t, h[t - 1]), h[t]) <= TOLERANCE
        assert error(step(t, h[t]), h[t]) > VISIBLE
    # Gradients of both blocks are those of the two products.
    w, state = joined.clone().requires_grad_(), net.start
    total = 0.0
    for x_t, y_t in zip(net.x, net.y, strict=True):
        state = net.phi(w @ torch.cat([x_t, state]))
        total = total + ((net.weights["qh"] @ state - y_t) ** 2).sum() / T
    (found,) = torch.autograd.grad(total, w)
    truth = torch.cat([net.truths("hx")[0], net.truths("hh")[0]], 1)
    assert error(found, truth) <= TOLERANCE


# ---- the closed form of ∂L/∂h_t of a linear network


def linear(inputs=2):
    net = small_net("identity", inputs)
    found = gradients.linear_network(
        net.x,
        weight_hx=net.weights["hx"],
        weight_hh=net.weights["hh"],
        weight_qh=net.weights["qh"],
        targets=net.y,
        initial=net.start,
    )
    return net, found


PRINTED_INDICES = {
    "T+i": lambda t, i: T + i,
    "T+i-t": lambda t, i: T + i - t,
}


@pytest.mark.parametrize("index", PRINTED_INDICES.values(), ids=PRINTED_INDICES)
def test_closed_form_of_hidden_gradients(index):
    """Printed: (W_hhᵀ)^{T-i} W_qhᵀ ∂L/∂o at T+i, or at T+i-t; correct: at T+t-i."""
    net, truth = linear()
    d_o = Steps.of(truth.output_gradients)

    def closed_form(t, which, missing=None):
        terms = [
            power(net.weights["hh"].T, T - i)
            @ net.weights["qh"].T
            @ (d_o[which(t, i)] if missing is None else d_o.get(which(t, i), missing))
            for i in range(t, T + 1)
        ]
        return sum(terms)

    nothing = torch.zeros_like(d_o[1])
    for t in STEPS:
        right = truth.hidden_gradients[t - 1]
        assert error(closed_form(t, lambda t, i: T + t - i), right) <= TOLERANCE
        other_way = sum(
            power(net.weights["hh"].T, i - t) @ net.weights["qh"].T @ d_o[i]
            for i in range(t, T + 1)
        )
        assert error(other_way, right) <= TOLERANCE
        if t == T and index(t, t) == T:
            continue  # where the second printed form happens to be right
        with pytest.raises(KeyError):
            closed_form(t, index)
        # And it does not get right by leaving out what does not exist.
        assert error(closed_form(t, index, nothing), right) > VISIBLE


# ---- powers of W_hhᵀ by lag


@pytest.mark.parametrize("weight", ["hh", "hx"])
def test_sum_of_powers(weight):
    """Printed: Σ_k (W_hhᵀ)^{t-k} H_k, and X_k for the same W_hh; correct: H_{k-1}."""
    net, found = linear(inputs=SIZE)
    h = net.run()[1]

    def by_powers(state):
        return sum(
            torch.outer(
                power(net.weights["hh"].T, t - k)
                @ net.weights["qh"].T
                @ found.output_gradients[t - 1],
                state(k),
            )
            for t in STEPS
            for k in range(1, t + 1)
        )

    truth = net.truths(weight)[0]
    right = {"hh": lambda k: h[k - 1], "hx": lambda k: net.x[k - 1]}
    assert error(by_powers(right[weight]), truth) <= TOLERANCE
    assert error(by_powers(lambda k: h[k]), truth) > VISIBLE
    other = "hx" if weight == "hh" else "hh"
    assert error(by_powers(right[other]), truth) > VISIBLE


def test_highest_power_is_one_less_than_the_steps():
    """Printed: powers up to t; lag T has no term, as W acts at 1..T."""
    net, found = linear()
    assert len(found.per_lag["weight_hh"]) == T
    alone = torch.outer(
        power(net.weights["hh"].T, T - 1)
        @ net.weights["qh"].T
        @ found.output_gradients[T - 1],
        net.start,
    )
    assert error(found.per_lag["weight_hh"][T - 1], alone) <= TOLERANCE


@pytest.mark.parametrize("activation", CURVED)
def test_powers_alone_belong_to_the_identity(activation):
    """Printed without the factors φ'."""
    net = small_net(activation)
    h = net.run()[1]
    powers_only = sum(
        torch.outer(
            power(net.weights["hh"].T, t - k)
            @ net.weights["qh"].T
            @ net.d_outputs[t - 1],
            h[k - 1],
        )
        for t in STEPS
        for k in range(1, t + 1)
    )
    assert error(powers_only, net.truths("hh")[0]) > VISIBLE


# ---- two directions


def test_bidirectional_states_are_their_own():
    """Printed: both directions read one h, of step t-1 and of step t+1."""
    torch.manual_seed(2)
    layer = tt.RNN(2, SIZE, bidirectional=True).double()
    x = torch.randn(T, 1, 2, dtype=torch.float64)
    with torch.no_grad():
        outputs = layer(x)[0][:, 0]
        forward, backward = Steps.of(outputs[:, :SIZE]), Steps.of(outputs[:, SIZE:])
        zero = torch.zeros(SIZE, dtype=torch.float64)
        # What lies beyond the ends has to be said: h_0 forward, h_{T+1} backward.
        before = forward | {0: zero}
        with pytest.raises(KeyError):
            backward[T + 1]
        behind = backward | {T + 1: zero}

        def step(index, t, state):
            weights = layer.weights(index)
            cell = layer.cells[index]
            return cell.step(x[t - 1, 0], cell.State(state), weights).h

        for t in STEPS:
            assert error(step(0, t, before[t - 1]), forward[t]) <= TOLERANCE
            assert error(step(1, t, behind[t + 1]), backward[t]) <= TOLERANCE
        for t in range(2, T):
            both = forward[t - 1] + backward[t - 1]
            assert error(step(0, t, both), forward[t]) > VISIBLE
            both = forward[t + 1] + backward[t + 1]
            assert error(step(1, t, both), backward[t]) > VISIBLE


def test_constants_of_two_directions_count_once():
    """Printed: W_f [1, h_f] + W_b [1, h_b], one bias in each: it is there twice."""
    generator = torch.Generator().manual_seed(5)
    bias, w_f, w_b, h_f, h_b = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((2, 1), (2, SIZE), (2, SIZE), (SIZE,), (SIZE,))
    )
    one = torch.ones(1, dtype=torch.float64)
    printed = torch.cat([bias, w_f], 1) @ torch.cat([one, h_f])
    printed = printed + torch.cat([bias, w_b], 1) @ torch.cat([one, h_b])
    joined = torch.cat([w_f, w_b], 1) @ torch.cat([h_f, h_b]) + bias[:, 0]
    assert error(w_f @ h_f + w_b @ h_b + bias[:, 0], joined) <= TOLERANCE
    assert error(printed, joined) > VISIBLE


# ---- the scalar network


@pytest.mark.parametrize("activation", CURVED)
def test_derivative_in_the_recursion(activation):
    """Printed: f(z_i) where it must be f'(z_i)."""
    net = scalar(activation)
    wm = NUMBERS["recurrent_weight"]

    def recursion(factors):
        found = 0.0
        for factor, old in zip(factors, net.before, strict=True):
            found = factor * (old + wm * found)
        return found

    truth = net.hidden_sensitivities[-1]  # itself against autograd in test_exactness
    assert error(recursion(net.slopes), truth) <= TOLERANCE
    assert error(recursion(net.hidden), truth) > VISIBLE


@pytest.mark.parametrize("activation", CURVED)
def test_last_term_of_the_expansion(activation):
    """Printed: the product in the last term ends at i-1, correct: at t-1."""
    # Such that h_0 still matters at the last step.
    wm, w2, x = {"tanh": (1.0, 1.0, 0.0), "sigmoid": (-4.0, 3.0, 2.0)}[activation]
    t = SEVEN
    net = gradients.scalar_network(
        [x] * t,
        input_weight=1.0,
        recurrent_weight=wm,
        output_weight=w2,
        activation=activation,
        initial=1.5,
    )
    z = Steps.of(net.slopes)  # f'(z_1) .. f'(z_T)
    h = {0: net.initial} | Steps.of(net.hidden)
    slope = net.output_slopes[t - 1]

    def term(lag, last):
        factors = [z[t - j] for j in range(last + 1)]
        return w2 * slope * wm ** (lag - 1) * torch.stack(factors).prod() * h[t - lag]

    for i in range(1, t + 1):
        assert abs(float(term(i, i - 1)) - net.terms(t)[i - 1].term) <= TOLERANCE
    truth = net.output_sensitivities[t - 1]
    right = sum(term(i, i - 1) for i in range(1, t + 1))
    assert error(right, truth) <= TOLERANCE
    for i in range(1, t):  # whatever i is left over from the term before
        printed = sum(term(k, k - 1) for k in range(1, t)) + term(t, i - 1)
        assert error(printed, truth) > VISIBLE


# ---- sums over paths


@pytest.mark.parametrize("activation", ["identity", *CURVED])
def test_loss_steps_count_from_one(activation):
    """Printed: Σ_{j=0}^{T-1} Σ_{k=1}^{j}; there is no L_0, and L_T is left out."""
    net = small_net(activation)
    truth = net.truths("hh")[0]
    right = sum(net.term(j, k) for j in STEPS for k in range(1, j + 1))
    assert error(right, truth) <= TOLERANCE
    printed = sum(net.term(j, k) for j in range(T) for k in range(1, j + 1))
    assert error(printed, truth) > VISIBLE
    with pytest.raises(tt.errors.InvalidValue):
        gradients.count_paths(T, loss_step=0)
    assert gradients.count_paths(T, loss_step=1) == 1


@pytest.mark.parametrize("activation", ["identity", *CURVED])
def test_total_derivative_in_every_term_counts_paths_twice(activation):
    """The last factor is the immediate derivative, h_{k-1} held fixed."""
    net = small_net(activation)
    total = torch.autograd.functional.jacobian(
        lambda w: net.run({"hh": w})[1][1:], net.weights["hh"]
    )
    printed = sum(
        torch.einsum(
            "q,qh,hk,kab->ab",
            net.d_outputs[j - 1],
            net.weights["qh"],
            net.product(j, k),
            total[k - 1],
        )
        for j in STEPS
        for k in range(1, j + 1)
    )
    assert error(printed, net.truths("hh")[0]) > VISIBLE


# ---- the Jacobian of a step, and products of it


@pytest.mark.parametrize("activation", CURVED)
def test_jacobian_is_not_its_transpose(activation):
    """Printed: W_hᵀ diag(f'), the layout of a gradient; the Jacobian: diag(f') W_h."""
    net = small_net(activation)
    w, h = net.weights["hh"], net.run()[1]

    def step(m):
        return lambda old: net.phi(net.weights["hx"] @ net.x[m - 1] + w @ old)

    printed = Steps.of(w.T @ torch.diag(slope) for slope in net.slopes)
    for m in STEPS:
        truth = torch.autograd.functional.jacobian(step(m), h[m - 1])
        assert error(net.jacobian(m), truth) <= TOLERANCE
        assert error(printed[m], truth) > VISIBLE
    # As a gradient layout it is right if the product is taken in the other order.
    reverse = printed[1] @ printed[2] @ printed[3]
    assert error(reverse.T, net.product(3, 0)) <= TOLERANCE
    same_order = printed[3] @ printed[2] @ printed[1]
    assert error(same_order.T, net.product(3, 0)) > VISIBLE


@pytest.mark.parametrize("activation", CURVED)
def test_powers_cannot_be_taken_out_of_the_product(activation):
    """Printed: W_h^(i-j) Π diag(σ'); the factors do not commute."""
    net = small_net(activation)
    for k in range(T - 1):
        slopes = net.slopes[k : k + 2].prod(0)
        printed = power(net.weights["hh"], 2) @ torch.diag(slopes)
        assert error(printed, net.product(k + 2, k)) > VISIBLE


def test_eigenvalues_do_not_decide_about_vanishing():
    """Printed: largest eigenvalue < 1 shrinks; sufficient is a singular value < 1/γ."""
    w = torch.tensor([[0.9, 50.0], [0.0, 0.9]], dtype=torch.float64)
    tenth = tt.init.spectrum(w).of_power(10)
    assert tt.init.spectrum(w).spectral_radius < 1
    assert abs(tenth.spectral_norm - 193.7) < 0.05
    for activation, gamma in (("tanh", 1.0), ("sigmoid", 0.25)):
        net = small_net(activation)
        below = 0.99 / gamma / tt.init.spectrum(net.weights["hh"]).spectral_norm
        net.weights["hh"] = below * net.weights["hh"]
        norms = [torch.linalg.matrix_norm(net.jacobian(m), 2) for m in STEPS]
        assert max(norms) < 1


def test_eigenvalues_do_not_decide_about_exploding():
    """Printed: largest eigenvalue > 1 explodes; it is necessary (> 1/γ), not enough."""
    net = small_net("sigmoid")
    net.weights["hh"] = 2 * torch.eye(SIZE, dtype=torch.float64)
    norms = [torch.linalg.matrix_norm(net.product(m, 0), 2) for m in STEPS]
    assert all(norm <= 0.5**m for m, norm in enumerate(norms, 1))
    net = small_net("tanh")  # saturated, with an eigenvalue above 1/γ = 1
    net.weights["hh"] = 3 * torch.eye(SIZE, dtype=torch.float64)
    assert torch.linalg.matrix_norm(net.product(T, 0), 2) < VISIBLE
