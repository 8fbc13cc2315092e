"""Every cell as a layer: deep, both ways, ragged, reset, carried, streamed."""

import pytest
import torch

import throughtime as tt
from tests.cells.reference import ROWS
from tests.layers.test_recurrent import naive, x_of
from throughtime import kernels
from throughtime.cells import CELLS, build_cell

every = pytest.mark.parametrize("name", CELLS)
TOLERANCE = {"rtol": 0, "atol": 1e-12}


def make(name, cell_options=None, **options):
    """A float64 layer of 4 units with random weights."""
    torch.manual_seed(5)
    layer = tt.Recurrent(build_cell(name, 3, 4, cell_options), **options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for key, parameter in layer.named_parameters():
            if key.startswith("initial_n"):  # of the sLSTM: a sum of positive numbers
                parameter.abs_().add_(0.5)
    return layer


@every
def test_ragged_and_reset_both_ways_in_two_layers(name):
    layer = make(name, num_layers=2, bidirectional=True)
    lengths = [7, 0, 4]
    reset = torch.zeros(7, 3, dtype=torch.bool)
    reset[3, 0] = reset[5, 0] = reset[2, 2] = True
    x = x_of(7, 3)
    state = layer.initial_state(3)
    outputs, final = layer(x, lengths=lengths, reset=reset)
    for b, length in enumerate(lengths):
        own = [type(s)(*(field[b] for field in s)) for s in state]
        want, finals = naive(layer, x[:, b], own, length, reset[:, b].tolist())
        for t in range(length):
            torch.testing.assert_close(outputs[t, b], want[t], **TOLERANCE)
        for got, expected in zip(final, finals, strict=True):
            for a, e in zip(got, expected, strict=True):
                torch.testing.assert_close(a[b], e, **TOLERANCE)


@every
def test_a_carried_state_equals_the_whole(name):
    layer = make(name, num_layers=2)
    x = x_of(9, 2)
    whole, final = layer(x)
    first, state = layer(x[:4])
    second, end = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, **TOLERANCE)
    for a, b in zip(end, final, strict=True):
        for got, want in zip(a, b, strict=True):
            torch.testing.assert_close(got, want, **TOLERANCE)


@every
def test_a_stream_equals_the_whole(name):
    layer = make(name, num_layers=2).eval()
    x = x_of(5, 2)
    with torch.no_grad():
        whole, _ = layer(x)
        stream = layer.stream(2)
        steps = torch.stack([stream.step(x_t) for x_t in x])
    torch.testing.assert_close(steps, whole, **TOLERANCE)


@every
def test_dropout_zoneout_and_a_learned_start(name):
    layer = make(
        name,
        num_layers=2,
        dropout=0.2,
        recurrent_dropout=0.2,
        zoneout=0.1,
        weight_drop=0.2,
        learned_initial_state=True,
    )
    layer(x_of(6, 3))[0].square().sum().backward()
    for key, parameter in layer.named_parameters():
        if key.startswith("initial_wait"):  # of the clock: counts, and is compared
            continue
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@every
def test_every_parameter_is_used(name):
    """In float64 at the start that the cell draws, over two steps."""
    torch.manual_seed(0)
    layer = tt.Recurrent(build_cell(name, 3, 4)).double()
    outputs, state = layer(x_of(5, 3))
    loss = outputs.square().sum() + sum(f.sum() for s in state for f in s)
    for key, gradient in zip(
        dict(layer.named_parameters()),
        torch.autograd.grad(loss, list(layer.parameters())),
        strict=True,
    ):
        assert gradient.abs().max() > 0, key


@pytest.mark.skipif(kernels.missing() is not None, reason="no compiled core")
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_core_equals_the_loop(row):
    """Outputs, final state and all gradients, over lengths, resets and directions."""
    results = []
    for backend in ("loop", "native"):
        layer = make(
            row.cell,
            row.options,
            num_layers=2,
            bidirectional=True,
            learned_initial_state=True,
            backend=backend,
        )
        x = x_of(7, 4).requires_grad_()
        reset = torch.zeros(7, 4, dtype=torch.bool)
        reset[3, 0] = reset[5, 3] = reset[2, 2] = True
        outputs, state = layer(x, lengths=[7, 0, 4, 6], reset=reset)
        ends = [field for s in state for field in s]
        loss = sum((f * torch.cos(f)).sum() for f in (outputs, *ends))
        wanted = [x, *layer.parameters()]
        gradients = torch.autograd.grad(loss, wanted, materialize_grads=True)
        results.append([outputs, *ends, *gradients])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@every
def test_recompute_changes_no_bit(name):
    """What is kept for the gradient must not change how a step rounds."""
    x, found = x_of(6, 2), []
    for recompute in (False, True):
        layer = make(name, num_layers=2, recompute=recompute)
        outputs, _ = layer(x, lengths=[6, 4])
        gradients = torch.autograd.grad(outputs.sum(), list(layer.parameters()))
        found.append((outputs, *gradients))
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)
