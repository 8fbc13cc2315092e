"""Streams: step by step must give what the whole sequence gives."""

import gc

import pytest
import torch

import throughtime as tt
from throughtime import kernels
from throughtime.errors import InvalidShape, InvalidType, InvalidValue

CELLS = {
    "elman": lambda: tt.cells.Elman(5, 7, nonlinearity="prelu"),
    "leaky": lambda: tt.cells.Leaky(5, 7, leak_rate=0.3),
    "lstm": lambda: tt.cells.LSTM(5, 7),
    "peephole": lambda: tt.cells.LSTM(5, 7, peephole=True),
    "layer norm": lambda: tt.cells.LSTM(5, 7, peephole=True, layer_norm=True),
    "projection": lambda: tt.cells.LSTM(5, 7, projection=3),
    "gru": lambda: tt.cells.GRU(5, 7, bias=False),
    "reset before": lambda: tt.cells.GRU(5, 7, reset_after=False),
}


@pytest.mark.parametrize("backend", ["auto", "loop"])
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("threads", [1, 2])
def test_steps_equal_the_sequence(name: str, backend: str, threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layer = tt.Recurrent(CELLS[name](), 2, zoneout=0.1, dropout=0.5, backend=backend)
    layer = layer.double().eval()
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    start = tuple(
        type(s)(*(torch.randn_like(f) for f in s)) for s in layer.initial_state(3)
    )
    expected, final = layer(x, start)
    stream = layer.train().stream(batch_size=3, state=start)
    found = torch.stack([stream.step(x_t) for x_t in x])
    torch.set_num_threads(before)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(stream.state, final, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    assert not found.requires_grad


def test_state_can_be_read_set_and_reset() -> None:
    layer = tt.LSTM(3, 4, 2)
    stream = layer.stream()
    x = torch.randn(4, 3)
    first = [stream.step(x_t) for x_t in x[:2]]
    h, c = middle = stream.state
    assert h.shape == c.shape == (2, 1, 4)
    rest = [stream.step(x_t) for x_t in x[2:]]
    stream.state = middle
    again = [stream.step(x_t) for x_t in x[2:]]
    assert all(torch.equal(a, b) for a, b in zip(rest, again, strict=True))
    stream.reset()
    assert torch.equal(stream.step(x[0]), first[0])
    _, final = layer(x[:2])
    for mine, theirs in zip(middle, final, strict=True):
        torch.testing.assert_close(mine, theirs.unsqueeze(1))


def test_learned_initial_state_residual_and_other_layouts() -> None:
    cell = tt.cells.GRU(4, 4)
    layer = tt.Recurrent(cell, 3, residual=True, learned_initial_state=True)
    with torch.no_grad():
        layer.initial_h_l1.normal_()
    x = torch.randn(4, 5).t()  # features far apart
    expected, _ = layer(x)
    stream = layer.stream()
    found = torch.stack([stream.step(x_t) for x_t in x])
    torch.testing.assert_close(found, expected)


def test_keeps_its_own_weights_and_outlives_the_layer() -> None:
    layer = tt.RNN(2, 3)
    x = torch.randn(1, 2)
    stream = layer.stream()
    expected = stream.step(x)
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
    stream.reset()
    assert torch.equal(stream.step(x), expected)
    other = tt.RNN(2, 3).stream()
    del layer
    gc.collect()
    assert other.step(x).shape == (1, 3)


def test_outputs_are_tensors_of_their_own() -> None:
    for backend in ("auto", "loop"):
        stream = tt.Recurrent(tt.cells.Elman(2, 3), backend=backend).stream()
        first = stream.step(torch.ones(2))
        copy = first.clone()
        stream.step(torch.ones(2))
        first.add_(1)
        assert torch.equal(first, copy + 1)


def test_errors() -> None:
    with pytest.raises(InvalidValue, match="one direction"):
        tt.GRU(2, 3, bidirectional=True).stream()
    with pytest.raises(InvalidValue, match="batch_size"):
        tt.GRU(2, 3).stream(0)
    with pytest.raises(InvalidShape, match=r"\(2, 2\)|Expected hidden"):
        tt.GRU(2, 3).stream(2, torch.zeros(1, 2, 4))
    stream = tt.GRU(2, 3).stream(2)
    with pytest.raises(InvalidType, match="Tensor"):
        stream.step([1.0, 2.0])  # pyright: ignore[reportArgumentType]
    for shape in ((2,), (2, 3), (1, 2), (2, 2, 1)):
        with pytest.raises(InvalidShape, match="one step of 2 sequences"):
            stream.step(torch.zeros(shape))
    with pytest.raises(InvalidValue, match="float64"):
        stream.step(torch.zeros(2, 2, dtype=torch.float64))
    with pytest.raises(InvalidShape):
        stream.state = torch.zeros(3)


@pytest.mark.skipif(kernels.library() is None, reason="the loop rounds every step")
def test_bfloat16_weights() -> None:
    """The layer's own results: float32 inside, rounded at the door, at every layer."""
    torch.manual_seed(0)
    layer = tt.LSTM(5, 20, 2).bfloat16().eval()
    x = torch.randn(9, 2, 5).bfloat16()
    stream = layer.stream(2)
    steps = torch.stack([stream.step(x_t) for x_t in x])
    with torch.no_grad():
        outputs, (h, c) = layer(x)
    assert steps.dtype == torch.bfloat16
    torch.testing.assert_close(steps, outputs, rtol=0, atol=0)
    torch.testing.assert_close(stream.state[0], h, rtol=0, atol=0)
    torch.testing.assert_close(stream.state[1], c, rtol=0, atol=0)


def test_weights_in_any_layout() -> None:
    layer = tt.GRU(5, 20).eval()
    x = torch.randn(9, 1, 5)
    expected, _ = layer(x)
    layer.weight_hh_l0 = torch.nn.Parameter(
        layer.weight_hh_l0.detach().T.contiguous().T
    )
    assert not layer.weight_hh_l0.is_contiguous()
    stream = layer.stream()
    steps = torch.stack([stream.step(x_t) for x_t in x])
    torch.testing.assert_close(steps, expected, rtol=0, atol=0)
