"""Every gradient formula, against autograd and central differences."""

from itertools import combinations, product

import pytest
import torch

import throughtime as tt
from tests.gradients.nets import (
    ACTIVATIONS,
    SIZE,
    TOLERANCE,
    VISIBLE,
    Net,
    T,
    central_differences,
    error,
    small_net,
)
from throughtime import gradients

STEPS = range(1, T + 1)


@pytest.fixture(params=ACTIVATIONS)
def net(request) -> Net:
    return small_net(request.param)


def check(found, net: Net, name: str) -> None:
    for truth in net.truths(name):
        assert error(found, truth) <= TOLERANCE


def immediate(net: Net, t: int) -> torch.Tensor:
    """∂⁺h_t/∂W_hh, (H, H H): row a has φ'(z_t)_a h_{t-1} in the columns of row a."""
    before = net.run()[1][t - 1]
    return torch.block_diag(*(slope * before[None] for slope in net.slopes[t - 1]))


def sensitivities(net: Net) -> torch.Tensor:
    """∂h_t/∂W_hh of every step by autograd, (T, H, H H)."""
    found = torch.autograd.functional.jacobian(
        lambda w: net.run({"hh": w})[1][1:], net.weights["hh"]
    )
    return found.reshape(T, SIZE, SIZE * SIZE)


# ---- the chain rule, forward and its truncations


def test_recursion_and_closed_form_of_the_sensitivities(net):
    b = torch.stack([immediate(net, t) for t in STEPS])
    c = torch.stack([net.jacobian(t) for t in STEPS])
    truth = sensitivities(net)
    assert error(gradients.recursion(b, c), truth) <= TOLERANCE
    assert error(gradients.closed_form(b, c), truth) <= TOLERANCE
    terms = gradients.closed_form_terms(b, c)
    for i in STEPS:
        assert error(terms[i], net.product(T, i) @ b[i - 1]) <= TOLERANCE


def test_chain_rule_term_by_term(net):
    by_w = gradients.recursion(
        torch.stack([immediate(net, t) for t in STEPS]),
        torch.stack([net.jacobian(t) for t in STEPS]),
    )
    terms = [net.d_outputs[t - 1] @ net.weights["qh"] @ by_w[t - 1] for t in STEPS]
    check(sum(terms).view(SIZE, SIZE), net, "hh")


def test_sliding_truncation_is_the_sum_of_short_lags(net):
    """Truth: autograd with the state detached tau steps before each loss."""
    for tau in STEPS:
        w = net.weights["hh"].clone().requires_grad_()
        total = torch.zeros((), dtype=torch.float64)
        for t in STEPS:
            first = max(1, t - tau + 1)
            h = net.run()[1][first - 1]
            for m in range(first, t + 1):
                h = net.phi(net.weights["hx"] @ net.x[m - 1] + w @ h)
            output = net.weights["qh"] @ h
            total = total + ((output - net.y[t - 1]) ** 2).sum() / T
        (truth,) = torch.autograd.grad(total, w)
        kept = gradients.paths(T, lag=tau - 1)
        found = sum(net.term(p.loss_step, p.occurrence) for p in kept)
        assert error(found, truth) <= TOLERANCE
    check(found, net, "hh")


def test_random_truncation_has_the_full_gradient_as_its_mean(net):
    """The mean over all 2^T outcomes, exactly, not a sample."""
    chance = 0.4
    b = torch.stack([immediate(net, t) for t in STEPS])
    c = torch.stack([net.jacobian(t) for t in STEPS])
    mean = torch.zeros_like(b)
    for kept in product((0.0, 1.0), repeat=T):
        xi = torch.tensor(kept, dtype=torch.float64)
        weight = float((chance * xi + (1 - chance) * (1 - xi)).prod())
        mean += weight * gradients.recursion(b, c * (xi / chance)[:, None, None])
    assert error(mean, sensitivities(net)) <= TOLERANCE


# ---- the linear network


def test_linear_network():
    net = small_net("identity")
    found = gradients.linear_network(
        net.x,
        weight_hx=net.weights["hx"],
        weight_hh=net.weights["hh"],
        weight_qh=net.weights["qh"],
        targets=net.y,
        initial=net.start,
    )
    assert error(found.loss, net.loss()) <= TOLERANCE
    for name in ("hx", "hh", "qh"):
        check(found.weight_gradients[f"weight_{name}"], net, name)
    for name in ("hx", "hh"):
        per_lag = found.per_lag[f"weight_{name}"]
        for lag in range(T):
            parts = [net.term(j, j - lag, name) for j in range(lag + 1, T + 1)]
            assert error(per_lag[lag], sum(parts)) <= TOLERANCE
        check(per_lag.sum(0), net, name)


def test_gradients_of_outputs_and_states():
    net = small_net("identity")
    x, h, loss = net.x, net.run()[1], net.loss
    found = gradients.linear_network(
        x,
        weight_hx=net.weights["hx"],
        weight_hh=net.weights["hh"],
        weight_qh=net.weights["qh"],
        targets=net.y,
        initial=net.start,
    )

    def loss_of_outputs(outputs):
        return ((outputs - net.y) ** 2).sum() / T

    truth = central_differences(loss_of_outputs, net.run()[2])
    assert error(found.output_gradients, truth) <= TOLERANCE

    def loss_if_added(shift):
        """A number added to each h_t is carried on: its gradient is ∂L/∂h_t."""
        h_t, total = net.start, 0.0
        for t in range(T):
            h_t = net.weights["hx"] @ x[t] + net.weights["hh"] @ h_t + shift[t]
            total = total + ((net.weights["qh"] @ h_t - net.y[t]) ** 2).sum() / T
        return total

    zero = torch.zeros_like(h[1:])
    assert error(loss_if_added(zero), loss()) <= TOLERANCE
    truth = central_differences(loss_if_added, zero)
    assert error(found.hidden_gradients, truth) <= TOLERANCE
    assert error(found.hidden_gradients_closed_form, truth) <= TOLERANCE


# ---- rows of H, a sum instead of a mean


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_row_convention(activation):
    """H_t = φ(X_t W_xh + H_{t-1} W_hh), O_t = φ_o(H_t W_ho), L = Σ l_t."""
    generator = torch.Generator().manual_seed(3)
    phi, phi_o = tt.cells.Activation(activation), tt.cells.Activation("tanh")
    X, Y, W_xh, W_hh, W_ho = (
        0.7 * torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((T, 2, 2), (T, 2, 4), (2, SIZE), (SIZE, SIZE), (SIZE, 4))
    )

    def run(W_xh, W_hh, W_ho):
        H, Z = [torch.zeros(2, SIZE, dtype=torch.float64)], []
        for X_t in X:
            Z.append(X_t @ W_xh + H[-1] @ W_hh)
            H.append(phi(Z[-1]))
        return H, Z, [H_t @ W_ho for H_t in H[1:]]

    def loss(*weights):
        pre = run(*weights)[2]
        return sum(((phi_o(p) - y) ** 2).sum() for p, y in zip(pre, Y, strict=True))

    H, Z, pre = run(W_xh, W_hh, W_ho)
    at_pre = [
        2 * (phi_o(p) - y) * phi_o.derivative(p) for p, y in zip(pre, Y, strict=True)
    ]
    by_ho = sum(H[t].T @ at_pre[t - 1] for t in STEPS)
    by_hh, by_xh = torch.zeros_like(W_hh), torch.zeros_like(W_xh)
    for t in STEPS:
        arriving = at_pre[t - 1] @ W_ho.T  # at H_t
        for k in range(t, 0, -1):
            delta = arriving * phi.derivative(Z[k - 1])
            by_hh += H[k - 1].T @ delta  # the immediate derivative: H_{k-1}
            by_xh += X[k - 1].T @ delta
            arriving = delta @ W_hh.T  # at H_{k-1}
    weights = [W_xh, W_hh, W_ho]
    for place, found in enumerate((by_xh, by_hh, by_ho)):
        leaves = [w.clone().requires_grad_() for w in weights]
        truth = torch.autograd.grad(loss(*leaves), leaves)[place]
        assert error(found, truth) <= TOLERANCE
        truth = central_differences(
            lambda p, place=place: loss(*weights[:place], p, *weights[place + 1 :]),
            weights[place],
        )
        assert error(found, truth) <= TOLERANCE


def test_sum_is_steps_times_the_mean(net):
    """Σ l_t instead of (1/T) Σ l_t: all gradients are T times as large."""
    w = net.weights["hh"].clone().requires_grad_()
    outputs = net.run({"hh": w})[2]
    (mean,) = torch.autograd.grad(
        tt.losses.mse(outputs[:, :1], net.y[:, :1]), w, retain_graph=True
    )
    (total,) = torch.autograd.grad(
        tt.losses.mse(outputs[:, :1], net.y[:, :1], reduction="sum"), w
    )
    assert error(total, T * mean) <= TOLERANCE


def test_direct_path_of_an_lstm_is_its_forget_gate():
    """∂c_t/∂c_{t-1}, h_{t-1} held fixed, is f_t; or 1 without."""
    torch.manual_seed(0)
    cell = tt.cells.LSTM(2, SIZE).double()
    x_t, c = torch.randn(2, dtype=torch.float64), torch.randn(SIZE, dtype=torch.float64)
    h = torch.randn(SIZE, dtype=torch.float64)
    weights = cell.weights()
    a_x, state = cell.input_part(x_t, weights), cell.State(h, c)
    gates = cell.advance(a_x, state, weights)[1]
    found = torch.autograd.functional.jacobian(
        lambda c: cell.step(x_t, cell.State(h, c)).c, c
    )
    assert error(found, torch.diag(gates["forget"])) <= TOLERANCE
    constant = tt.cells.OriginalLSTM(2, SIZE).double()
    found = torch.autograd.functional.jacobian(
        lambda c: constant.step(x_t, constant.State(h, c)).c, c
    )
    assert error(found, torch.eye(SIZE, dtype=torch.float64)) <= TOLERANCE


# ---- all occurrences


def test_contraction_of_output_gradients_with_the_full_tensor(net):
    """Σ_t ∇_{y_t}R · ∂y_t/∂W, ∂y_t/∂W being (Q, H, H)."""
    full = torch.autograd.functional.jacobian(
        lambda w: net.run({"hh": w})[2], net.weights["hh"]
    )
    check(torch.einsum("tq,tqab->ab", net.d_outputs, full), net, "hh")


def test_unrolled_network_with_shared_weights(net):
    """T layers, each with its own W; their gradients add up."""
    copies = net.weights["hh"].expand(T, SIZE, SIZE).clone().requires_grad_()
    h, total = net.start, 0.0
    for w, x_t, y_t in zip(copies, net.x, net.y, strict=True):
        h = net.phi(net.weights["hx"] @ x_t + w @ h)
        total = total + ((net.weights["qh"] @ h - y_t) ** 2).sum() / T
    (per_occurrence,) = torch.autograd.grad(total, copies)
    for k in STEPS:
        parts = [net.term(j, k) for j in range(k, T + 1)]
        assert error(sum(parts), per_occurrence[k - 1]) <= TOLERANCE
    check(per_occurrence.sum(0), net, "hh")


# ---- sums over paths


@pytest.mark.parametrize("name", ["hh", "hx"])
def test_sum_over_all_paths(net, name):
    terms = [net.term(p.loss_step, p.occurrence, name) for p in gradients.paths(T)]
    assert len(terms) == gradients.count_paths(T) == T * (T + 1) // 2
    check(sum(terms), net, name)


def test_sum_over_the_paths_of_one_loss_step(net):
    w = net.weights["hh"].clone().requires_grad_()
    losses = ((net.run({"hh": w})[2] - net.y) ** 2).sum(1) / T
    for j in STEPS:
        (truth,) = torch.autograd.grad(losses[j - 1], w, retain_graph=True)
        found = sum(net.term(j, k) for k in range(1, j + 1))
        assert error(found, truth) <= TOLERANCE


def test_jacobian_products(net):
    """∂h_j/∂h_k is the ordered product of diag(φ') W_hh."""
    for k in range(T):

        def last(h, k=k):
            for x_t in net.x[k:]:
                h = net.phi(net.weights["hx"] @ x_t + net.weights["hh"] @ h)
            return h

        h_k = net.run()[1][k]
        truth = torch.autograd.functional.jacobian(last, h_k)
        assert error(net.product(T, k), truth) <= TOLERANCE
        assert error(net.product(T, k), central_differences(last, h_k)) <= TOLERANCE


def test_norm_bound(net):
    """Never less than the norm, ‖∂J/∂h_k‖ <= ‖∂J/∂h_j‖ Π ‖W‖ ‖diag φ'‖."""
    w_norm = torch.linalg.matrix_norm(net.weights["hh"], 2)
    for k, j in combinations(STEPS, 2):
        d_j = net.weights["qh"].T @ net.d_outputs[j - 1]
        norm = torch.linalg.vector_norm(net.product(j, k).T @ d_j)
        slopes = net.slopes[k:j].abs().amax(1).prod()
        bound = torch.linalg.vector_norm(d_j) * w_norm ** (j - k) * slopes
        assert norm <= bound * (1 + 1e-12)


def test_worked_matrix():
    """W^n = Q Λ^n Q^-1, with 0.0081 and 122.9919 on the diagonal of Λ^10."""
    w = torch.tensor([[1.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    tenth = tt.init.spectrum(w).of_power(10)
    found = sorted(abs(value.real) for value in tenth.eigenvalues.tolist())
    assert [round(value, 4) for value in found] == [0.0081, 122.9919]
    values, Q = torch.linalg.eig(w)
    rebuilt = (Q @ torch.diag(values**10) @ torch.linalg.inv(Q)).real
    assert error(rebuilt, torch.linalg.matrix_power(w, 10)) <= TOLERANCE


def test_the_truths_can_tell(net):
    """A gradient of the transposed matrix is seen to be wrong."""
    autograd, differences = net.truths("hh")
    assert error(autograd, differences) <= TOLERANCE
    assert error(autograd.T, differences) > VISIBLE
