"""Every cell against its numpy formula, finite differences and torch's transforms."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import throughtime as tt
from tests.cells.reference import ROWS
from throughtime.cells import CELLS, build_cell

every = pytest.mark.parametrize("row", ROWS, ids=str)
INPUT, HIDDEN, BATCH = 3, 4, 2


def make(row):
    """A float64 cell with random weights, none of them 0, 1 or equal."""
    torch.manual_seed(0)
    cell = build_cell(row.cell, INPUT, HIDDEN, row.options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return cell


def start(cell, batch=BATCH):
    zeros = cell.initial_state(batch)
    fields = {name: torch.randn_like(z) for name, z in zeros._asdict().items()}
    if "n" in fields:  # the normaliser of the sLSTM, a sum of positive numbers
        fields["n"] = fields["n"].abs() + 0.5
    return type(zeros)(**fields)


def test_every_cell_has_a_formula():
    assert {row.cell for row in ROWS} == set(CELLS)


@every
def test_equals_the_numpy_formula(row):
    cell = make(row)
    weights = {name: p.detach().numpy() for name, p in cell.weights().items()}
    state = start(cell)
    expected = [
        {name: field[b].numpy() for name, field in state._asdict().items()}
        for b in range(BATCH)
    ]
    for _ in range(4):
        x = torch.randn(BATCH, INPUT, dtype=torch.float64)
        state = cell.step(x, state)
        for b in range(BATCH):
            expected[b] = row.step(weights, x[b].numpy(), expected[b])
            for name, want in expected[b].items():
                got = getattr(state, name)[b].detach().numpy()
                np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


@every
def test_unbatched_step(row):
    cell = make(row)
    x, state = torch.randn(BATCH, INPUT).double(), start(cell)
    batched = cell.step(x, state)
    for b in range(BATCH):
        one = cell.step(x[b], type(state)(*(field[b] for field in state)))
        for got, want in zip(one, batched, strict=True):
            torch.testing.assert_close(got, want[b], rtol=0, atol=1e-14)


def as_function(cell, row_state):
    names = list(cell.weights())
    fields = len(row_state)

    def step(x, *rest):
        state = type(row_state)(*rest[:fields])
        return tuple(cell.step(x, state, dict(zip(names, rest[fields:], strict=True))))

    return step


def leaves(cell):
    state = start(cell)
    x = torch.randn(BATCH, INPUT, dtype=torch.float64)
    tensors = [x, *state, *cell.weights().values()]
    return state, [t.detach().clone().requires_grad_() for t in tensors]


@every
def test_first_and_second_derivatives(row):
    cell = make(row)
    state, tensors = leaves(cell)
    step = as_function(cell, state)
    # Kinked activations: finite differences need all units away from their kink.
    if row.cell in ("elman", "irnn", "np_rnn"):
        weights = cell.weights()
        z = cell.input_part(tensors[0], weights)
        z = z + cell.recurrent_part(tensors[1], weights)
        assert z.abs().min() > 1e-3
    assert torch.autograd.gradcheck(step, tensors)
    assert torch.autograd.gradgradcheck(step, tensors)


@every
def test_vmap_and_jvp(row):
    cell = make(row)
    state, tensors = leaves(cell)
    step = as_function(cell, state)
    x, fields, weights = (
        tensors[0],
        tensors[1 : 1 + len(state)],
        tensors[1 + len(state) :],
    )
    in_dims = (0, *[0] * len(fields), *[None] * len(weights))
    mapped = torch.func.vmap(step, in_dims=in_dims)(x, *fields, *weights)
    for got, want in zip(mapped, step(*tensors), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    directions = [torch.randn_like(t) for t in tensors]
    _, pushed = torch.func.jvp(step, tuple(tensors), tuple(directions))
    for index, got in enumerate(pushed):
        rows = torch.autograd.functional.jacobian(
            lambda *t, index=index: step(*t)[index], tuple(tensors)
        )
        want = sum(
            (r.flatten(got.dim()) @ d.flatten()) if d.dim() else r * d
            for r, d in zip(rows, directions, strict=True)
        )
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@every
def test_backward_in_eval_mode(row):
    cell = make(row).eval()
    state = cell.step(torch.ones(BATCH, INPUT, dtype=torch.float64), start(cell))
    sum(field.sum() for field in state).backward()
    assert all(p.grad is not None for p in cell.parameters())


@pytest.mark.parametrize(
    "row", [row for row in ROWS if not row.options.get("layer_norm")], ids=str
)
def test_one_hot_input_equals_an_embedding(row):
    """x one-hot: W_ih x is a row of W_ihᵀ, in value and gradient."""
    cell, index = make(row), torch.tensor([2, 0])
    state, w = start(cell), cell.weights()
    looked_up = F.embedding(index, w["weight_ih"].t()) + w.get("bias_ih", 0.0)
    a, _ = cell.advance(looked_up, state, cell.prepare(w))
    b = cell.step(F.one_hot(index, INPUT).double(), state)
    upstream = torch.randn_like(a.h)
    gradients = [torch.autograd.grad(h, list(w.values()), upstream) for h in (a.h, b.h)]
    for got, want in zip((a.h, *gradients[0]), (b.h, *gradients[1]), strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-14)


def test_concatenated_form_equals_the_split_form():
    """[x_t, h_{t-1}] · [W_ih, W_hh]ᵀ + b, the column order of the concatenation."""
    cell = make(ROWS[2])
    state = start(cell)
    x = torch.randn(BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    w = cell.weights()
    joined = torch.cat([w["weight_ih"], w["weight_hh"]], 1)
    both = torch.cat([x, state.h], 1) @ joined.T + w["bias_ih"] + w["bias_hh"]
    split = cell.step(x, state).h
    torch.testing.assert_close(torch.tanh(both), split, rtol=0, atol=1e-14)
    upstream = torch.randn_like(split)
    inputs = [x, *w.values()]
    for a, b in zip(
        torch.autograd.grad(torch.tanh(both), inputs, upstream),
        torch.autograd.grad(split, inputs, upstream),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


def test_gates_lie_in_the_unit_interval():
    for row in ROWS:
        cell = make(row)
        x = torch.randn(50, INPUT, dtype=torch.float64)
        weights = cell.prepare(cell.weights())
        _, gates = cell.advance(cell.input_part(x, weights), start(cell, 50), weights)
        assert not cell.gate_names or tuple(gates) == cell.gate_names
        for name, gate in gates.items():
            assert gate.abs().max() < 1
            assert name == "candidate" or gate.min() > 0


def test_carousel_of_the_lstm():
    """Along the direct path ∂c_t/∂c_{t-1} = f_t, and 1 with the gate held open."""
    cell = tt.cells.LSTM(INPUT, HIDDEN, dtype=torch.float64)
    state = start(cell)
    c = state.c.clone().requires_grad_()
    x = torch.randn(BATCH, INPUT, dtype=torch.float64)
    w = cell.weights()
    new, gates = cell.advance(cell.input_part(x, w), tt.cells.LSTMState(state.h, c), w)
    (slope,) = torch.autograd.grad(new.c.sum(), c, retain_graph=True)
    torch.testing.assert_close(slope, gates["forget"], rtol=0, atol=1e-15)
    with torch.no_grad():
        w["bias_ih"][HIDDEN : 2 * HIDDEN] = 1e3
    new, _ = cell.advance(cell.input_part(x, w), tt.cells.LSTMState(state.h, c), w)
    (slope,) = torch.autograd.grad(new.c.sum(), c)
    assert torch.equal(slope, torch.ones_like(slope))


def test_irnn_copies_its_state():
    cell = tt.cells.IRNN(INPUT, HIDDEN)
    state = tt.cells.HiddenState(torch.rand(BATCH, HIDDEN))
    new = state
    for _ in range(100):
        new = cell.step(torch.zeros(BATCH, INPUT), new)
    assert torch.equal(new.h, state.h)
    half = tt.cells.IRNN(INPUT, HIDDEN, scale=0.5)
    new = half.step(torch.zeros(BATCH, INPUT), state)
    assert torch.equal(new.h, state.h / 2)


def test_np_rnn_matrix():
    cell = tt.cells.NPRNN(INPUT, 50, dtype=torch.float64)
    weight = cell.weights()["weight_hh"].detach()
    values = torch.linalg.eigvalsh(weight)
    assert torch.equal(weight, weight.T)
    assert values[-1].item() == pytest.approx(1, abs=1e-12)
    assert values[0] > 0.1


def test_forget_bias_and_initialisers():
    cell = tt.cells.LSTM(3, 4, forget_bias=2.0, recurrent_init="orthogonal")
    w = cell.weights()
    assert w["bias_ih"][4:8].tolist() == [2.0] * 4
    assert w["bias_hh"][4:8].tolist() == [0.0] * 4
    for block in w["weight_hh"].chunk(4):
        torch.testing.assert_close(block @ block.T, torch.eye(4), atol=1e-5, rtol=0)
    scaled = tt.cells.Elman(3, 4, recurrent_init=("identity", {"scale": 0.5}))
    assert torch.equal(scaled.weights()["weight_hh"], torch.eye(4) / 2)


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "LSTMCell"])
def test_start_values_are_torch_s(name):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(3, 4).state_dict()
    torch.manual_seed(0)
    ours = getattr(tt, name)(3, 4).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@every
def test_like_and_description(row):
    cell = make(row)
    other = cell.like(7)
    assert (other.input_size, other.options) == (7, cell.options)
    assert other.get_parameter("weight_ih").dtype == torch.float64
    bare = cell.description()
    assert list(bare.parameters()) == []
    x, state = torch.randn(BATCH, INPUT).double(), start(cell)
    for a, b in zip(
        bare.step(x, state, cell.weights()), cell.step(x, state), strict=True
    ):
        assert torch.equal(a, b)


def test_uniform_start_lies_in_its_bound():
    cell = tt.cells.Elman(100, 64)
    bound = 1 / math.sqrt(64)
    for parameter in cell.parameters():
        assert parameter.abs().max() <= bound
        assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.25)
