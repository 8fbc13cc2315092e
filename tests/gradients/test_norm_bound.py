"""The bound on ‖∂L/∂h_k‖ against the norm itself, and against closed forms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import throughtime as tt
from tests.gradients.common import make, x_of
from throughtime.cells import ACTIVATIONS, Activation
from throughtime.diagnostics import gradient_flow
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.gradients import norm_bound
from throughtime.gradients.norm_bound import largest_slope

DOUBLE = torch.float64


def total(h):
    return h.sum()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ACTIVATIONS),
    st.floats(0.1, 3),
    st.sampled_from([None, 0.3, 1.0]),
    st.integers(0, 10**6),
)
def test_never_below_the_norm(name, scale, leak_rate, seed):
    torch.manual_seed(seed)
    options = {"nonlinearity": name, "dtype": DOUBLE}
    cell = (
        tt.cells.Elman(3, 4, **options)
        if leak_rate is None
        else tt.cells.Leaky(3, 4, leak_rate=leak_rate, **options)
    )
    layer = tt.Recurrent(cell)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").mul_(scale)
    found = norm_bound(layer, x_of(), lambda h: h.sin().sum())
    assert (found.bounds >= found.norms * (1 - 1e-12)).all()
    assert (found.slopes <= found.gamma * (1 + 1e-12)).all()
    want = gradient_flow(layer, x_of(), lambda r: r[0][-1].sin().sum())["l0"].norms
    torch.testing.assert_close(found.norms, want, rtol=1e-9, atol=1e-300)


def test_tight_for_a_scaled_orthogonal_matrix():
    """W = c Q, φ the identity: norm and bound are both c^(j - k) ‖∂L/∂h_j‖."""
    layer = tt.Recurrent(tt.cells.Elman(3, 4, nonlinearity="identity", dtype=DOUBLE))
    with torch.no_grad():
        orthogonal = tt.init.orthogonal((4, 4), dtype=DOUBLE)
        layer.get_parameter("weight_hh_l0").copy_(0.8 * orthogonal)
    found = norm_bound(layer, x_of(), total, step=4)
    assert len(found.norms) == 5
    torch.testing.assert_close(found.norms, found.bounds, rtol=1e-12, atol=0)
    assert found.must_vanish
    assert not found.can_explode


def test_eigenvalues_do_not_decide():
    """[[.9, 50], [0, .9]]: radius 0.9, and yet the norm grows at first."""
    layer = tt.Recurrent(tt.cells.Elman(3, 2, nonlinearity="identity", dtype=DOUBLE))
    weight = torch.tensor([[0.9, 50.0], [0.0, 0.9]], dtype=DOUBLE)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").copy_(weight)
    found = norm_bound(layer, x_of(11, 1), lambda h: h[0, 0])
    assert found.spectral_radius == pytest.approx(0.9)
    assert found.can_explode
    assert not found.must_vanish
    power = torch.linalg.matrix_power(weight, 10)
    assert torch.linalg.matrix_norm(power, ord=2).item() == pytest.approx(
        193.7, abs=0.1
    )
    assert found.norms[0].item() == pytest.approx(power[0].norm().item())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_largest_slope(name):
    """γ against the largest slope on a fine grid."""
    activation = Activation(name)
    z = torch.linspace(-30, 30, 600001, dtype=DOUBLE)
    highest = activation.derivative(z).abs().max().item()
    assert largest_slope(activation) == pytest.approx(highest, abs=1e-8)


def test_errors():
    with pytest.raises(InvalidType, match=r"got GRU.*use gradients\.jacobians"):
        norm_bound(make("gru"), x_of(), total)
    with pytest.raises(InvalidValue, match="of one layer"):
        norm_bound(make("elman", num_layers=2), x_of(), total)
    with pytest.raises(InvalidValue, match=r"step must lie in \[0, 5\], got 6"):
        norm_bound(make("elman"), x_of(), total, step=6)
    with pytest.raises(InvalidShape, match="one number"):
        norm_bound(make("elman"), x_of(), lambda h: h)
