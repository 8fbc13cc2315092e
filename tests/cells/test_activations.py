"""Activations and derivatives against numpy, differences and stated conventions."""

import numpy as np
import pytest
import torch

from tests.cells.reference import ACTIVATIONS as FORMULAS
from throughtime.cells import ACTIVATIONS, Activation, Elman
from throughtime.errors import InvalidType, InvalidValue

POINTS = torch.cat(
    [torch.linspace(-8, 8, 161), torch.tensor([-1000.0, -100.0, 100.0, 1000.0])]
).double()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values(name):
    phi = Activation(name)
    with np.errstate(over="ignore"):
        want = FORMULAS[name](POINTS.numpy(), phi.alpha)
    np.testing.assert_allclose(phi(POINTS).numpy(), want, rtol=1e-13, atol=1e-15)
    assert torch.isfinite(phi(POINTS.float())).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative(name):
    phi = Activation(name)
    z = POINTS.clone().requires_grad_()
    (slope,) = torch.autograd.grad(phi(z).sum(), z)
    closed = phi.derivative(POINTS)
    torch.testing.assert_close(closed, slope, rtol=1e-12, atol=1e-14)
    smooth = POINTS[(POINTS.abs() > 1e-3) & (POINTS.abs() < 10)]
    step = 1e-6
    differences = (phi(smooth + step) - phi(smooth - step)) / (2 * step)
    torch.testing.assert_close(phi.derivative(smooth), differences, rtol=0, atol=1e-8)


def test_bounds_of_derivatives():
    assert Activation("tanh").derivative(POINTS).max() <= 1
    assert Activation("sigmoid").derivative(POINTS).max() <= 0.25


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [
        ("relu", 0.0, 0.0),
        ("elu", 0.0, 1.0),
        ("leaky_relu", 0.0, 0.01),
        ("prelu", 0.0, 0.25),
        ("gelu", 0.0, 0.5),
        ("softplus", float(np.log(2)), 0.5),
    ],
)
def test_conventions_at_zero(name, value, slope):
    phi = Activation(name)
    z = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (got,) = torch.autograd.grad(phi(z).sum(), z)
    assert phi(z).item() == pytest.approx(value, abs=1e-15)
    assert got.item() == phi.derivative(z.detach()).item() == slope


def test_same_values_as_torch():
    for name, theirs in (
        ("gelu", torch.nn.GELU()),
        ("elu", torch.nn.ELU()),
        ("leaky_relu", torch.nn.LeakyReLU()),
        ("prelu", torch.nn.PReLU().double()),
        ("relu", torch.nn.ReLU()),
    ):
        torch.testing.assert_close(Activation(name)(POINTS), theirs(POINTS).detach())


def test_prelu_learns_its_slope():
    cell = Elman(1, 1, nonlinearity="prelu", alpha=0.3, dtype=torch.float64)
    weights = {
        "weight_ih": torch.ones(1, 1).double(),
        "weight_hh": torch.zeros(1, 1).double(),
        "alpha": cell.get_parameter("alpha"),
    }
    assert weights["alpha"].item() == pytest.approx(0.3)
    h = cell.step(torch.tensor([-2.0]).double(), None, weights).h
    assert h.item() == pytest.approx(-0.6)
    h.sum().backward()
    grad = cell.get_parameter("alpha").grad
    assert grad is not None
    assert grad.item() == -2.0


def test_errors():
    with pytest.raises(
        InvalidValue, match="unknown nonlinearity 'swish': known are id"
    ):
        Activation("swish")
    with pytest.raises(InvalidValue, match="'tanh' has no alpha, got alpha=1.0"):
        Activation("tanh", alpha=1.0)
    with pytest.raises(InvalidValue, match="alpha should be a number in range"):
        Activation("elu", alpha=float("nan"))
    with pytest.raises(InvalidType, match="alpha should be a number, got: str"):
        Activation("elu", alpha="1")  # pyright: ignore[reportArgumentType]
