"""What waits for the gradient, and both directions of a layer at once."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

import throughtime as tt
from throughtime import kernels

DOUBLE = torch.float64
needs_core = pytest.mark.skipif(
    kernels.library() is None,
    reason=f"looks at the compiled core: {kernels.missing()}",
)
NATIVE = ["auto", "loop"]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def kept_bytes(layer, x):
    """Memory held for the gradient beyond parameters, input and outputs."""
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs, state = layer(x)
    tensors = [x, outputs, *layer.parameters(), *torch.utils._pytree.tree_leaves(state)]
    known = {t.untyped_storage().data_ptr() for t in tensors}
    return sum(size for where, size in kept.items() if where not in known)


@needs_core
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_recompute_keeps_at_most_a_third_of_what_torch_keeps(name):
    x = torch.randn(50, 8, 32, requires_grad=True)
    theirs = kept_bytes(getattr(torch.nn, name)(32, 64), x)
    ours = getattr(tt, name)(32, 64)
    usual = kept_bytes(ours, x)
    ours.recompute = True
    # The initial state is all there is.
    assert kept_bytes(ours, x) <= min(usual, 2 * 8 * 64 * 4)
    assert kept_bytes(ours, x) <= theirs / 3


@pytest.mark.parametrize("backend", NATIVE)
def test_recompute_by_the_loop_keeps_next_to_nothing(backend):
    x = torch.randn(50, 8, 32, requires_grad=True)
    for recompute, most in ((True, 2 * 8 * 64 * 4), (False, float("inf"))):
        layer = tt.Recurrent(tt.cells.GRU(32, 64), backend=backend, recompute=recompute)
        kept = kept_bytes(layer, x)
        assert kept <= most
    assert kept > 50 * 8 * 64 * 4


def gradients(layer, x, **options):
    leaf = x.detach().requires_grad_()
    torch.manual_seed(3)  # masks
    outputs, state = layer(leaf, **options)
    total = (outputs**2).sum() + sum((f**3).sum() for part in state for f in part)
    return torch.autograd.grad(total, [leaf, *layer.parameters()])


OPTIONS = [
    {},
    {"lengths": [6, 0, 3]},
    {"reset": torch.arange(18).reshape(6, 3) % 4 == 0},
    {"carry_gain": torch.arange(18, dtype=DOUBLE).reshape(6, 3) / 9},
]


@pytest.mark.parametrize("backend", NATIVE)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: next(iter(o), "plain"))
@pytest.mark.parametrize("name", ["lstm", "gru", "elman"])
def test_recompute_changes_no_bit(name, options, backend):
    torch.manual_seed(0)
    layer = tt.Recurrent(
        tt.cells.build_cell(name, 3, 5, {}).double(),
        2,
        bidirectional=True,
        dropout=0.3,
        recurrent_dropout=0.3,
        zoneout=0.2,
        weight_drop=0.2,
        backend=backend,
    )
    x = torch.randn(6, 3, 3, dtype=DOUBLE)
    usual = gradients(layer, x, **options)
    layer.recompute = True
    for a, b in zip(gradients(layer, x, **options), usual, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("backend", NATIVE)
def test_recompute_with_second_derivatives_vmap_and_forward_mode(backend):
    torch.manual_seed(0)
    layer = tt.Recurrent(tt.cells.LSTM(2, 3, dtype=DOUBLE), backend=backend)
    x = torch.randn(4, 2, 2, dtype=DOUBLE)

    def value(x):
        return (layer(x)[0] ** 2).sum()

    def everything():
        leaf = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(value(leaf), leaf, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), leaf)
        batched = torch.func.vmap(torch.func.grad(value))(torch.stack([x, 2 * x]))
        _, tangent = torch.func.jvp(value, (x,), (torch.ones_like(x),))
        return second, batched, tangent

    usual = everything()
    layer.recompute = True
    for a, b in zip(everything(), usual, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@needs_core
def test_recompute_compiles_in_one_graph():
    torch._dynamo.reset()
    layer = tt.GRU(3, 4, bidirectional=True)
    layer.recompute = True
    x = torch.randn(6, 2, 3)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    found = torch.autograd.grad(compiled(x)[0].sum(), list(layer.parameters()))
    wanted = torch.autograd.grad(layer(x)[0].sum(), list(layer.parameters()))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


@needs_core
@pytest.mark.parametrize("hidden", [24, 130])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("recompute", [False, True])
def test_both_directions_at_once_equal_one_after_the_other(
    name, hidden, recompute, two_threads
):
    """The truth is a layer for each direction; large enough for two threads."""
    torch.manual_seed(0)
    both = getattr(tt, name)(16, hidden, bidirectional=True, dtype=DOUBLE)
    both.recompute = recompute
    x = torch.randn(120, 12, 16, dtype=DOUBLE)
    lengths = torch.randint(0, 121, (12,))
    reset = torch.rand(120, 12) < 0.05
    found = gradients_of(both, x, lengths, reset)
    torch.set_num_threads(1)
    expected = gradients_of(both, x, lengths, reset)
    both.backend = "loop"
    plain = gradients_of(both, x, lengths, reset)
    for a, b, c in zip(found, expected, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(a, c, rtol=1e-10, atol=1e-10)


def gradients_of(layer, x, lengths, reset):
    leaf = x.detach().requires_grad_()
    outputs, _ = layer(leaf, lengths=lengths, reset=reset)
    parameters = [leaf, *layer.parameters()]
    return [outputs.detach(), *torch.autograd.grad(outputs.sum(), parameters)]


@needs_core
def test_one_direction_alone_may_be_differentiated(two_threads):
    torch.manual_seed(0)
    layer = tt.LSTM(8, 40, bidirectional=True, dtype=DOUBLE)
    x = torch.randn(60, 4, 8, dtype=DOUBLE)
    found = []
    for backend in NATIVE:
        layer.backend = backend
        outputs, _, trace = layer(x, return_gates=True)
        total = outputs[..., 40:].sum() + trace.gates[0]["input"].sum()
        found.append(torch.autograd.grad(total, list(layer.parameters())))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
