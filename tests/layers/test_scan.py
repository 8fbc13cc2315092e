"""The scan over time against the plain loop, and what torch asks of it."""

import pytest
import torch

import throughtime as tt
from tests.layers import scan_cells
from tests.layers.native_cases import random_case, results
from throughtime.errors import InvalidValue
from throughtime.layers import linear
from throughtime.layers.linear import linear_recurrence

FORMS = {"steps": linear.one_by_one, "pairs": linear.in_pairs}


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    """Each way to compute the recurrence, whatever the device."""
    for name in ("one_by_one", "in_pairs"):
        monkeypatch.setattr(linear, name, FORMS[request.param])


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def pair(kind, *args, **options):
    """The same layer by the scan and by the loop."""
    torch.manual_seed(1)
    layers = [
        tt.Recurrent(kind(3, 4, dtype=torch.float64), *args, **options, backend=backend)
        for backend in ("scan", "loop")
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    return layers


def tensors_of(value):
    leaves = torch.utils._pytree.tree_leaves(value)
    return [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]


def close(got, want, tolerance=1e-10):
    for a, b in zip(tensors_of(got), tensors_of(want), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


# ---- the recurrence


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 8, 9, 31, 64])
@pytest.mark.parametrize("backward", [False, True])
def test_recurrence_is_its_matrix(steps, backward):
    """s = (1 - A)^-1 b, where A has a_t beside the diagonal."""
    a, b = normal(steps, 2), normal(steps, 2, seed=1)
    for column in range(2):
        matrix = torch.diag(a[1:, column], -1)
        matrix = torch.eye(steps) - (matrix.T if backward else matrix)
        want = torch.linalg.solve(matrix, b[:, column])
        got = linear_recurrence(a, b, backward=backward)[:, column]
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("backward", [False, True])
def test_recurrence_differentiates(backward):
    inputs = [normal(5, 2, seed=k).requires_grad_() for k in range(2)]
    if not backward:
        inputs.append(normal(2, seed=2).requires_grad_())

    def function(*inputs):
        return linear_recurrence(*inputs, backward=backward)

    options = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(function, inputs, **options)
    assert torch.autograd.gradgradcheck(function, inputs, check_fwd_over_rev=True)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("near", [0.0, 1e-12, 1 - 1e-12, 1.0, -1.0])
def test_long_recurrence_is_exact(near):
    """For a constant a, s_t is a geometric sum: here by its closed form."""
    steps = 5000
    a = torch.full((steps, 1), near, dtype=torch.float64, requires_grad=True)
    s = linear_recurrence(a, torch.ones_like(a))
    t = torch.arange(1, steps + 1, dtype=torch.float64)[:, None]
    want = t if near == 1.0 else (1 - near**t) / (1 - near)
    if 0 < 1 - near < 1e-6:
        want = t - (1 - near) * t * (t - 1) / 2
    torch.testing.assert_close(s, want, rtol=1e-11, atol=0)
    s[-1].sum().backward()
    # ∂s_T/∂a_t = a^(T - t) s_{t-1}
    slope = a.detach() ** t.flip(0).sub(1) * torch.cat([0 * want[:1], want[:-1]])
    torch.testing.assert_close(a.grad, slope, rtol=1e-10, atol=0)


@pytest.mark.usefixtures("form")
def test_half_precision_loses_nothing_on_the_way():
    """bfloat16 holds 256 but not 257: adding ones in it would never get further."""
    ones = torch.ones(2000, 1, dtype=torch.bfloat16)
    s = linear_recurrence(ones, ones)
    assert s.dtype == torch.bfloat16
    assert torch.equal(s[:, 0], torch.arange(1, 2001).bfloat16())


# ---- cells


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("block", range(4))
def test_equals_the_loop_in_values_and_gradients(block):
    for seed in range(50 * block, 50 * block + 50):
        case = random_case(seed, build=scan_cells.build_cell)
        ours, plain = results(case, "scan", seed), results(case, "loop", seed)
        for a, b in zip(ours, plain, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10, msg=f"{seed}")


@pytest.mark.parametrize("name", ["min_gru", "min_lstm", "qrnn", "qrnn_window_1"])
def test_published_cells_that_allow_a_scan(name):
    layers = pair(tt.cells.CELLS[name], num_layers=2, bidirectional=True)
    close(*(layer(normal(9, 3, 3), lengths=[9, 0, 4]) for layer in layers))


STRUCTURES = {
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True, "learned_initial_state": True},
    "batch first": {"num_layers": 2, "bidirectional": True, "batch_first": True},
    "residual": {"num_layers": 3, "residual": True},
    "zoneout": {"num_layers": 2, "zoneout": 0.3, "dropout": 0.2, "variational": True},
    "masks": {"bidirectional": True, "recurrent_dropout": 0.4, "weight_drop": 0.3},
    "recompute": {"num_layers": 2, "recompute": True},
}


@pytest.mark.parametrize("kind", scan_cells.ALLOWED, ids=lambda kind: kind.name)
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("training", [True, False])
def test_layers_equal_the_loop_with_states_and_gates(kind, structure, training):
    layers = pair(kind, **STRUCTURES[structure])
    x = normal(6, 4, 3)
    options = {
        "lengths": [6, 0, 3, 5],
        "reset": normal(6, 4, seed=2) > 1,
        "carry_gain": normal(6, 4, seed=3),
    }
    if layers[0].batch_first:
        x, *rest = (t.transpose(0, 1) for t in (x, *list(options.values())[1:]))
        options |= dict(zip(("reset", "carry_gain"), rest, strict=True))
    found = []
    for layer in layers:
        layer.train(training)
        torch.manual_seed(5)
        leaf = x.clone().requires_grad_()
        done = layer(leaf, **options, return_states=True, return_gates=True)
        total = sum((t**2).sum() for t in tensors_of(done))
        inputs = [leaf, *layer.parameters()]
        gradients = torch.autograd.grad(total, inputs, materialize_grads=True)
        found.append([done[2].gates, tensors_of(done), gradients])
    assert [list(g) for g in found[0][0]] == [list(g) for g in found[1][0]]
    close(*found)


def test_packed_sequences_equal_the_loop():
    layers = pair(scan_cells.QuasiRecurrent, bidirectional=True)
    packed = torch.nn.utils.rnn.pack_sequence(
        [normal(n, 3, seed=n) for n in (2, 5, 1)], enforce_sorted=False
    )
    (ours, state), (plain, other) = (layer(packed) for layer in layers)
    close([ours.data, state], [plain.data, other])


def test_what_padding_holds_changes_nothing():
    layers = pair(scan_cells.MinLSTM, num_layers=2, bidirectional=True)
    x = normal(6, 2, 3)
    x[4:, 0] = float("nan")
    found = []
    for layer in layers:
        leaf = x.clone().requires_grad_()
        outputs, state = layer(leaf, lengths=[4, 6])
        gradients = torch.autograd.grad(
            outputs.sum(), [leaf, *layer.parameters()], materialize_grads=True
        )
        found.append([outputs, state, gradients])
    assert not torch.isnan(found[0][2][0]).any()
    close(*found)


@pytest.mark.parametrize("backend", ["scan", "loop"])
def test_no_steps_and_no_sequences(backend):
    layer = tt.Recurrent(scan_cells.MinLSTM(3, 4), backend=backend)
    outputs, state = layer(torch.zeros(0, 2, 3))
    assert outputs.shape == (0, 2, 4)
    assert torch.equal(state[0].c, torch.zeros(2, 4))
    assert layer(torch.zeros(5, 0, 3))[0].shape == (5, 0, 4)


def test_long_sequence_whose_gates_are_nearly_shut_or_open():
    """z within 1e-13 of 0 or 1 for T = 5000: the loop, as exact as it is."""
    x = normal(5000, 1, 2) * torch.where(normal(5000, 1, 2, seed=1) > 0, 30.0, -30.0)
    layers = pair(scan_cells.MinGRU)
    with torch.no_grad():
        for layer in layers:
            layer.weight_ih_l0[:4] = 1.0
    found = []
    for layer in layers:
        leaf = torch.cat([x, x[..., :1]], -1).requires_grad_()
        outputs, _ = layer(leaf)
        gradients = torch.autograd.grad(
            outputs.pow(2).sum(), [leaf, layer.weight_ih_l0]
        )
        assert all(torch.isfinite(g).all() for g in gradients)
        found.append([outputs, gradients])
    close(*found)


# ---- what torch asks


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("kind", scan_cells.ALLOWED, ids=lambda kind: kind.name)
def test_first_and_second_derivatives(kind):
    layer, _ = pair(kind, bidirectional=True)
    weights = dict(layer.named_parameters())
    x, h = normal(4, 2, 3).requires_grad_(), normal(2, 4, seed=7).requires_grad_()

    def function(x, h, *values):
        state = [s._replace(h=h) for s in layer.initial_state(2)]
        given = dict(zip(weights, values, strict=True))
        outputs, final = torch.func.functional_call(
            layer, given, (x, tuple(state)), {"lengths": [4, 2]}
        )
        return outputs, final[0].h

    inputs = (x, h, *weights.values())
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


def calls(layer):
    """A loss, with the options that make the linear form more than a and b."""
    gain = normal(6, 2, seed=3)
    reset = normal(6, 2, seed=4) > 1

    def loss(weights, x):
        outputs, state = torch.func.functional_call(
            layer,
            weights,
            (x,),
            {"lengths": [6, 4], "carry_gain": gain, "reset": reset},
        )
        return outputs.pow(2).sum() + sum(t.sum() for t in tensors_of(state))

    return loss


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize(
    "kind", [scan_cells.MinLSTM, scan_cells.Triangle], ids=lambda kind: kind.name
)
@pytest.mark.parametrize(
    "transform",
    [
        lambda f: torch.func.jvp(f, (normal(6, 2, 3),), (normal(6, 2, 3, seed=9),)),
        lambda f: torch.func.grad(f)(normal(6, 2, 3)),
        lambda f: torch.func.hessian(f)(normal(6, 2, 3)),
        lambda f: torch.func.jacrev(torch.func.grad(f))(normal(6, 2, 3)),
        lambda f: torch.func.jacrev(torch.func.jacfwd(f))(normal(6, 2, 3)),
        lambda f: torch.func.vmap(torch.func.grad(f))(normal(3, 6, 2, 3)),
        lambda f: torch.func.vmap(f, in_dims=2)(normal(6, 2, 3, 3)),
    ],
    ids=["jvp", "grad", "hessian", "rev-rev", "rev-fwd", "vmap-grad", "vmap"],
)
def test_transforms_equal_those_of_the_loop(kind, transform):
    layers = pair(kind, num_layers=2, bidirectional=True)
    found = []
    for layer in layers:
        weights, loss = dict(layer.named_parameters()), calls(layer)
        found.append(transform(lambda x, w=weights, f=loss: f(w, x)))
    close(*found)


def test_gradients_per_sample_equal_those_of_the_loop():
    found = []
    for layer in pair(scan_cells.ReadOut):
        weights, loss = dict(layer.named_parameters()), calls(layer)
        per_sample = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))
        found.append(per_sample(weights, normal(3, 6, 2, 3)))
    close(*found)


# torch's own way of reading a function with a gradient.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("kind", scan_cells.ALLOWED, ids=lambda kind: kind.name)
def test_compiles_into_one_graph(kind):
    layer, plain = pair(kind, bidirectional=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    found = []
    for run, parameters in ((compiled, layer), (plain, plain)):
        x = normal(7, 2, 3).requires_grad_()
        outputs, state, trace = run(
            x,
            lengths=torch.tensor([7, 4]),
            carry_gain=normal(7, 2, seed=3),
            return_gates=True,
        )
        gradients = torch.autograd.grad(
            outputs.pow(2).sum(), [x, *parameters.parameters()], materialize_grads=True
        )
        found.append([outputs, state, trace.gates, gradients])
    close(*found)


# ---- who takes it


@pytest.mark.parametrize("kind", scan_cells.REFUSED, ids=lambda kind: kind.name)
def test_error_names_what_forbids_a_scan(kind):
    with pytest.raises(InvalidValue) as caught:
        tt.Recurrent(kind(3, 4), backend="scan")
    text = str(caught.value)
    assert text.startswith(f"backend='scan' cannot run {kind(3, 4)!r}: ")
    assert scan_cells.REFUSED[kind] in text
    layer = tt.Recurrent(kind(3, 4), backend="loop")
    layer.backend = "scan"
    with pytest.raises(InvalidValue, match="there is no scan over"):
        layer(torch.zeros(5, 2, 3))


def test_output_layer_knows_no_scan():
    h, weight, targets = torch.zeros(3, 5), torch.zeros(4, 5), torch.zeros(3).long()
    with pytest.raises(InvalidValue, match="unknown backend 'scan'.*auto, loop, nat"):
        tt.linear_cross_entropy(h, weight, targets, backend="scan")


def test_operation_without_a_form_is_named():
    @tt.cell(gates=(1, 0))
    def odd(a_x, a_h, state):
        return {"h": state.h + torch.special.bessel_j0(a_x[0])}

    with pytest.raises(InvalidValue, match="'scan' cannot run .*bessel_j0.*no form"):
        tt.Recurrent(odd(3, 4), backend="scan")


def test_backend_used_and_what_takes_the_place_of_the_core(monkeypatch):
    layer = tt.Recurrent(scan_cells.MinGRU(3, 4), backend="scan")
    assert layer.backend_used == "scan"
    from throughtime.layers import native, unroll

    monkeypatch.setattr(native, "usable", lambda *_: False)
    used = []
    monkeypatch.setattr(unroll, "scan", lambda *a, **k: used.append("scan"))
    monkeypatch.setattr(unroll, "loop", lambda *a, **k: used.append("loop"))
    cells = scan_cells.MinGRU(3, 4), scan_cells.Products(3, 4)
    for cell in cells:
        state, weights = cell.initial_state(2), cell.weights()
        for backend in ("auto", "native", "loop"):
            unroll.unroll(cell, torch.ones(5, 2, 3), state, weights, backend=backend)
    assert used == ["scan", "loop", "loop", "loop", "loop", "loop"]
    allowed, refused = (tt.Recurrent(cell, backend="auto") for cell in cells)
    assert (allowed.backend_used, refused.backend_used) == ("scan", "loop")
