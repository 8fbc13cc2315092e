"""Step Jacobians and their products against autograd and closed forms."""

import pytest
import torch
from torch import nn

import throughtime as tt
from tests.gradients.common import make, x_of
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.gradients import decompose, jacobians, output_jacobian

DOUBLE = torch.float64
TOLERANCE = {"rtol": 0, "atol": 1e-10}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("elman", {}),
        ("lstm", {"num_layers": 2}),
        ("mut3", {"num_layers": 2, "residual": True, "learned_initial_state": True}),
        ("clockwork", {}),
    ],
)
def test_products_are_derivatives_of_the_whole_run(name, options):
    """∂s_j/∂s_k of the layer from step k + 1 to j, by autograd."""
    layer = make(name, **options)
    x = x_of()
    found = jacobians(layer, x)
    j, k = 4, 1
    start = [
        f[k].clone().requires_grad_()
        for part in layer(x, return_states=True)[2].states
        for f in part
    ]
    fields = iter(start)
    state = tuple(
        cell.State(*(next(fields) for _ in cell.state_sizes)) for cell in layer.cells
    )
    final = layer(x[k + 1 : j + 1], state)[1]
    end = torch.cat([field for part in final for field in part], -1)
    torch.testing.assert_close(end, found.states[j], **TOLERANCE)
    for row in range(end.size(1)):
        # Sequences of the batch do not touch each other.
        gradient = torch.autograd.grad(
            end[:, row].sum(), start, retain_graph=True, materialize_grads=True
        )
        want = torch.cat(gradient, -1)
        torch.testing.assert_close(found.product(j, k)[:, row], want, **TOLERANCE)


def test_powers_of_a_linear_network():
    cell = tt.cells.Elman(3, 4, nonlinearity="identity", dtype=DOUBLE)
    layer = tt.Recurrent(cell)
    weight = layer.weights(0)["weight_hh"].detach()
    found = jacobians(layer, x_of())
    power = torch.linalg.matrix_power(weight, 6)
    torch.testing.assert_close(found.product(5, -1)[2], power, **TOLERANCE)
    eye = torch.eye(4, dtype=DOUBLE)
    torch.testing.assert_close(found.product(3, 3)[0], eye, **TOLERANCE)
    norm = torch.linalg.matrix_norm(weight, ord=2)
    torch.testing.assert_close(found.factor_norms, norm.expand(6, 3), **TOLERANCE)
    for lag in range(7):
        power = torch.linalg.matrix_power(weight, lag)
        values = found.singular_values()[lag, 0]
        torch.testing.assert_close(values, torch.linalg.svdvals(power), **TOLERANCE)
        number = found.condition_numbers()[lag, 0]
        assert number.item() == pytest.approx(torch.linalg.cond(power).item(), rel=1e-6)
    middle = found.condition_numbers(2)
    torch.testing.assert_close(middle, found.condition_numbers()[:4])


def test_powers_cannot_be_pulled_out_of_a_product():
    """Π diag(φ') W is no W^n Π diag(φ'): the matrices do not commute."""
    layer = make("elman")
    found = jacobians(layer, x_of())
    weight = layer.weights(0)["weight_hh"].detach()
    slopes = 1 - found.states**2
    for t in range(6):
        want = slopes[t, 0].diag() @ weight
        torch.testing.assert_close(found.steps[t, 0], want, **TOLERANCE)
    right = slopes[3, 0].diag() @ weight @ slopes[2, 0].diag() @ weight
    torch.testing.assert_close(found.product(3, 1)[0], right, **TOLERANCE)
    pulled = weight @ weight @ slopes[3, 0].diag() @ slopes[2, 0].diag()
    assert (pulled - right).abs().max() > 0.01


def test_zoneout_in_eval_mode_is_part_of_the_step():
    layer = make("gru", zoneout=1.0).eval()
    eye = torch.eye(4, dtype=DOUBLE).expand(6, 3, 4, 4)
    torch.testing.assert_close(jacobians(layer, x_of()).steps, eye, **TOLERANCE)


def test_errors():
    layer = make("gru")
    with pytest.raises(InvalidType, match="recurrent layer"):
        jacobians(nn.Linear(3, 2), x_of())
    with pytest.raises(InvalidValue, match="both directions"):
        jacobians(make("gru", bidirectional=True), x_of())
    with pytest.raises(InvalidValue, match=r"use layer\.eval"):
        jacobians(make("gru", zoneout=0.1), x_of())
    with pytest.raises(InvalidShape, match=r"\(T, B, I\)"):
        jacobians(layer, x_of()[0])
    with pytest.raises(InvalidValue, match="-1 <= k <= j < T = 6, got j = 2, k = 3"):
        jacobians(layer, x_of()).product(2, 3)


# ---- the full derivative of the outputs


def test_the_gradient_is_a_contraction_of_the_full_jacobian():
    """∇_W L = Σ_t ∇_{y_t} L · ∂y_t/∂W, and ∂y_t/∂W is 0 for what comes later."""
    layer = make("lstm")
    x = x_of()
    found = output_jacobian(layer, x)
    given = torch.randn(6, 3, 4, dtype=DOUBLE)
    terms = decompose(layer, x, output_gradients=given)
    for name, jacobian in found.items():
        each = (given[(...,) + (None,) * (jacobian.dim() - 3)] * jacobian).sum((1, 2))
        torch.testing.assert_close(each.sum(0), terms.total[name], **TOLERANCE)
        torch.testing.assert_close(each, terms.per_loss_step[name], **TOLERANCE)


def test_errors_of_the_full_jacobian():
    layer = make("gru")
    with pytest.raises(InvalidValue, match="unknown parameter 'w'"):
        output_jacobian(layer, x_of(), parameters=["w"])
    with pytest.raises(InvalidValue, match="above memory_limit"):
        output_jacobian(layer, x_of(), memory_limit=10)
    one = output_jacobian(layer, x_of(), parameters=["bias_hh_l0"])
    assert {n: tuple(j.shape) for n, j in one.items()} == {"bias_hh_l0": (6, 3, 4, 12)}
