"""Recomputing by segments: the truth is the same layer that keeps everything."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import throughtime as tt
from tests.layers.native_cases import random_case, results
from tests.layers.test_direct import NATIVE, kept_bytes, needs_core
from throughtime.errors import InvalidType, InvalidValue
from throughtime.layers.segments import segment_steps

DOUBLE = torch.float64


@pytest.mark.parametrize("backend", NATIVE)
@pytest.mark.parametrize("seed", range(40))
def test_segments_equal_keeping_everything(seed, backend):
    """Random cells and options: outputs to the last bit, gradients to 1e-12."""
    case = random_case(seed)
    case.options["recompute"] = False
    usual = results(case, backend, seed)
    for segment in (1, 2, 4):
        case.options["recompute"] = segment
        found = results(case, backend, seed)
        count = 1 + 2 * len(case.state)  # outputs, final state, all states
        for i, (a, b) in enumerate(zip(found, usual, strict=True)):
            if i < count and backend != "loop":
                assert torch.equal(a, b)
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def gradients(layer, x, **options):
    torch.manual_seed(3)  # masks
    outputs, state = layer(x, **options)
    data = outputs.data if isinstance(x, torch.nn.utils.rnn.PackedSequence) else outputs
    total = (data**2).sum() + sum((f**3).sum() for part in state for f in part)
    return [data, *torch.autograd.grad(total, list(layer.parameters()))]


@pytest.mark.parametrize("backend", NATIVE)
@pytest.mark.parametrize("name", ["lstm", "gru", "elman"])
def test_whole_stacks_with_every_mask(name, backend):
    torch.manual_seed(0)
    layer = tt.Recurrent(
        tt.cells.build_cell(name, 3, 5, {}).double(),
        2,
        bidirectional=True,
        dropout=0.3,
        recurrent_dropout=0.3,
        zoneout=0.2,
        weight_drop=0.2,
        learned_initial_state=True,
        backend=backend,
    )
    x = torch.randn(11, 4, 3, dtype=DOUBLE)
    options = {
        "lengths": [11, 0, 4, 9],
        "reset": torch.rand(11, 4) < 0.2,
        "carry_gain": torch.rand(11, 4, dtype=DOUBLE),
    }
    usual = gradients(layer, x, **options)
    for segment in (1, 3, 4, 20):
        layer.recompute = segment
        for a, b in zip(gradients(layer, x, **options), usual, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", NATIVE)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_packed_input(name, backend):
    torch.manual_seed(0)
    layer = getattr(tt, name)(3, 5, 2, bidirectional=True, dtype=DOUBLE)
    layer.backend = backend
    padded = torch.randn(9, 5, 3, dtype=DOUBLE, requires_grad=True)
    x = pack_padded_sequence(padded, [2, 9, 1, 5, 5], enforce_sorted=False)

    def everything():
        outputs, _ = layer(x)
        inputs = [padded, *layer.parameters()]
        total = (outputs.data**2).sum()
        return outputs.data, *torch.autograd.grad(total, inputs, retain_graph=True)

    usual = everything()
    for segment in (1, 2, 4):
        layer.recompute = segment
        for a, b in zip(everything(), usual, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_scan():
    torch.manual_seed(0)
    cell = tt.cells.build_cell("min_gru", 3, 5, {}).double()
    layer = tt.Recurrent(cell, 2, backend="scan")
    x = torch.randn(11, 4, 3, dtype=DOUBLE)
    usual = gradients(layer, x, lengths=[11, 0, 4, 9])
    layer.recompute = 3
    for a, b in zip(gradients(layer, x, lengths=[11, 0, 4, 9]), usual, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@needs_core
def test_float32_to_1e_6():
    torch.manual_seed(0)
    layer = tt.LSTM(8, 24)
    x = torch.randn(300, 4, 8)
    found = []
    for recompute in (False, True):
        layer.recompute = recompute
        outputs, _ = layer(x)
        found.append(torch.autograd.grad(outputs.sum(), list(layer.parameters())))
    for a, b in zip(*found, strict=True):
        assert (a - b).norm() <= 1e-6 * b.norm()


@needs_core
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_what_is_kept_are_the_states_between_segments(name):
    layer, x = getattr(tt, name)(32, 64), torch.randn(200, 8, 32, requires_grad=True)
    layer.recompute = 40
    fields = 2 if name == "LSTM" else 1
    # The initial state and four more.
    assert kept_bytes(layer, x) == 5 * fields * 8 * 64 * 4


@needs_core
@pytest.mark.parametrize("size", [7, 100, 2000])
def test_compiles_in_one_graph_for_any_length(size):
    torch._dynamo.reset()
    layer = tt.LSTM(3, 4, bidirectional=True, dtype=DOUBLE)
    layer.recompute = True
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    for steps in (size, size + 1):
        x = torch.randn(steps, 2, 3, dtype=DOUBLE)
        found = torch.autograd.grad(compiled(x)[0].sum(), list(layer.parameters()))
        wanted = torch.autograd.grad(layer(x)[0].sum(), list(layer.parameters()))
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", NATIVE)
def test_gates_and_states_come_with_it(backend):
    torch.manual_seed(0)
    layer = tt.Recurrent(tt.cells.GRU(3, 4, dtype=DOUBLE), backend=backend)
    x, found = torch.randn(9, 2, 3, dtype=DOUBLE), []
    for recompute in (False, 2):
        layer.recompute = recompute
        _, _, trace = layer(x, lengths=[9, 4], return_states=True, return_gates=True)
        tensors = [trace.states[0].h, *trace.gates[0].values()]
        total = sum((t**2).sum() for t in tensors)
        found.append(tensors + [*torch.autograd.grad(total, list(layer.parameters()))])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 64, 65, 1000, 1024, 1025, 10_000, 100_000])
def test_between_two_and_four_times_the_root(steps):
    segment = segment_steps(steps, True)
    assert segment >= 64
    assert segment == 64 or 4 * steps <= segment**2 <= 16 * steps


@pytest.mark.parametrize("wrong", [0, -3])
def test_segments_of_no_steps(wrong):
    with pytest.raises(InvalidValue, match="recompute must be greater than zero"):
        tt.Recurrent(tt.cells.GRU(2, 3), recompute=wrong)


@pytest.mark.parametrize("wrong", [2.5, "yes", None])
def test_neither_bool_nor_int(wrong):
    with pytest.raises(InvalidType, match="recompute should be of type int"):
        tt.Recurrent(tt.cells.GRU(2, 3), recompute=wrong)
