"""Triton's kernels in Triton's interpreter; ``test_triton.py`` runs this file.

The interpreter must be asked for before Triton is imported, so in a process of its own.
The truth is the plain loop in float64.
"""

from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence

import throughtime as tt
from tests.layers.native_cases import Case, random_case, results
from throughtime.cells import PerUnit, row_norm
from throughtime.kernels import Inputs
from throughtime.layers.loop import Noise
from throughtime.layers.lowering import lowered
from throughtime.layers.operators import recurrence
from throughtime.layers.unroll import used_backend


@tt.cell(
    gates=(3, 2),
    state=("h", "c", "n"),
    inner=(1, 2),
    parameters={"rate": PerUnit(), "gain": PerUnit(2), "scale": PerUnit(scalar=True)},
)
def own(a_x, a_h, state, rate, gain, scale, inner):
    """Several fields, two products inside, a norm between them, parameters per unit."""
    z = torch.sigmoid(a_x[0] + a_h[0])
    (m,) = inner(z * state.h + scale * state.n)
    first, second = row_norm(m + a_x[1], a_h[1] * state.c, eps=1e-3)
    c = torch.sigmoid(rate) * state.c + gain[0] * first
    u, v = inner(torch.tanh(c) * second)
    n = state.n + F.softplus(u + a_x[2])
    return {
        "h": z * state.h + (1 - z) * torch.tanh(v * gain[1]) / n.abs(),
        "c": c,
        "n": n,
    }


CELLS = {
    "lstm": tt.cells.LSTM(5, 6),
    "gru": tt.cells.GRU(5, 6),
    "gru, reset before": tt.cells.GRU(5, 6, reset_after=False),
    "layer norm": tt.cells.LSTM(5, 6, layer_norm=True),
    "peephole": tt.cells.LSTM(5, 6, peephole=True),
    "projected": tt.cells.LSTM(5, 6, projection=4, peephole=True),
    "own": own(5, 6),
}


def case_of(cell: tt.cells.Cell, seed: int, every: bool) -> Case:
    """A batch for a cell: plain, or with every option there is."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def mask(p: float, *shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator) < p

    steps, batch, sizes = 4, 3, cell.state_sizes

    def state(*lead: int) -> Any:
        return cell.State(*(randn(*lead, size) for size in sizes.values()))

    weights = {n: randn(*shape) / 2 for n, shape in cell.parameter_shapes().items()}
    options: dict[str, Any] = {"reverse": bool(seed % 2), "noise": Noise()}
    if every:
        hold = {f: mask(0.4, steps, batch, size) for f, size in sizes.items()}
        options |= {
            "lengths": torch.tensor([steps, 0, 2]),
            "reset": mask(0.4, steps, batch),
            "initial": state(batch),
            "carry_gain": randn(steps, batch),
            "perturbation": state(steps, batch),
            "noise": Noise(
                mask(0.7, batch, sizes["h"]).double() / 0.7, hold | {"h": 0.3}
            ),
        }
    return Case(cell, randn(steps, batch, 5), state(batch), weights, options)


def check(case: Case, seed: int) -> None:
    weights = list(case.weights.values())[:1]
    assert used_backend("triton", [case.cell], weights) == "triton"
    ours, plain = results(case, "triton", seed), results(case, "loop", seed)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_equals_the_loop_in_values_and_gradients(name, every, seed):
    check(case_of(CELLS[name], seed, every), seed)


def test_random_layers_equal_the_loop():
    small = (case for case in map(random_case, range(100)) if case.x.size(1) < 10)
    for seed, case in zip(range(25), small, strict=False):
        check(case, seed)


FUNCTIONS = {
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": lambda a: torch.log(a.abs() + 0.5),
    "log1p": lambda a: torch.log1p(a.abs()),
    "softplus": lambda a: F.softplus(a, threshold=50),
    "relu": torch.relu,
    "gelu": F.gelu,
    "sqrt": lambda a: torch.sqrt(a * a + 0.1),
    "sin": torch.sin,
    "cos": torch.cos,
    "sign": lambda a: a * torch.sign(a),
    "floor": lambda a: a - torch.floor(a),
    "neg": lambda a: -a,
    "max": lambda a: torch.maximum(a, 1 - a),
    "min": lambda a: torch.minimum(a, a * a),
    "gt": lambda a: torch.where(a > 0.2, a, 3 * a),
    "ge": lambda a: torch.where(a >= 0.2, a, a * a),
    "eq": lambda a: torch.where(torch.floor(a) == 0, a, a.exp()),
    "pow": lambda a: (a.abs() + 0.1) ** 1.7,
    "powers": lambda a: (a.abs() + 0.1) ** (1 + a),
    "fnma": lambda a: 2 - a * torch.tanh(a),
    "small": lambda a: torch.expm1(a * 1e-9) * 1e9,
    "infinite": lambda a: torch.minimum(a, torch.full_like(a, float("inf"))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations_equal_torchs(name):
    function = FUNCTIONS[name]

    @tt.cell(gates=1)
    def step(a_x, a_h, state):
        return {"h": torch.tanh(function(a_x[0] + a_h[0]))}

    kind = step(5, 6)
    assert not lowered(kind).reason
    check(case_of(kind, 2, every=False), 2)


def pair(cell: tt.cells.Cell, **options: Any) -> list[tt.Recurrent]:
    """The same layer by Triton and by the loop."""
    layers = []
    for backend in ("triton", "loop"):
        layer = tt.Recurrent(cell.like(5), backend=backend, **options).double()
        for p in layer.parameters():
            with torch.no_grad():
                p.copy_(torch.linspace(-1, 1, p.numel()).view_as(p).sin())
        layers.append(layer)
    assert [layer.backend_used for layer in layers] == ["triton", "loop"]
    return layers


def test_stacks_packed_sequences_and_recomputing():
    layers = pair(CELLS["own"], num_layers=2, bidirectional=True, recompute=True)
    torch.manual_seed(0)
    x = [torch.randn(n, 5, dtype=torch.float64) for n in (2, 4, 1)]
    found = []
    for layer in layers:
        outputs, final = layer(pack_sequence(x, enforce_sorted=False))
        total = outputs.data.sum() + sum((f**2).sum() for s in final for f in s)
        found.append([outputs.data, *torch.autograd.grad(total, layer.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_gates_and_second_derivatives():
    x = torch.randn(3, 2, 5, dtype=torch.float64)
    found = []
    for layer in pair(tt.cells.LSTM(5, 6)):
        outputs, _, trace = layer(x, lengths=[3, 1], return_gates=True)
        gates = trace.gates[0]
        total = (outputs**2).sum() + (gates["forget"] ** 2).sum()
        first = torch.autograd.grad(total, layer.parameters())
        outputs, _ = layer(x)
        again = torch.autograd.grad(
            (outputs**2).sum(), layer.parameters(), create_graph=True
        )
        second = torch.autograd.grad(
            sum((g**2).sum() for g in again), layer.parameters()
        )
        found.append([*gates.values(), *first, *second])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["lstm", "layer norm", "own"])
def test_short_types_err_about_as_much_as_the_loop(name, dtype):
    """Of rounding alone; bfloat16 is cut off by the interpreter, not rounded."""
    torch.manual_seed(0)
    x = torch.randn(6, 3, 5).to(dtype)
    layers = [layer.to(dtype) for layer in pair(CELLS[name])]
    exact = pair(CELLS[name])[1]
    exact.load_state_dict(layers[1].state_dict())
    assert layers[0].backend_used == "triton"
    found = []
    for layer in (*layers, exact):
        weights = list(layer.parameters())
        outputs = layer(x.to(weights[0].dtype))[0]
        grads = torch.autograd.grad(outputs.sum(), weights)
        found.append(torch.cat([t.detach().double().flatten() for t in grads]))
    ours, plain, truth = found
    assert (ours - truth).norm() < 4 * (plain - truth).norm() < 0.1 * truth.norm()


def test_operators_keep_torchs_promises():
    x = torch.randn(3, 2, 3, requires_grad=True)
    w_ih, w_hh = (torch.randn(16, n, requires_grad=True) for n in (3, 4))
    state = [torch.zeros(2, 4), torch.zeros(2, 4)]
    key = lowered(tt.cells.LSTM(3, 4)).key
    arguments = Inputs(x, w_ih, *state, weight_hh=w_hh, cell=key, triton=True)
    torch.library.opcheck(recurrence, (*arguments, True, False))


def test_other_tensors_take_the_loop():
    layer = tt.Recurrent(tt.cells.GRU(5, 6), backend="triton")
    assert layer.backend_used == "triton"
    assert tt.Recurrent(tt.cells.GRU(5, 6)).backend_used != "triton"
    outputs, _ = torch.func.functional_call(
        layer, dict(layer.named_parameters()), (torch.zeros(0, 2, 5),)
    )
    assert outputs.shape == (0, 2, 6)
    with torch.autocast("cpu"):
        assert layer.backend_used == "loop"
