"""PackedSequence: read row by row, with torch.nn as the truth."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import throughtime as tt
from throughtime.errors import InvalidValue

DOUBLE = torch.float64
ORDERED, MIXED = torch.tensor([7, 5, 5, 3, 1]), torch.tensor([3, 7, 1, 5, 5])


def everything(module, x, h, lengths):
    """Outputs, final state, first and second derivatives."""
    leaf, start = x.clone().requires_grad_(), h.clone().requires_grad_()
    pair = "LSTM" in type(module).__name__
    packed = pack_padded_sequence(
        leaf, lengths, enforce_sorted=bool((lengths.diff() <= 0).all())
    )
    outputs, final = module(packed, (start, 2 * start) if pair else start)
    assert isinstance(outputs, PackedSequence)
    finals = list(final) if pair else [final]
    total = (outputs.data**2).sum() + sum((f**3).sum() for f in finals)
    into = [leaf, start, *module.parameters()]
    first = torch.autograd.grad(total, into, create_graph=True)
    second = torch.autograd.grad((first[0] ** 2).sum(), into)
    return [outputs.data, *finals, *first, *second]


@pytest.mark.parametrize("backend", ["auto", "loop"])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("lengths", [ORDERED, MIXED], ids=["ordered", "mixed"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_equals_torch(name, bidirectional, lengths, recompute, backend):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(5, 6, 2, bidirectional=bidirectional, dtype=DOUBLE)
    ours = getattr(tt, name)(5, 6, 2, bidirectional=bidirectional, dtype=DOUBLE)
    ours.load_state_dict(theirs.state_dict())
    ours.backend, ours.recompute = backend, recompute
    x = torch.randn(7, 5, 5, dtype=DOUBLE)
    h = torch.randn(4 if bidirectional else 2, 5, 6, dtype=DOUBLE)
    found, expected = (everything(m, x, h, lengths) for m in (ours, theirs))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"zoneout": 0.3},
        {"recurrent_dropout": 0.3},
        {"variational": True, "dropout": 0.2},
    ],
    ids=lambda o: next(iter(o), "plain"),
)
@pytest.mark.parametrize("training", [False, True])
def test_equals_lengths(options, training):
    """The same numbers as for the padded batch, random masks included."""
    torch.manual_seed(0)
    layer = tt.Recurrent(tt.cells.LSTM(5, 6, dtype=DOUBLE), 2, **options)
    layer.train(training)
    x = torch.randn(7, 5, 5, dtype=DOUBLE)
    torch.manual_seed(1)
    outputs, final = layer(pack_padded_sequence(x, MIXED, enforce_sorted=False))
    torch.manual_seed(1)
    padded, expected = layer(x, lengths=MIXED)
    again = pack_padded_sequence(padded, MIXED, enforce_sorted=False)
    torch.testing.assert_close(outputs.data, again.data, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(final, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_options_laid_out_over_steps_and_sequences():
    torch.manual_seed(0)
    layer = tt.Recurrent(tt.cells.GRU(5, 6, dtype=DOUBLE))
    x = torch.randn(7, 5, 5, dtype=DOUBLE)
    reset, gain = torch.rand(7, 5) < 0.3, torch.rand(7, 5, dtype=DOUBLE)
    found = []
    for batch, options in (
        (pack_padded_sequence(x, MIXED, enforce_sorted=False), {}),
        (x, {"lengths": MIXED}),
    ):
        _, final, trace = layer(
            batch, reset=reset, carry_gain=gain, return_states=True, **options
        )
        total = (trace.states[0].h ** 2).sum() + final[0].h.sum()
        found.append(torch.autograd.grad(total, list(layer.parameters())))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_ensemble_of_layers_by_vmap():
    layers = [tt.GRU(5, 6, dtype=DOUBLE) for _ in range(3)]
    parameters, _ = torch.func.stack_module_state(layers)
    packed = pack_padded_sequence(torch.randn(7, 5, 5, dtype=DOUBLE), ORDERED)

    def call(values):
        return torch.func.functional_call(layers[0], values, (packed,))[0].data

    found = torch.func.vmap(call)(parameters)
    for layer, mine in zip(layers, found, strict=True):
        torch.testing.assert_close(mine, layer(packed)[0].data)


@pytest.mark.parametrize("sizes", [[3, 2], [2, 3, 1], [4, 2, 0], [7, -1], []])
def test_batch_sizes_that_do_not_fit_the_data(sizes):
    packed = PackedSequence(torch.randn(6, 5), torch.tensor(sizes, dtype=torch.int64))
    with pytest.raises(InvalidValue, match="must add up to the 6 rows of its data"):
        tt.Recurrent(tt.cells.GRU(5, 6))(packed)
