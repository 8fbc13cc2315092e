"""J v of layers against jacobians of the plain loop by torch.func, in float64."""

import pytest
import torch
from torch.func import functional_call, jvp

import throughtime as tt
from throughtime.layers import tangent
from throughtime.layers.lowering import lowered
from throughtime.layers.tangent import linear_in_gradients

STEPS, BATCH = 4, 3
# What the core has no dual step for: normalised rows, too many products, projections.
BY_LOOP = {
    "layer_norm_gru",
    "layer_norm_lstm",
    "mut3",
    "qrnn",
    "rhn",
    "working_memory_lstm",
}


def random(*shape):
    return torch.randn(shape, dtype=torch.float64)


def layer(name, num_layers=1, **options):
    torch.manual_seed(0)
    cell = tt.cells.CELLS[name](3, 4)
    return tt.Recurrent(cell, num_layers=num_layers, **options).double().eval()


def results(layer, x, state, **options):
    """Outputs and final states."""
    outputs, final = layer(x, state, **options)
    return outputs, *(field for part in final for field in part)


def check(layer, x, state=None, **options):
    """The tangents of all results in a direction of parameters and input."""
    names = [n for n, _ in layer.named_parameters()]
    x = x.requires_grad_()
    points = [*layer.parameters(), x]
    v = [random(*p.shape) for p in points]

    def function(*values):
        weights = dict(zip(names, values, strict=False))
        return functional_call(layer, weights, (values[-1], state), options)

    def flat(*values):
        outputs, final = function(*values)
        return outputs, *(field for part in final for field in part)

    _, truth = jvp(flat, tuple(p.detach() for p in points), tuple(v))
    found = results(layer, x, state, **options)
    u = [torch.zeros_like(f).requires_grad_() for f in found]
    with linear_in_gradients():
        z = torch.autograd.grad(found, points, u, create_graph=True)
    tangents = torch.autograd.grad(z, u, v)
    for a, b in zip(tangents, truth, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", sorted(tt.cells.CELLS))
@pytest.mark.filterwarnings("ignore:a cell runs on the plain loop")
def test_of_every_cell(name):
    check(layer(name), random(STEPS, BATCH, 3))


@pytest.mark.parametrize("name", sorted(tt.cells.CELLS))
def test_runs_in_the_core_where_it_can(name):
    key = lowered(tt.cells.CELLS[name](3, 4)).key
    assert bool(key and tangent.dual_key(key)) == (name not in BY_LOOP)


def random_mask():
    reset = torch.zeros(STEPS, BATCH).bool()
    reset[2, 1] = reset[3, 0] = True
    return reset


@pytest.mark.parametrize("name", ["elman", "gru", "lstm"])
class TestOptions:
    def test_deep_and_bidirectional(self, name):
        check(layer(name, 2, bidirectional=True), random(STEPS, BATCH, 3))

    def test_lengths(self, name):
        lengths = torch.tensor([4, 2, 0])
        check(layer(name, bidirectional=True), random(4, 3, 3), lengths=lengths)

    def test_reset_to_a_learned_state(self, name):
        made = layer(name, learned_initial_state=True)
        check(made, random(STEPS, BATCH, 3), reset=random_mask())

    def test_zoneout(self, name):
        check(layer(name, zoneout=0.2), random(STEPS, BATCH, 3))

    def test_perturbation(self, name):
        made, x = layer(name), random(STEPS, BATCH, 3)
        added = tuple(
            type(part)(*(random(*field.shape) for field in part))
            for part in made.zero_perturbation(x)
        )
        check(made, x, perturbation=added)

    def test_a_state(self, name):
        made = layer(name)
        state = tuple(
            type(part)(*(random(*field.shape) for field in part))
            for part in made.initial_state(BATCH)
        )
        check(made, random(STEPS, BATCH, 3), state)


def test_masks_in_training():
    """Recurrent dropout: J v is the transposed of Jᵀ u with the same masks."""
    made, x = layer("mgu", recurrent_dropout=0.5, zoneout=0.3).train(), random(4, 3, 3)
    points = [*made.parameters()]
    outputs = made(x)[0]
    w, v = random(*outputs.shape), [random(*p.shape) for p in points]
    u = torch.zeros_like(outputs).requires_grad_()
    with linear_in_gradients():
        z = torch.autograd.grad(outputs, points, u, create_graph=True)
    (moved,) = torch.autograd.grad(z, u, v)
    back = torch.autograd.grad(outputs, points, w)
    truth = sum(float((a * b).sum()) for a, b in zip(back, v, strict=True))
    assert float((moved * w).sum()) == pytest.approx(truth, rel=1e-10)


def test_a_gain_on_the_gradient_is_part_of_it():
    """Then z is no Jᵀ u; its derivative by u is still its own transposed."""
    made, x = layer("gru"), random(4, 3, 3)
    gain = torch.rand(4, 3, dtype=torch.float64)
    points = [*made.parameters()]
    outputs = made(x, carry_gain=gain)[0]
    w, v = random(*outputs.shape), [random(*p.shape) for p in points]
    u = torch.zeros_like(outputs).requires_grad_()
    with linear_in_gradients():
        z = torch.autograd.grad(outputs, points, u, create_graph=True)
    (moved,) = torch.autograd.grad(z, u, v)
    back = torch.autograd.grad(outputs, points, w)
    truth = sum(float((a * b).sum()) for a, b in zip(back, v, strict=True))
    assert float((moved * w).sum()) == pytest.approx(truth, rel=1e-10)


def test_a_second_derivative_is_still_there():
    """Outside ``linear_in_gradients`` z may be differentiated by the weights."""
    made, x = layer("elman"), random(4, 3, 3)
    weight = made.get_parameter("weight_hh_l0")
    (first,) = torch.autograd.grad(made(x)[0].sum(), weight, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), weight)
    assert second.abs().sum() > 0
