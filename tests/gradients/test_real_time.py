"""Forward accumulation against backpropagation through time."""

import pytest
import torch

import throughtime as tt
from tests.gradients.common import by_autograd, make, squares, x_of
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.gradients import real_time_recurrent_learning

TOLERANCE = {"rtol": 0, "atol": 1e-10}


def square(output, t):
    return output.square().sum()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("elman", {}),
        ("gru", {"num_layers": 2}),
        ("lstm", {"num_layers": 2, "residual": True, "learned_initial_state": True}),
        ("peephole_lstm", {}),
        ("mut3", {}),
        ("antisymmetric_rnn", {}),
    ],
)
def test_equal_to_backpropagation_at_every_step(name, options):
    layer = make(name, **options)
    x = x_of()
    want = by_autograd(layer, x, squares)
    outputs = layer(x)[0]
    steps = list(real_time_recurrent_learning(layer, x, square))
    assert len(steps) == 6
    for t, step in enumerate(steps):
        torch.testing.assert_close(step.output, outputs[t].detach(), **TOLERANCE)
        assert step.loss.item() == pytest.approx(outputs[t].square().sum().item())
        for key, gradient in step.gradients.items():
            torch.testing.assert_close(gradient, want[key][t], **TOLERANCE)


def test_from_a_state_for_a_layer_of_torchs_interface():
    layer = tt.LSTM(3, 4, proj_size=2, dtype=torch.float64)
    x = x_of()
    _, state = layer(x)
    state = tuple(s.detach() for s in state)
    losses = squares(layer(x, state))
    want = torch.autograd.grad(losses.sum(), list(layer.parameters()))
    steps = real_time_recurrent_learning(layer, x, square, state)
    every = [step.gradients for step in steps]
    for (name, _), gradient in zip(layer.named_parameters(), want, strict=True):
        found = sum(gradients[name] for gradients in every)
        torch.testing.assert_close(found, gradient, **TOLERANCE)


def test_the_recursion_of_a_linear_unit():
    """h_t = w h_{t-1} + x_t: ∂h_t/∂w = h_{t-1} + w ∂h_{t-1}/∂w, from 0."""
    cell = tt.cells.Elman(1, 1, nonlinearity="identity", bias=False)
    layer = tt.Recurrent(cell).double()
    with torch.no_grad():
        layer.get_parameter("weight_ih_l0").fill_(1.0)
        layer.get_parameter("weight_hh_l0").fill_(0.7)
    x = x_of(inputs=1, batch=1)
    h, a = 0.0, 0.0
    steps = real_time_recurrent_learning(layer, x, lambda out, t: out.sum())
    for t, step in enumerate(steps):
        a = h + 0.7 * a
        h = 0.7 * h + x[t].item()
        assert step.gradients["weight_hh_l0"].item() == pytest.approx(a, abs=1e-12)


def test_errors():
    with pytest.raises(InvalidValue, match="above memory_limit"):
        real_time_recurrent_learning(make("gru"), x_of(), square, memory_limit=10)
    with pytest.raises(InvalidValue, match="needs one"):
        real_time_recurrent_learning(make("gru", bidirectional=True), x_of(), square)
    steps = real_time_recurrent_learning(make("gru"), x_of(), lambda out, t: out)
    with pytest.raises(InvalidShape, match="one number for each step"):
        next(steps)
