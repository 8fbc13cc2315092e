"""Ω against v = δ_t ∂s_t/∂s_{t-1} written out by hand, and finite differences in W."""

import pytest
import torch

import throughtime as tt
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.training import omega as module
from throughtime.training.omega import BOUND, omega_probes

T, B, INPUT, H = 6, 3, 2, 4
DOUBLE = {"dtype": torch.float64}


def random(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def fill(module):
    for number, parameter in enumerate(module.parameters()):
        parameter.data = random(*parameter.shape, seed=number) * 0.7
    return module


def loss_of(outputs):
    return (outputs * torch.sin(outputs + 1)).sum()


def observed(layer, x, **options):
    """States, gates and δ of a run, time first."""
    zeros = layer.zero_perturbation(x)
    asked = {"perturbation": zeros, "return_states": True, "return_gates": True}
    outputs, _, trace = layer(x, **options, **asked)
    loss_of(outputs).backward()
    layer.zero_grad()
    turn = (lambda s: s.transpose(0, 1)) if layer.batch_first else lambda s: s
    states = [[turn(f.detach()) for f in state] for state in trace.states]
    gates = [{k: g.detach() for k, g in found.items()} for found in trace.gates]
    return states, gates, [[f.grad for f in state] for state in zeros]


def omega(v, delta, power=1, reduction="sum"):
    """Ω of v and δ, (T, B, features)."""
    counts = (delta**2).sum(-1) >= BOUND
    quotients = v[counts].norm(dim=-1) / delta[counts].norm(dim=-1)
    terms = (quotients**power - 1) ** 2
    return terms.sum() / (v.size(1) if reduction == "sum" else len(terms))


def before(states, start=None):
    """s_{t-1} from s_t."""
    start = torch.zeros_like(states[0]) if start is None else start
    return torch.cat([start[None], states[:-1]])


def elman_v(w, states, gates, delta):
    return ((1 - states[0] ** 2) * delta[0]) @ w


def lstm_v(w, states, gates, delta):
    i, f, g, o = (gates[k] for k in ("input", "forget", "candidate", "output"))
    c = states[1]
    d_c = delta[1] + delta[0] * o * (1 - torch.tanh(c) ** 2)
    products = [
        d_c * g * i * (1 - i),
        d_c * before(c) * f * (1 - f),
        d_c * i * (1 - g**2),
        delta[0] * torch.tanh(c) * o * (1 - o),
    ]
    return torch.cat([torch.cat(products, -1) @ w, d_c * f], -1)


def gru_v(w, states, gates, delta):
    """The reset gate acts behind the product, whose value is held."""
    r, z, n = (gates[k] for k in ("reset", "update", "candidate"))
    h, d = before(states[0]), delta[0]
    held = fill(tt.Recurrent(tt.cells.GRU(INPUT, H, **DOUBLE)))
    weight, bias = held.weight_hh_l0.detach(), held.bias_hh_l0.detach()
    seen = h @ weight.chunk(3)[2].T + bias.chunk(3)[2]
    d_n = d * (1 - z) * (1 - n**2)
    products = [d_n * seen * r * (1 - r), d * (h - n) * z * (1 - z), r * d_n]
    return torch.cat(products, -1) @ w + d * z


def gru_before_v(w, states, gates, delta):
    """The reset gate acts before the product: a way back through both matrices."""
    r, z, n = (gates[k] for k in ("reset", "update", "candidate"))
    h, d = before(states[0]), delta[0]
    w_r, w_z, w_n = w.chunk(3)
    back = (d * (1 - z) * (1 - n**2)) @ w_n
    d_z = d * (h - n) * z * (1 - z)
    return (back * h * r * (1 - r)) @ w_r + d_z @ w_z + r * back + d * z


FORMS = {
    "elman": (tt.cells.Elman(INPUT, H, **DOUBLE), elman_v),
    "lstm": (tt.cells.LSTM(INPUT, H, **DOUBLE), lstm_v),
    "gru": (tt.cells.GRU(INPUT, H, **DOUBLE), gru_v),
    "gru, reset before": (
        tt.cells.GRU(INPUT, H, reset_after=False, **DOUBLE),
        gru_before_v,
    ),
}


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("name", FORMS)
def test_value_and_gradient(name, power, reduction):
    cell, v_of = FORMS[name]
    layer, x = fill(tt.Recurrent(cell)), random(T, B, INPUT)
    states, gates, delta = observed(layer, x)

    def value(w):
        v = v_of(w, states[0], gates[0], delta[0])
        return omega(v, torch.cat(delta[0], -1), power, reduction)

    with omega_probes(layer) as probes:
        loss_of(layer(x)[0]).backward()
    plain = {n: p.grad.clone() for n, p in layer.named_parameters()}
    found = probes.add_gradient(0.5, power=power, reduction=reduction)
    w = layer.weight_hh_l0.detach()
    assert found == pytest.approx(value(w).item(), rel=1e-12)
    for n, p in layer.named_parameters():
        if n != "weight_hh_l0":
            assert torch.equal(p.grad, plain[n])
    got, step = layer.weight_hh_l0.grad - plain["weight_hh_l0"], 1e-6
    for row, column in ((0, 0), (1, 3), (len(w) - 1, 2)):
        up, down = w.clone(), w.clone()
        up[row, column] += step
        down[row, column] -= step
        slope = 0.5 * (value(up) - value(down)).item() / (2 * step)
        assert got[row, column].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


def probed(layer, x, alpha=1.0, **options):
    """Ω and the loss of one run, its gradient added to that of the loss."""
    layer.zero_grad()
    with omega_probes(layer) as probes:
        loss = loss_of(layer(x, **options)[0])
        loss.backward()
    return probes.add_gradient(alpha), loss


@pytest.mark.parametrize(
    ("structure", "options"),
    [
        ({}, {"lengths": [6, 3, 0]}),
        ({}, {"state": ((random(B, H),),)}),
        ({"num_layers": 3, "residual": True}, {"lengths": [6, 4, 1]}),
        ({"num_layers": 2, "bidirectional": True}, {"lengths": [5, 2, 6]}),
        ({"batch_first": True, "bidirectional": True}, {}),
        ({}, {"reset": torch.arange(T)[:, None].expand(T, B) % 3 == 1}),
        ({"learned_initial_state": True}, {}),
    ],
    ids=["lengths", "state", "residual", "both ways", "batch first", "reset", "start"],
)
def test_every_structure_of_tanh_layers(structure, options):
    """v = W_hhᵀ diag(1 - h²) δ needs neither the input nor s_{t-1}."""
    layer = fill(tt.Recurrent(tt.cells.Elman(INPUT, H, **DOUBLE), **structure))
    x = random(B, T, INPUT) if layer.batch_first else random(T, B, INPUT)
    states, gates, delta = observed(layer, x, **options)
    weights = [getattr(layer, f"weight_hh{suffix}") for suffix in layer.suffixes]
    truth = sum(
        omega(elman_v(w, s, g, d), d[0])
        for w, s, g, d in zip(weights, states, gates, delta, strict=True)
    )
    loss_of(layer(x, **options)[0]).backward()
    expected = [p.grad.clone() for p in layer.parameters()]
    slopes = dict(zip(weights, torch.autograd.grad(truth, weights), strict=True))
    found, _ = probed(layer, x, **options)
    assert found == pytest.approx(truth.item(), rel=1e-12)
    for p, gradient in zip(layer.parameters(), expected, strict=True):
        truth = gradient + slopes.get(p, 0.0)
        torch.testing.assert_close(p.grad, truth, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "cell",
    [
        tt.cells.LSTM(INPUT, H, projection=3, **DOUBLE),
        tt.cells.LSTM(INPUT, H, layer_norm=True, peephole=True, **DOUBLE),
        tt.cells.MGU(INPUT, H, **DOUBLE),
        tt.cells.RHN(INPUT, H, **DOUBLE),
        tt.cells.MultiplicativeLSTM(INPUT, H, **DOUBLE),
    ],
    ids=lambda cell: cell.name,
)
@pytest.mark.parametrize("resets", [False, True])
def test_value_of_any_cell(cell, resets):
    """Truth: autograd through ``cell.step``, one row after the other."""
    layer, x = fill(tt.Recurrent(cell, bidirectional=True)), random(T, B, INPUT)
    start = tuple(
        c.State(*(random(B, size, seed=9) for size in c.state_sizes.values()))
        for c in layer.cells
    )
    reset = torch.arange(T)[:, None].expand(T, B) == 3
    options = {"state": start} | ({"reset": reset} if resets else {})
    states, _, delta = observed(layer, x, **options)
    truth = 0.0
    for index, (one, backwards) in enumerate(
        zip(layer.cells, (False, True), strict=True)
    ):
        order = list(range(T))[:: -1 if backwards else 1]
        begins = {2 if backwards else 3} if resets else set()
        old = start[index]
        for t in order:
            old = one.initial_state(B, like=x) if t in begins else old
            old = type(old)(*(s.detach().requires_grad_() for s in old))
            new = one.step(x[t], old, layer.weights(index))
            d = [field[t] for field in delta[index]]
            v = torch.autograd.grad(new, old, d, materialize_grads=True)
            truth += omega(torch.cat(v, -1)[None], torch.cat(d, -1)[None]).item()
            old = type(old)(*(field[t] for field in states[index]))
    assert probed(layer, x, **options)[0] == pytest.approx(truth, rel=1e-10)


def test_torch_layers_inside_a_model_are_unchanged():
    """The model's results and the loss gradient are those of a run without probes."""

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = tt.LSTM(INPUT, H, batch_first=True, **DOUBLE)
            self.second = tt.RNN(H, H, num_layers=2, batch_first=True, **DOUBLE)

        def forward(self, x):
            below, (h, _) = self.first(x, (random(1, B, H), random(1, B, H)))
            *found, trace = self.second(below, hx=random(2, B, H), return_gates=True)
            assert trace.states is None
            return found[0] + h.sum(), trace

    model, x = fill(Model()), random(B, T, INPUT)
    expected = loss_of(model(x)[0])
    expected.backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    with omega_probes(model) as probes:
        loss = loss_of(model(x)[0])
        loss.backward()
    assert probes.add_gradient(0.0) > 0
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for p, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(p.grad, gradient, rtol=1e-10, atol=1e-12)
    assert not model.first._forward_pre_hooks
    assert not model.second._forward_hooks


def test_steps_without_gradient_do_not_count():
    layer, x = (
        fill(tt.Recurrent(tt.cells.Elman(INPUT, H, **DOUBLE))),
        random(T, B, INPUT),
    )
    with omega_probes(layer) as probes:
        (1e-12 * layer(x)[0][3]).sum().backward()
    plain = layer.weight_hh_l0.grad.clone()
    assert probes.add_gradient(1.0) == 0.0
    assert torch.equal(layer.weight_hh_l0.grad, plain)
    assert probes.add_gradient(1.0, reduction="mean") == 0.0
    # The same loss, large enough: steps 4 and 5 have δ = 0, and no quotient.
    with omega_probes(layer) as probes:
        layer(x)[0][3].sum().backward()
    assert 0 < probes.add_gradient(1.0) < 100


def test_rows_may_come_in_blocks(monkeypatch):
    """Blocks of 7 rows against all at once."""
    layer, x = (
        fill(tt.Recurrent(tt.cells.LSTM(INPUT, H, **DOUBLE))),
        random(T, B, INPUT),
    )
    expected, _ = probed(layer, x)
    gradient = layer.weight_hh_l0.grad.clone()
    monkeypatch.setattr(module, "BLOCK", 7)
    assert probed(layer, x)[0] == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(layer.weight_hh_l0.grad, gradient, rtol=1e-10, atol=0)


def test_an_orthogonal_linear_network_has_omega_zero():
    """W_hh orthogonal and φ linear: every quotient is 1."""
    cell = tt.cells.Elman(INPUT, H, nonlinearity="identity", **DOUBLE)
    layer = fill(tt.Recurrent(cell))
    layer.weight_hh_l0.data = torch.linalg.qr(random(H, H))[0]
    found, _ = probed(layer, random(T, B, INPUT))
    assert found < 1e-24
    layer.weight_hh_l0.data *= 1.5
    assert probed(layer, random(T, B, INPUT))[0] == pytest.approx(0.25 * T)


def test_bad_input():
    x = random(T, B, INPUT)
    layer = tt.Recurrent(tt.cells.Elman(INPUT, H, **DOUBLE))
    with pytest.raises(InvalidType, match="no recurrent layer of throughtime"):
        omega_probes(torch.nn.Linear(2, 2)).__enter__()
    with pytest.raises(InvalidValue, match="cell 'indrnn' without a recurrent matrix"):
        omega_probes(tt.Recurrent(tt.cells.IndRNN(INPUT, H))).__enter__()
    for option in ("recurrent_dropout", "weight_drop", "zoneout"):
        masked = tt.Recurrent(tt.cells.Elman(INPUT, H), **{option: 0.5})
        with pytest.raises(InvalidValue, match=f"use {option}=0"):
            omega_probes(masked).__enter__()
    stack = tt.Recurrent(tt.cells.Elman(INPUT, H), 2, dropout=0.5)
    with pytest.raises(
        InvalidValue, match="dropout=0.5, but Ω is computed from states"
    ):
        omega_probes(stack).__enter__()
    omega_probes(stack.eval()).__enter__()
    with omega_probes(layer) as probes:
        with pytest.raises(InvalidValue, match="no recurrent layer was called"):
            probes.add_gradient(1.0)
        outputs, _ = layer(x)
        with pytest.raises(InvalidValue, match="the layer was called twice"):
            layer(x)
        with pytest.raises(InvalidValue, match=r"call loss.backward\(\) before"):
            probes.add_gradient(1.0)
        outputs.sum().backward()
    with pytest.raises(InvalidValue, match="alpha should be a number in range"):
        probes.add_gradient(-1.0)
    with pytest.raises(InvalidValue, match="power must be 1 or 2, got 3"):
        probes.add_gradient(1.0, power=3)
    with pytest.raises(InvalidValue, match="unknown reduction 'max': known are sum, m"):
        probes.add_gradient(1.0, reduction="max")
    with omega_probes(layer), pytest.raises(InvalidShape, match="a batch of sequences"):
        layer(x[:, 0])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [6, 4, 2])
    with (
        omega_probes(layer),
        pytest.raises(InvalidValue, match="PackedSequence, which"),
    ):
        layer(packed)
    with omega_probes(layer), pytest.raises(InvalidValue, match="with a perturbation"):
        layer(x, perturbation=layer.zero_perturbation(x))
