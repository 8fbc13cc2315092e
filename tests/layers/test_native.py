"""The compiled core against the plain loop, and what torch asks of operators."""

import os
import subprocess
import sys
import time

import pytest
import torch

import throughtime as tt
from tests.layers.native_cases import random_case, results
from throughtime import kernels
from throughtime.kernels import Inputs
from throughtime.layers.lowering import lowered
from throughtime.layers.operators import recurrence

CORE = kernels.library()
needs_core = pytest.mark.skipif(
    CORE is None, reason=f"compares with the compiled core: {kernels.missing()}"
)


@needs_core
@pytest.mark.parametrize("block", range(8))
def test_equals_the_loop_in_values_and_gradients(block):
    for seed in range(50 * block, 50 * block + 50):
        case = random_case(seed)
        assert not lowered(case.cell).reason
        ours, plain = results(case, "auto", seed), results(case, "loop", seed)
        for a, b in zip(ours, plain, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10, msg=f"{seed}")


@needs_core
def test_error_in_single_precision_is_that_of_torch():
    """At most twice torch.nn's own distance from float64, in outputs and gradients."""
    for name, shape in (
        ("LSTM", (100, 32, 64, 128)),
        ("GRU", (100, 32, 64, 128)),
        ("GRU", (100, 16, 1, 128)),
        ("RNN", (300, 8, 40, 100)),
    ):
        torch.manual_seed(0)
        steps, batch, inputs, hidden = shape
        exact = getattr(torch.nn, name)(inputs, hidden, dtype=torch.float64)
        x = torch.randn(steps, batch, inputs, dtype=torch.float64)
        upstream = torch.randn(steps, batch, hidden, dtype=torch.float64)
        distances = []
        for module, dtype in (
            (exact, torch.float64),
            (getattr(torch.nn, name)(inputs, hidden), torch.float32),
            (getattr(tt, name)(inputs, hidden), torch.float32),
        ):
            module.load_state_dict(exact.state_dict())
            leaf = x.to(dtype, copy=True).requires_grad_()
            outputs, _ = module(leaf)
            found = [
                outputs,
                *torch.autograd.grad(
                    outputs, [leaf, *module.parameters()], upstream.to(dtype)
                ),
            ]
            distances.append([t.detach().double() for t in found])
        truth, torchs, ours = distances
        for want, theirs, mine in zip(truth, torchs, ours, strict=True):
            allowed = 2 * (theirs - want).norm() + 1e-7 * want.norm()
            assert (mine - want).norm() <= allowed, name


@needs_core
def test_results_are_the_same_every_time():
    case = random_case(7, torch.float32)
    first = results(case, "auto", 0)
    for _ in range(5):
        for a, b in zip(first, results(case, "auto", 0), strict=True):
            assert torch.equal(a, b)


@needs_core
@pytest.mark.parametrize("name", CORE.instruction_sets if CORE else [])
def test_every_instruction_set_equals_the_loop(name):
    """In a process of its own: the instruction set is chosen when the core loads."""
    code = (
        "import torch\n"
        "from tests.layers.native_cases import random_case, results\n"
        "from throughtime import kernels\n"
        f"assert kernels.library().instruction_set == {name!r}\n"
        "for seed in range(1000, 1040):\n"
        "    case = random_case(seed)\n"
        "    pairs = zip(results(case, 'auto', 0), results(case, 'loop', 0))\n"
        "    for a, b in pairs:\n"
        "        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)\n"
    )
    _run(code, THROUGHTIME_INSTRUCTION_SET=name)


@needs_core
def test_unknown_instruction_set_lists_the_known_ones():
    code = "import throughtime.kernels as k\nk.library()"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        _run(code, THROUGHTIME_INSTRUCTION_SET="mmx")
    assert "unknown instruction set" in caught.value.stderr
    assert "portable" in caught.value.stderr


@needs_core
def test_operators_keep_torchs_promises():
    x = torch.randn(5, 2, 3, requires_grad=True)
    w_ih, w_hh = (torch.randn(16, n, requires_grad=True) for n in (3, 4))
    state = [torch.zeros(2, 4), torch.zeros(2, 4)]
    key = lowered(tt.cells.LSTM(3, 4)).key
    arguments = Inputs(x, w_ih, *state, weight_hh=w_hh, cell=key)
    torch.library.opcheck(recurrence, (*arguments, True, False))
    torch.library.opcheck(recurrence, (*arguments, False, True))


@needs_core
def test_compiles_in_one_graph_in_a_time_that_does_not_grow_with_the_steps():
    seconds = []
    for steps in (5, 500):
        torch._dynamo.reset()
        layer = tt.GRU(3, 4, bidirectional=True)
        x = torch.randn(steps, 2, 3)
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        began = time.perf_counter()
        outputs, _ = compiled(x, lengths=torch.tensor([steps, 2]))
        seconds.append(time.perf_counter() - began)
        torch.testing.assert_close(
            outputs, layer(x, lengths=torch.tensor([steps, 2]))[0]
        )
    # The first one also warms the compiler up; the loop would take 100 times as long.
    assert seconds[1] < 10 * seconds[0]


@needs_core
def test_gates_have_gradients():
    layer, plain = tt.Recurrent(tt.cells.LSTM(3, 4)), None
    plain = tt.Recurrent(tt.cells.LSTM(3, 4), backend="loop")
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3)
    found = []
    for module in (layer, plain):
        outputs, _, trace = module(x, lengths=[5, 2], return_gates=True)
        total = outputs.sum() + (trace.gates[0]["forget"] ** 2).sum()
        found.append((trace.gates[0], torch.autograd.grad(total, module.parameters())))
    (gates, ours), (gates_plain, wanted) = found
    for name, gate in gates_plain.items():
        torch.testing.assert_close(gates[name], gate)
    for a, b in zip(ours, wanted, strict=True):
        torch.testing.assert_close(a, b)


@needs_core
def test_weights_that_depend_on_each_other_differentiate_twice():
    base = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    x = torch.randn(3, 2, 4, dtype=torch.float64)

    def outputs(base, backend):
        layer = tt.Recurrent(
            tt.cells.Elman(4, 4, bias=False, dtype=torch.float64), backend=backend
        )
        weights = {"weight_ih_l0": base * 2, "weight_hh_l0": base}
        return torch.func.functional_call(layer, weights, (x @ base,))[0].sum()

    grads = []
    for backend in ("native", "loop"):
        (first,) = torch.autograd.grad(outputs(base, backend), base, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), base)
        grads.append((first, second))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@needs_core
def test_works_in_a_forked_process_and_in_a_data_loader():
    _run(
        "import torch, throughtime as tt\n"
        "layer = tt.LSTM(64, 256)\n"
        "x = torch.randn(20, 8, 64)\n"
        "want = layer(x)[0].detach()\n"
        "class Data(torch.utils.data.Dataset):\n"
        "    def __len__(self): return 4\n"
        "    def __getitem__(self, i): return layer(x)[0].detach()\n"
        "loader = torch.utils.data.DataLoader(Data(), num_workers=2)\n"
        "for item in loader:\n"
        "    torch.testing.assert_close(item[0], want)\n"
    )


@needs_core
def test_backend_names():
    assert tt.LSTM(3, 4).backend_used == "native"
    assert tt.LSTM(3, 4, proj_size=2).backend_used == "native"

    class Mine(tt.cells.GRU):
        def advance(self, a_x, state, weights, mask=None):
            return super().advance(2 * a_x, state, weights, mask)

    with pytest.warns(UserWarning, match="Mine replaces advance"):
        assert tt.Recurrent(Mine(3, 4)).backend_used == "loop"
    several = [tt.cells.GRU(3, 4), Mine(4, 4)]
    assert tt.Recurrent(several).backend_used == "mixed"
    assert tt.LSTM(3, 4).to(torch.bfloat16).backend_used == "loop"
    with pytest.raises(ValueError, match="cannot run Mine.*replaces advance"):
        tt.Recurrent(several, backend="native")


@needs_core
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_bfloat16_weights_run_natively_in_inference(name):
    """Numbers of bfloat16, arithmetic of float32: at the end one rounding, 2^-9."""
    torch.manual_seed(0)
    layer = getattr(tt, name)(20, 50, 2, bidirectional=True).bfloat16()
    wide = getattr(tt, name)(20, 50, 2, bidirectional=True)
    wide.load_state_dict(layer.state_dict())
    x = torch.randn(30, 4, 20).bfloat16()
    with torch.no_grad():
        assert layer.backend_used == "native"
        outputs, _ = layer(x, lengths=[30, 0, 7, 12])
        exact, _ = wide(x.float(), lengths=[30, 0, 7, 12])
    assert outputs.dtype == torch.bfloat16
    # The first layer's outputs are rounded too before they enter the second one.
    torch.testing.assert_close(outputs.float(), exact, rtol=2**-8, atol=2**-8)
    assert layer.backend_used == "loop"


@needs_core
def test_views_that_flip_the_sign_are_read_with_it():
    """The imaginary part of a conjugate shares memory with the number itself."""
    layer = tt.GRU(3, 4, dtype=torch.float64)
    z = torch.randn(5, 2, 3, dtype=torch.complex128)
    hidden = torch.randn(1, 2, 4, dtype=torch.complex128)
    x, h = z.conj().imag, hidden.conj().imag
    assert x.is_neg()
    torch.testing.assert_close(layer(x, h)[0], layer(-z.imag, -hidden.imag)[0])


def test_without_the_core_everything_runs_and_says_so_once():
    """The package ``throughtime_native`` hidden, as where there was no compiler."""
    _run(
        "import sys, warnings\n"
        "sys.modules['throughtime_native'] = None\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, *a: (\n"
        "    None if n == 'throughtime_native' else find(n, *a))\n"
        "import torch, throughtime as tt\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always')\n"
        "    layers = [tt.LSTM(3, 4), tt.GRU(3, 4)]\n"
        "assert len(said) == 1 and 'plain loop' in str(said[0].message), said\n"
        "assert layers[0].backend_used == 'loop'\n"
        "layers[0](torch.zeros(5, 2, 3))[0].sum().backward()\n"
        "try:\n"
        "    tt.Recurrent(tt.cells.GRU(3, 4), backend='native')\n"
        "except ValueError as error:\n"
        "    assert 'not installed' in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
    )


def _run(code: str, **environment: str) -> None:
    paths = os.pathsep.join(path for path in sys.path if path)
    subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
