"""Ragged, resettable, deep and bidirectional layers against loops over the cell."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import throughtime as tt
from throughtime.cells import CELLS, build_cell

DOUBLE = torch.float64


def make(name="lstm", inputs=3, hidden=4, **options):
    torch.manual_seed(0)
    return tt.Recurrent(build_cell(name, inputs, hidden).double(), **options)


def x_of(steps, batch, inputs=3):
    return torch.randn(
        steps, batch, inputs, dtype=DOUBLE, generator=torch.Generator().manual_seed(1)
    )


def naive(layer, x, state, length, reset):
    """One sequence through the stack, step by step, by ``cell.step`` alone."""
    directions = layer.num_directions
    finals, inputs = [], [x[t] for t in range(length)]
    for index in range(layer.num_layers):
        columns = []
        for direction in range(directions):
            place = index * directions + direction
            cell, weights = layer.cells[place], layer.weights(place)
            at, zero = state[place], cell.initial_state(like=x)
            outputs = [None] * length
            order = range(length) if direction == 0 else reversed(range(length))
            for t in order:
                # Forward a segment begins at t, backward it ends there.
                border = reset[t] if direction == 0 else t + 1 < length and reset[t + 1]
                at = cell.step(inputs[t], zero if border else at, weights)
                outputs[t] = at.h
            finals.append(at)
            columns.append(outputs)
        inputs = [torch.cat(parts) for parts in zip(*columns, strict=True)]
    return inputs, finals


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_batch_equals_its_sequences_one_by_one(data):
    name = data.draw(st.sampled_from(sorted(CELLS)))
    steps, batch = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    layer = make(
        name,
        num_layers=data.draw(st.integers(1, 3)),
        bidirectional=data.draw(st.booleans()),
    )
    sizes = st.lists(st.integers(0, steps), min_size=batch, max_size=batch)
    lengths = data.draw(sizes)
    bits = st.lists(st.booleans(), min_size=steps * batch, max_size=steps * batch)
    reset = torch.tensor(data.draw(bits)).view(steps, batch)
    x = x_of(steps, batch)
    state = tuple(
        cell.State(
            *(torch.randn(batch, s, dtype=DOUBLE) for s in cell.state_sizes.values())
        )
        for cell in layer.cells
    )
    outputs, final = layer(x, state, lengths=lengths, reset=reset)
    for b, length in enumerate(lengths):
        own = [type(s)(*(field[b] for field in s)) for s in state]
        want, finals = naive(layer, x[:, b], own, length, reset[:, b].tolist())
        for t in range(steps):
            expected = want[t] if t < length else torch.zeros_like(outputs[t, b])
            torch.testing.assert_close(outputs[t, b], expected, rtol=0, atol=1e-12)
        for got, expected in zip(final, finals, strict=True):
            for a, e in zip(got, expected, strict=True):
                torch.testing.assert_close(a[b], e, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_ragged_gradients_are_those_of_the_sequences(name):
    layer = make(name, num_layers=2, bidirectional=True)
    x = x_of(6, 3).requires_grad_()
    lengths = [6, 0, 3]

    def loss(outputs, state):
        return (outputs**2).sum() + sum((f**3).sum() for s in state for f in s)

    total = loss(*layer(x, lengths=lengths))
    together = torch.autograd.grad(total, [x, *layer.parameters()])
    alone = sum(loss(*layer(x[:n, b : b + 1])) for b, n in enumerate(lengths) if n)
    apart = torch.autograd.grad(alone, [x, *layer.parameters()])
    for a, b in zip(together, apart, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1e300])
def test_padding_changes_nothing(bad):
    layer = make(num_layers=2, bidirectional=True, zoneout=0.1)
    lengths = torch.tensor([4, 0, 2])
    results = []
    for fill in (0.0, bad):
        x = x_of(5, 3).clone()
        for b, n in enumerate(lengths):
            x[n:, b] = fill
        x.requires_grad_()
        torch.manual_seed(3)
        outputs, state, trace = layer(
            x, lengths=lengths, return_states=True, return_gates=True
        )
        loss = outputs.sum() + sum((f**2).sum() for s in state for f in s)
        gradients = torch.autograd.grad(loss, [x, *layer.parameters()])
        states = [f for s in trace.states for f in s]
        finals = [f for s in state for f in s]
        results.append([outputs, *finals, *states, *gradients])
    for a, b in zip(*results, strict=True):
        assert torch.isfinite(b).all()
        assert torch.equal(a, b)


def test_length_zero_returns_the_initial_state():
    layer = make(learned_initial_state=True)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("initial"):
                parameter.normal_()
    x = x_of(3, 2)
    outputs, (final,) = layer(x, lengths=[0, 3])
    assert torch.equal(final.h[0], layer.get_parameter("initial_h_l0"))
    assert torch.equal(final.c[0], layer.get_parameter("initial_c_l0"))
    assert not outputs[:, 0].any()
    given_state = ((torch.ones(2, 4).double(), torch.full((2, 4), 2.0).double()),)
    _, (final,) = layer(x, given_state, lengths=[0, 0])
    assert torch.equal(final.c, given_state[0][1])
    none, _ = layer(x[:0])
    assert none.shape == (0, 2, 4)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_reset_equals_segments(bidirectional):
    layer = make(num_layers=1, bidirectional=bidirectional, learned_initial_state=True)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("initial"):
                parameter.normal_()
    x, reset = x_of(7, 1), torch.zeros(7, 1, dtype=torch.bool)
    reset[[3, 5]] = True
    whole, _ = layer(x, reset=reset)
    parts = [layer(x[a:b])[0] for a, b in ((0, 3), (3, 5), (5, 7))]
    torch.testing.assert_close(whole, torch.cat(parts), rtol=0, atol=1e-13)


def test_reset_at_the_first_step_forgets_the_given_state():
    layer, x = make(), x_of(3, 2)
    reset = torch.zeros(3, 2, dtype=torch.bool)
    reset[0, 1] = True
    start = (tuple(torch.randn(2, 4, dtype=DOUBLE) for _ in range(2)),)
    mixed, _ = layer(x, start, reset=reset)
    torch.testing.assert_close(mixed[:, 0], layer(x, start)[0][:, 0])
    torch.testing.assert_close(mixed[:, 1], layer(x)[0][:, 1])


def test_chunk_by_chunk_equals_the_whole():
    layer, x = make(num_layers=3), x_of(9, 2)
    whole, final = layer(x)
    state, parts = None, []
    for a, b in ((0, 1), (1, 5), (5, 9)):
        outputs, state = layer(x[a:b], state)
        parts.append(outputs)
    assert torch.equal(torch.cat(parts), whole)
    assert all(torch.equal(a.c, b.c) for a, b in zip(state, final, strict=True))


def test_layouts():
    layer = make(num_layers=2, bidirectional=True)
    first = make(num_layers=2, bidirectional=True, batch_first=True)
    x = x_of(5, 3)
    reset = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)) < 0.3
    a, s, t = layer(x, reset=reset, lengths=[5, 2, 0], return_states=True)
    b, r, u = first(
        x.transpose(0, 1),
        reset=reset.t(),
        lengths=[5, 2, 0],
        return_states=True,
    )
    assert torch.equal(a, b.transpose(0, 1))
    assert torch.equal(s[3].c, r[3].c)
    assert torch.equal(t.states[1].c, u.states[1].c.transpose(0, 1))
    alone, state, trace = layer(
        x[:, 0], reset=reset[:, 0], return_states=True, return_gates=True
    )
    torch.testing.assert_close(alone, a[:, 0], rtol=0, atol=1e-14)
    assert state[0].h.shape == (4,)
    assert trace.gates[0]["forget"].shape == (5, 4)
    again, _ = layer(x[:, 0], state)
    batched = tuple(type(s)(*(f[None] for f in s)) for s in state)
    want, _ = layer(x[:, :1], batched)
    torch.testing.assert_close(again, want[:, 0], rtol=0, atol=1e-14)


def test_every_state_and_gate():
    layer, x = make(num_layers=2), x_of(4, 2)
    outputs, final, trace = layer(x, return_states=True, return_gates=True)
    assert torch.equal(trace.states[1].h, outputs)
    assert torch.equal(trace.states[0].c[-1], final[0].c)
    before = torch.cat([torch.zeros(1, 2, 4, dtype=DOUBLE), trace.states[1].c[:-1]])
    g = trace.gates[1]
    c = g["forget"] * before + g["input"] * g["candidate"]
    torch.testing.assert_close(c, trace.states[1].c, rtol=0, atol=1e-15)
    torch.testing.assert_close(g["output"] * torch.tanh(c), outputs, rtol=0, atol=1e-15)
    assert layer(x, return_states=True)[2].gates is None


def test_cells_of_different_kinds():
    stack = [
        build_cell("elman", 3, 4, {"nonlinearity": "gelu"}).double(),
        build_cell("lstm", 4, 5).double(),
        build_cell("gru", 5, 2).double(),
    ]
    layer = tt.Recurrent(stack)
    x = x_of(4, 2)
    h = x
    for cell in stack:
        h, _ = tt.Recurrent(cell)(h)
    assert torch.equal(layer(x)[0], h)
    assert [tuple(s._fields) for s in layer(x)[1]] == [("h",), ("h", "c"), ("h",)]


def test_learned_initial_state_gets_its_gradient():
    layer = make("gru", learned_initial_state=True)
    outputs, _ = layer(x_of(3, 2))
    outputs.sum().backward()
    start = layer.get_parameter("initial_h_l0")
    given_state = (
        tt.cells.HiddenState(torch.zeros(2, 4, dtype=DOUBLE).requires_grad_()),
    )
    outputs, _ = layer(x_of(3, 2), given_state)
    (want,) = torch.autograd.grad(outputs.sum(), given_state[0].h)
    assert start.grad is not None
    torch.testing.assert_close(start.grad, want.sum(0))


def test_perturbation_is_added_to_every_state():
    layer, x = make("elman", bidirectional=True), x_of(4, 2)
    push = layer.zero_perturbation(x)
    with torch.no_grad():
        push[0].h[1].fill_(0.3)
        push[1].h[2].fill_(-0.2)
    outputs, _ = layer(x, perturbation=push)
    plain, _ = layer(x)
    torch.testing.assert_close(outputs[1, :, :4], plain[1, :, :4] + 0.3)
    torch.testing.assert_close(outputs[2, :, 4:], plain[2, :, 4:] - 0.2)
    torch.testing.assert_close(outputs[0, :, :4], plain[0, :, :4])
    cell, w = layer.cells[0], layer.weights(0)
    step = cell.step(x[2], tt.cells.HiddenState(plain[1, :, :4] + 0.3), w)
    torch.testing.assert_close(outputs[2, :, :4], step.h)


def test_residual_connections():
    layer, x = make("gru", inputs=4, num_layers=3, residual=True), x_of(4, 2, 4)
    h = x
    for index in range(3):
        single = make("gru", inputs=4)
        weights = {f"{k}_l0": v for k, v in layer.weights(index).items()}
        single.load_state_dict(weights)
        out, _ = single(h)
        h = out + h if index else out
    torch.testing.assert_close(layer(x)[0], h)


def test_backend_is_readable():
    assert make().backend_used in ("native", "loop")
    assert make(backend="loop").backend_used == "loop"
