"""The scalar network, T = 7, against autograd and central differences."""

import pytest
import torch

import throughtime as tt
from tests.gradients.nets import (
    ACTIVATIONS,
    NUMBERS,
    SEVEN,
    TOLERANCE,
    V,
    X,
    central_differences,
    error,
    scalar,
)


def scalar_outputs(activation: str, **numbers) -> torch.Tensor:
    """y_1 .. y_T in plain torch."""
    f = tt.cells.Activation(activation)
    values = NUMBERS | {"initial": 0.6} | numbers
    w1, wm, w2, h = (torch.as_tensor(v, dtype=torch.float64) for v in values.values())
    outputs = []
    for x_t in X:
        h = f(w1 * x_t + wm * h)
        outputs.append(f(w2 * h))
    return torch.stack(outputs)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_scalar_network_forward_by_lag_and_backward(activation):
    net = scalar(activation)
    number = torch.tensor(NUMBERS["recurrent_weight"], dtype=torch.float64)

    def outputs(wm):
        return scalar_outputs(activation, recurrent_weight=wm)

    truths = [
        torch.autograd.functional.jacobian(outputs, number),
        central_differences(outputs, number),
    ]
    by_lag = [sum(e.term for e in net.terms(t)) for t in range(1, SEVEN + 1)]
    for truth in truths:
        assert error(net.output_sensitivities, truth) <= TOLERANCE
        assert error(torch.tensor(by_lag, dtype=torch.float64), truth) <= TOLERANCE
    # The end of the recursion: ∂h_1/∂wm = f'(z_1) h_0.
    assert float(net.hidden_sensitivities[0] - net.slopes[0] * 0.6) == 0
    # The sweep backward has the same, for every number at once.
    targets = torch.tensor(V, dtype=torch.float64)
    for name, value in (NUMBERS | {"initial": 0.6}).items():

        def loss(p, name=name):
            return ((scalar_outputs(activation, **{name: p}) - targets) ** 2).mean()

        at = torch.tensor(value, dtype=torch.float64)
        by_autograd = torch.autograd.functional.jacobian(loss, at)
        by_differences = central_differences(loss, at)
        for truth in (by_autograd, by_differences):
            assert abs(net.gradients[name] - float(truth)) <= TOLERANCE


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_scalar_gradients_of_every_state(activation):
    """∂R/∂h_t, where R is given by its output gradients only."""
    given = [0.0, 1.0, 0.0, 0.0, -2.0, 0.0, 0.5]
    net = scalar(activation, targets=None, output_gradients=given)
    f, (w1, wm, w2) = net.activation, NUMBERS.values()

    def value(shift):
        h, total = torch.tensor(0.6, dtype=torch.float64), 0.0
        for x_t, s, d in zip(X, shift, given, strict=True):
            h = f(w1 * x_t + wm * h) + s
            total = total + d * f(w2 * h)
        return total

    zero = torch.zeros(SEVEN, dtype=torch.float64)
    truth = central_differences(value, zero)
    assert error(net.hidden_gradients, truth) <= TOLERANCE
    truth = torch.autograd.functional.jacobian(value, zero)
    assert error(net.hidden_gradients, truth) <= TOLERANCE
