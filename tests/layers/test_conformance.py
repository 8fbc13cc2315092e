"""The drop-ins against torch.nn, on every parameter set of torch's own module tests."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import throughtime as tt

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_modules import (
        ModuleErrorEnum,
        module_db,
        module_inputs_torch_nn_RNN_GRU,
    )

# torch's own word on its projected LSTM.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")

NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
INFOS = {i.module_cls.__name__: i for i in module_db if i.module_cls.__name__ in NAMES}


def sample_inputs(name):
    options = {
        "device": "cpu",
        "dtype": torch.float64,
        "requires_grad": True,
        "training": True,
    }
    info = INFOS[name]
    torch.manual_seed(0)
    samples = list(info.module_inputs_func(info, **options))
    if name in ("RNN", "GRU"):
        packed = module_inputs_torch_nn_RNN_GRU(
            info, **options, with_packed_sequence=True, is_rnn=name == "RNN"
        )
        samples += [
            s for s in packed if isinstance(s.forward_input.args[0], PackedSequence)
        ]
    return samples


CASES = [
    pytest.param(name, sample, id=f"{name}-{number}")
    for name in NAMES
    for number, sample in enumerate(sample_inputs(name))
]
ERRORS = [
    pytest.param(name, case, id=f"{name}-{number}")
    for name in NAMES
    for number, case in enumerate(
        INFOS[name].module_error_inputs_func(
            INFOS[name],
            device="cpu",
            dtype=torch.float64,
            requires_grad=False,
            training=True,
        )
    )
]


def test_the_parameter_sets_of_torch_are_all_here():
    """Counted in torch 2.13; fewer would mean that something is left out."""
    counts = {name: sum(c.values[0] == name for c in CASES) for name in NAMES}
    least = {
        "RNN": 64,
        "LSTM": 32,
        "GRU": 32,
        "RNNCell": 3,
        "LSTMCell": 2,
        "GRUCell": 2,
    }
    assert all(counts[name] >= least[name] for name in NAMES)
    assert len(ERRORS) >= 30


def pair(name, sample):
    """torch's module and ours with the same weights, and the arguments."""
    args = sample.constructor_input.args
    kwargs = {**sample.constructor_input.kwargs, "dtype": torch.float64}
    torch.manual_seed(0)
    theirs = getattr(nn, name)(*args, **kwargs)
    ours = getattr(tt, name)(*args, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs, sample.forward_input.args


def flat(value):
    """All tensors of a nested output."""
    if isinstance(value, PackedSequence):
        return [value.data]
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in flat(part)]


def structure(value):
    if isinstance(value, (torch.Tensor, PackedSequence)):
        return type(value)
    return tuple(structure(part) for part in value)


def sequence_of(arguments):
    """Input as a plain tensor: gradcheck perturbs the data of a packed one."""
    first = arguments[0]
    return first.data if isinstance(first, PackedSequence) else first


def call(module, arguments, tensors):
    """Call with the tensors of the arguments replaced by ``tensors``."""
    rest = list(tensors)
    first = arguments[0]
    data = rest.pop(0)
    if isinstance(first, PackedSequence):
        data = PackedSequence(
            data, first.batch_sizes, first.sorted_indices, first.unsorted_indices
        )
    state = tuple(rest) if len(rest) > 1 else rest[0] if rest else None
    return module(data) if state is None else module(data, state)


def leaves(arguments):
    tensors = [sequence_of(arguments), *flat(arguments[1:])]
    return [t.detach().clone().requires_grad_() for t in tensors]


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_same_outputs_and_gradients(name, sample):
    ours, theirs, arguments = pair(name, sample)
    results = []
    for module in (ours, theirs):
        tensors = leaves(arguments)
        output = call(module, arguments, tensors)
        upstream = sum((t * t).sum() for t in flat(output))
        gradients = torch.autograd.grad(upstream, [*tensors, *module.parameters()])
        results.append((structure(output), flat(output), gradients))
    assert results[0][0] == results[1][0]
    for part in (1, 2):
        for a, b in zip(results[0][part], results[1][part], strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "case"), ERRORS)
def test_same_errors(name, case):
    sample = case.module_error_input
    build = getattr(tt, name)
    args, kwargs = sample.constructor_input.args, sample.constructor_input.kwargs
    if case.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
        with pytest.raises(case.error_type, match=case.error_regex):
            build(*args, **kwargs)
    else:
        module = build(*args, **{"dtype": torch.float64, **kwargs})
        with pytest.raises(case.error_type, match=case.error_regex):
            module(*sample.forward_input.args, **sample.forward_input.kwargs)


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_first_and_second_derivatives_in_eval_mode(name, sample):
    module, _, arguments = pair(name, sample)
    module.eval()
    tensors = leaves(arguments)

    def function(*tensors):
        return tuple(flat(call(module, arguments, tensors)))

    assert torch.autograd.gradcheck(function, tensors, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, tensors, fast_mode=True)
    total = sum(t.sum() for t in function(*tensors))
    gradients = torch.autograd.grad(total, list(module.parameters()))
    assert all(torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_vmap_jvp_and_gradients_per_sample(name, sample):
    module, _, arguments = pair(name, sample)
    tensors = [t.detach() for t in leaves(arguments)]
    weights = dict(module.named_parameters())
    stacked = [torch.stack([t, t.flip(0), 2 * t]) for t in tensors]

    def function(*tensors):
        return tuple(flat(call(module, arguments, tensors)))

    for got, *singles in zip(
        torch.func.vmap(function)(*stacked),
        *(function(*(s[k] for s in stacked)) for k in range(3)),
        strict=True,
    ):
        torch.testing.assert_close(got, torch.stack(singles), rtol=0, atol=1e-12)

    torch.manual_seed(0)
    directions = tuple(torch.randn_like(t) for t in tensors)
    _, pushed = torch.func.jvp(function, tuple(tensors), directions)
    step = 1e-6
    ends = [
        function(*(t + s * step * d for t, d in zip(tensors, directions, strict=True)))
        for s in (1, -1)
    ]
    for got, high, low in zip(pushed, *ends, strict=True):
        want = (high - low) / (2 * step)
        torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-7)

    def loss(weights, *tensors):
        data, *state = tensors
        state = (tuple(state) if len(state) > 1 else state[0],) if state else ()
        output = torch.func.functional_call(module, weights, (data, *state))
        return sum((t * t).sum() for t in flat(output))

    per_sample = torch.func.vmap(
        torch.func.grad(loss), in_dims=(None, *[0] * len(stacked))
    )
    mapped = per_sample(weights, *stacked)
    for k in range(3):
        one = torch.func.grad(loss)(weights, *(s[k] for s in stacked))
        for key, value in one.items():
            torch.testing.assert_close(mapped[key][k], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("proj_size", [0, 2])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lstm_state_dict_there_and_back(proj_size, bias, bidirectional):
    options = {
        "num_layers": 3,
        "proj_size": proj_size,
        "bias": bias,
        "bidirectional": bidirectional,
    }
    torch.manual_seed(1)
    theirs = nn.LSTM(3, 4, **options)
    torch.manual_seed(1)
    ours = tt.LSTM(3, 4, **options)
    # Same seed, same start, same keys in the same order.
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)
    other = nn.LSTM(3, 4, **options)
    other.load_state_dict(ours.state_dict())
    assert torch.equal(other(x := torch.randn(5, 2, 3))[0], theirs(x)[0])
    assert [len(w) for w in ours.all_weights] == [len(w) for w in theirs.all_weights]
    assert repr(ours) == repr(theirs)


def test_packed_sequence_in_any_order():
    ours, theirs = (
        tt.GRU(3, 4, 2, bidirectional=True),
        nn.GRU(3, 4, 2, bidirectional=True),
    )
    ours.load_state_dict(theirs.state_dict())
    packed = pack_padded_sequence(
        torch.randn(5, 3, 3), torch.tensor([2, 5, 3]), enforce_sorted=False
    )
    h0 = torch.randn(4, 3, 4)
    (a, h_a), (b, h_b) = ours(packed, h0), theirs(packed, h0)
    torch.testing.assert_close(a.data, b.data)
    torch.testing.assert_close(h_a, h_b)
    for field in ("batch_sizes", "sorted_indices", "unsorted_indices"):
        assert torch.equal(getattr(a, field), getattr(b, field))


def test_uses_of_a_module():
    layer = tt.LSTM(3, 4, 2, batch_first=True)
    x = torch.randn(2, 5, 3)
    want = layer(x)[0]
    assert torch.equal(copy.deepcopy(layer)(x)[0], want)
    assert torch.equal(layer(input=x, hx=None)[0], want)
    double = copy.deepcopy(layer).double()(x.double())[0]
    torch.testing.assert_close(double.float(), want)
    fresh = tt.LSTM(3, 4, 2, batch_first=True)
    fresh.load_state_dict(layer.state_dict(), assign=True)
    assert torch.equal(fresh(x)[0], want)
    strided = torch.randn(5, 2, 3).transpose(0, 1)
    torch.testing.assert_close(layer(strided)[0], layer(strided.contiguous())[0])
    layer.flatten_parameters()
    before = [p.clone() for p in layer.parameters()]
    torch.manual_seed(5)
    layer.reset_parameters()
    torch.manual_seed(5)
    reference = nn.LSTM(3, 4, 2, batch_first=True)
    for p, q, old in zip(
        layer.parameters(), reference.parameters(), before, strict=True
    ):
        assert torch.equal(p, q)
        assert not torch.equal(p, old)


def test_warning_and_empty_inputs_as_in_torch():
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but"):
        tt.LSTM(3, 4, dropout=0.5)
    ours, theirs = tt.RNN(3, 4), nn.RNN(3, 4)
    for module in (ours, theirs):
        with pytest.raises(RuntimeError, match="sequence length to be larger than 0"):
            module(torch.zeros(0, 2, 3))
    assert ours(torch.zeros(5, 0, 3))[0].shape == theirs(torch.zeros(5, 0, 3))[0].shape
    for hx in (torch.zeros(1, 3, 4), torch.zeros(2, 2, 4), torch.zeros(1, 2, 5)):
        for module in (ours, theirs):
            with pytest.raises(RuntimeError, match="Expected hidden size"):
                module(torch.zeros(5, 2, 3), hx)
    for x, hx, says in (
        (torch.zeros(5, 3), torch.zeros(1, 1, 4), "For unbatched 2-D input, hx should"),
        (torch.zeros(5, 2, 3), torch.zeros(1, 4), "For batched 3-D input, hx should"),
    ):
        for module in (ours, theirs):
            with pytest.raises(RuntimeError, match=says):
                module(x, hx)
    for module in (ours, theirs):
        with pytest.raises(ValueError, match="Expected input to be 2D or 3D, got 4D"):
            module(torch.zeros(1, 5, 2, 3))
        with pytest.raises(
            RuntimeError, match="must be equal to input_size. Expected 3"
        ):
            module(torch.zeros(5, 2, 7))


def test_compiles_into_one_graph():
    layer = tt.LSTM(3, 4, 2, bidirectional=True)
    x = torch.randn(4, 2, 3)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x)[0], layer(x)[0])


@pytest.mark.parametrize("backend", ["auto", "loop"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_autocast_changes_nothing_on_the_cpu(name, backend):
    """The layer computes in the type of its weights; inputs are converted to it."""
    layer = getattr(tt, name)(3, 4, 2, bidirectional=True)
    layer.backend = backend
    x = torch.randn(6, 3, 3, requires_grad=True)
    options = {"lengths": [6, 0, 4], "reset": torch.rand(6, 3) < 0.3}
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            outputs, final = layer(x, **options)
        (first,) = torch.autograd.grad((outputs**2).sum(), x, create_graph=True)
        second = torch.autograd.grad((first**2).sum(), list(layer.parameters()))
        found.append([outputs, *torch.utils._pytree.tree_leaves(final), first, *second])
    for a, b in zip(*found, strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_autocast_takes_input_and_state_of_another_type():
    """What a bfloat16 layer below hands on is converted, and is the same numbers."""
    layer = tt.GRU(3, 4)
    x, h = torch.randn(6, 2, 3).bfloat16(), torch.randn(1, 2, 4).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, _ = layer(x, h)
    torch.testing.assert_close(outputs, layer(x.float(), h.float())[0], rtol=0, atol=0)


def test_autocast_compiles_into_one_graph():
    layer = tt.LSTM(3, 4)
    x = torch.randn(4, 2, 3)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(compiled(x)[0], layer(x)[0])
