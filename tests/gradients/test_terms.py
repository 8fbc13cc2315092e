"""The terms of a gradient against their definition and closed forms."""

import pytest
import torch
from torch import nn

import throughtime as tt
from tests.gradients.common import (
    BATCH,
    DOUBLE,
    STEPS,
    TOLERANCE,
    by_autograd,
    make,
    squares,
    weighted,
    x_of,
)
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.gradients import decompose


def test_terms_are_gradients_by_the_copy_of_that_step():
    """G[j, k] against autograd through T copies of the weights, one for every step."""
    layer = make("lstm", {"peephole": True})
    x, cell = x_of(), layer.cells[0]
    copies = [
        {n: w.detach().clone().requires_grad_() for n, w in layer.weights(0).items()}
        for _ in range(STEPS)
    ]
    state = cell.initial_state(BATCH, like=x)
    terms = decompose(layer, x, squares)
    for j in range(STEPS):
        state = cell.step(x[j], state, copies[j])
        for name in copies[0]:
            asked = [copies[k][name] for k in range(STEPS)]
            want = torch.autograd.grad(
                state.h.square().sum(), asked, retain_graph=True, materialize_grads=True
            )
            for k in range(STEPS):
                found = terms.term(f"{name}_l0", j, k)
                torch.testing.assert_close(found, want[k], **TOLERANCE)
                norm = terms.norms[f"{name}_l0"][j, k]
                torch.testing.assert_close(norm, want[k].norm(), **TOLERANCE)


def test_sums_of_lags_are_truncated_gradients():
    """Up to lag p: for every L_j, the state that enters step j - p is cut off."""
    layer = make("gru", num_layers=2)
    layer.backend = "loop"
    x = x_of()
    terms = decompose(layer, x, squares)
    for p in (0, 2, STEPS):
        want = dict.fromkeys(terms.total, 0)
        for j in range(STEPS):
            gain = torch.ones(STEPS, BATCH, dtype=DOUBLE)
            gain[max(j - p, 0)] = 0
            losses = squares(layer(x, carry_gain=gain))
            found = torch.autograd.grad(losses[j], list(layer.parameters()))
            for (name, _), gradient in zip(
                layer.named_parameters(), found, strict=True
            ):
                want[name] = want[name] + gradient
        found = terms.up_to_lag(p)
        for name in want:
            torch.testing.assert_close(found[name], want[name], **TOLERANCE)


def test_gradients_of_states_outputs_and_activations():
    """h_t = W h_{t-1} + x_t with L = Σ o_t: closed forms of ∂L/∂h_t and δ."""
    cell = tt.cells.Elman(2, 2, nonlinearity="identity", bias=False, dtype=DOUBLE)
    layer = tt.Recurrent(cell)
    weight = layer.weights(0)["weight_hh"].detach()
    x = x_of(4, 1, 2)
    terms = decompose(layer, x, lambda r: r[0].sum((1, 2)))
    one = torch.ones(2, dtype=DOUBLE)
    whole = terms.state_gradients()["l0"].h
    each = terms.state_gradients(per_loss_step=True)["l0"].h
    for t in range(4):
        powers = [torch.linalg.matrix_power(weight.T, j - t) @ one for j in range(t, 4)]
        torch.testing.assert_close(whole[t, 0], sum(powers), **TOLERANCE)
        for j in range(4):
            want = powers[j - t] if j >= t else torch.zeros(2, dtype=DOUBLE)
            torch.testing.assert_close(each[j, t, 0], want, **TOLERANCE)
            delta = terms.deltas["weight_hh_l0"][j, t, 0]
            torch.testing.assert_close(delta, want, **TOLERANCE)
    assert torch.equal(terms.output_gradients(), torch.ones_like(x))
    per_step = terms.output_gradients(per_loss_step=True)
    assert torch.equal(per_step[..., 0, 0], torch.eye(4, dtype=DOUBLE))


def test_output_gradients_stand_for_a_loss():
    layer = make("gru", bidirectional=True)
    x = x_of()
    given = torch.randn(STEPS, BATCH, 8, dtype=DOUBLE)
    terms = decompose(layer, x, output_gradients=given)
    layer(x)[0].backward(given)
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(terms.total[name], parameter.grad, **TOLERANCE)
    torch.testing.assert_close(terms.output_gradients(), given)


def test_shares_of_lags():
    """A scalar loss at a step: |j - k| counts from there."""
    layer = make("elman")
    terms = decompose(layer, x_of(), lambda r: r[0][3].sum(), loss_step=3)
    occurrence, lags = (
        s["weight_hh_l0"] for s in (terms.per_occurrence, terms.per_lag)
    )
    torch.testing.assert_close(lags[:4], occurrence[:4].flip(0), **TOLERANCE)
    assert not lags[4:].any()
    norms = torch.stack(
        [
            torch.cat([terms.per_lag[n][i].flatten() for n in terms.norms])
            for i in range(6)
        ]
    ).norm(dim=1)
    torch.testing.assert_close(terms.lag_norms(), norms, **TOLERANCE)
    assert terms.share_beyond(1) == pytest.approx(float(norms[2:].sum() / norms.sum()))
    assert terms.share_beyond(3) == 0


def test_some_parameters_only():
    layer = make("lstm")
    terms = decompose(layer, x_of(), squares, parameters=["weight_hh_l0"])
    assert list(terms.total) == ["weight_hh_l0"]
    want = by_autograd(layer, x_of(), squares)["weight_hh_l0"].sum(0)
    torch.testing.assert_close(terms.total["weight_hh_l0"], want, **TOLERANCE)


def test_vanishing_terms_are_seen_in_float32():
    """‖G[T, k]‖ = 0.01^(T - k) down to 1e-30, whose square float32 does not have."""
    cell = tt.cells.Elman(1, 1, nonlinearity="identity", bias=False)
    layer = tt.Recurrent(cell)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").fill_(0.01)
        layer.get_parameter("weight_ih_l0").fill_(1.0)
    terms = decompose(layer, torch.ones(16, 1, 1), lambda r: r[0].sum((1, 2)))
    want = 0.01 ** torch.arange(15, -1, -1, dtype=DOUBLE)
    found = terms.norms["weight_ih_l0"][15]
    torch.testing.assert_close(found, want, rtol=1e-5, atol=0)


# ---- errors


def test_errors():
    layer, x = make("gru"), x_of()
    with pytest.raises(InvalidType, match="no recurrent layer"):
        decompose(nn.Linear(3, 2).double(), x, squares)
    with pytest.raises(InvalidValue, match="either loss_fn or output_gradients"):
        decompose(layer, x)
    with pytest.raises(InvalidValue, match="known are weight_ih_l0"):
        decompose(layer, x, squares, parameters=["weight_l0"])
    with pytest.raises(InvalidShape, match=r"one loss per step.*got \(6, 3\)"):
        decompose(layer, x, lambda r: r[0].sum(2))
    with pytest.raises(InvalidValue, match="does not depend"):
        decompose(layer, x, lambda r: r[0].detach().sum())
    with pytest.raises(InvalidValue, match=r"MiB, above memory_limit.*parameters=\["):
        decompose(layer, x, squares, memory_limit=1000)
    with pytest.raises(InvalidShape, match="shape of the model's output"):
        decompose(layer, x, output_gradients=x[0])
    with pytest.raises(InvalidShape, match="got no steps"):
        decompose(layer, x[:0], squares)
    with pytest.raises(InvalidValue, match=r"loss_step must lie in \[0, 5\], got 6"):
        decompose(layer, x, weighted, loss_step=6).per_lag["weight_hh_l0"]
    with pytest.raises(InvalidShape, match="have no lags"):
        decompose(layer, x, lambda r: squares(r)[:4]).per_lag["weight_hh_l0"]
    terms = decompose(layer, x, squares)
    for of_lag in (terms.up_to_lag, terms.share_beyond):
        with pytest.raises(InvalidValue, match="lag must be 0"):
            of_lag(-1)
    with pytest.raises(InvalidValue, match="unknown parameter 'w': known are"):
        terms.norms["w"]
    with pytest.raises(InvalidValue, match=r"k must lie in \[0, 5\], got 6"):
        terms.term("weight_hh_l0", 0, 6)


def test_a_layer_called_twice_is_an_error_and_leaves_no_hooks():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = make("gru")

        def forward(self, x):
            return self.layer(x)[0] + self.layer(x)[0]

    model = Twice()
    with pytest.raises(InvalidValue, match="'layer' is called twice"):
        decompose(model, x_of(), lambda out: out.sum((1, 2)))
    assert not model.layer._forward_pre_hooks
    want = model.layer(x_of())[0]
    torch.testing.assert_close(model(x_of()), 2 * want, **TOLERANCE)
