"""The output layer with its loss, against torch in float64."""

import math
import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

import throughtime as tt
from tests.layers.output_cases import random_case, results
from throughtime import kernels, losses
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.layers.output import output_loss, output_loss_backward

CORE = kernels.library()
needs_core = pytest.mark.skipif(
    CORE is None, reason=f"tests the compiled core: {kernels.missing()}"
)
BACKENDS = ["loop", pytest.param("native", marks=needs_core)]


def layer(rows=6, features=5, classes=7, dtype=torch.float64, grad=False):
    generator = torch.Generator().manual_seed(0)
    h, weight, bias = (
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_(grad)
        for shape in ((rows, features), (classes, features), (classes,))
    )
    return h, weight, bias, torch.arange(rows) % classes


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("block", range(6))
def test_equals_torch_in_values_and_gradients(backend, block):
    for seed in range(50 * block, 50 * block + 50):
        case = random_case(seed)
        ours, theirs = results(case, backend, seed), results(case, None, seed)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10, msg=f"{seed}")


@needs_core
@pytest.mark.parametrize("name", CORE.instruction_sets if CORE else [])
def test_every_instruction_set_equals_torch(name):
    """In a process of its own: the instruction set is chosen when the core loads."""
    code = (
        "import torch\n"
        "from tests.layers.output_cases import random_case, results\n"
        "from throughtime import kernels\n"
        f"assert kernels.library().instruction_set == {name!r}\n"
        "for threads in (1, 2, 3):\n"
        "    torch.set_num_threads(threads)\n"
        "    for seed in range(1000, 1060):\n"
        "        case = random_case(seed)\n"
        "        pairs = zip(results(case, 'native', 0), results(case, None, 0))\n"
        "        for a, b in pairs:\n"
        "            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)\n"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {"PYTHONPATH": paths, "THROUGHTIME_INSTRUCTION_SET": name}
    subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )


@needs_core
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_error_in_single_precision_is_that_of_torch(smoothing):
    """At most twice torch's own distance from float64, in loss and gradients."""
    h, weight, bias, _ = layer(600, 150, 3000)
    weight = weight * 0.3
    targets = torch.randint(3000, (600,), generator=torch.Generator().manual_seed(1))
    found = []
    for dtype, backend in (
        (torch.float64, "loop"),
        (torch.float32, "loop"),
        (torch.float32, "native"),
    ):
        leaves = [t.to(dtype, copy=True).requires_grad_() for t in (h, weight, bias)]
        loss = tt.linear_cross_entropy(
            *leaves[:2],
            targets,
            bias=leaves[2],
            label_smoothing=smoothing,
            backend=backend,
        )
        gradients = torch.autograd.grad(loss, leaves)
        each = tt.linear_cross_entropy(
            *leaves[:2],
            targets,
            bias=leaves[2],
            label_smoothing=smoothing,
            reduction="none",
            backend=backend,
        )
        found.append([t.detach().double() for t in (loss, each, *gradients)])
    for want, theirs, mine in zip(*found, strict=True):
        allowed = 2 * (theirs - want).norm() + 1e-7 * want.norm()
        assert (mine - want).norm() <= allowed


@needs_core
def test_results_are_the_same_every_time():
    h, weight, bias, targets = layer(300, 40, 1000, torch.float32, grad=True)

    def once():
        loss = tt.linear_cross_entropy(h, weight, targets, bias=bias)
        return loss, *torch.autograd.grad(loss, (h, weight, bias))

    first = once()
    for _ in range(5):
        assert all(map(torch.equal, first, once()))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_derivatives_of_both_orders(backend, reduction):
    """Against finite differences, also where h and the weight depend on each other."""
    h, weight, bias, targets = layer(grad=True)
    mask = torch.arange(6) != 2

    def loss(h, weight, bias):
        return tt.linear_cross_entropy(
            h * weight[0],
            weight,
            targets,
            bias=bias,
            mask=mask,
            label_smoothing=0.2,
            reduction=reduction,
            backend=backend,
        )

    assert torch.autograd.gradcheck(loss, (h, weight, bias))
    assert torch.autograd.gradgradcheck(loss, (h, weight, bias))


@pytest.mark.parametrize("backend", BACKENDS)
def test_backward_twice_and_gradients_that_are_not_wanted(backend):
    h, weight, bias, targets = layer(grad=True)
    loss = tt.linear_cross_entropy(h, weight.detach(), targets, bias=bias)
    want = torch.autograd.grad(
        F.cross_entropy(F.linear(h, weight.detach(), bias), targets), (h, bias)
    )
    for factor in (1.0, 2.0, 1.0):
        found = torch.autograd.grad(
            loss, (h, bias), loss.new_tensor(factor), retain_graph=True
        )
        for a, b in zip(found, want, strict=True):
            torch.testing.assert_close(a, factor * b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_what_does_not_count_changes_nothing_even_if_nan(backend, reduction):
    h, weight, bias, targets = layer()
    h[2], targets[2] = math.nan, -5
    leaves = [t.requires_grad_() for t in (h, weight, bias)]
    mask = torch.arange(6) != 2
    loss = tt.linear_cross_entropy(
        h, weight, targets, bias=bias, mask=mask, reduction=reduction, backend=backend
    )
    want = F.cross_entropy(
        F.linear(h[mask], weight, bias), targets[mask], reduction=reduction
    )
    if reduction == "none":
        assert loss[2] == 0
        loss = loss[mask]
    torch.testing.assert_close(loss, want, rtol=1e-12, atol=1e-14)
    found = torch.autograd.grad(loss.sum(), leaves)
    assert not found[0][2].any()
    for a, b in zip(found, torch.autograd.grad(want.sum(), leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_scores_that_are_not_finite_or_large(backend):
    """Truth: torch, row by row."""
    h = torch.eye(6, dtype=torch.float64).requires_grad_()
    weight = torch.randn(200, 6, dtype=torch.float64)
    weight[3, 0] = math.nan
    weight[150, 1] = math.inf
    weight[:150, 2] = -math.inf  # more than one block of classes
    weight[:, 3] = -math.inf
    weight[7, 4] = 1e6
    weight[:, 5] -= 1e6
    weight.nan_to_num_(nan=math.nan, posinf=1e300, neginf=-1e300)
    targets = torch.tensor([0, 0, 170, 0, 0, 9])
    found = []
    for run in (
        lambda: tt.linear_cross_entropy(
            h, weight, targets, reduction="none", backend=backend
        ),
        lambda: F.cross_entropy(F.linear(h, weight), targets, reduction="none"),
    ):
        losses = run()
        found.append((losses, torch.autograd.grad(losses.sum(), h)[0]))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10, equal_nan=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_bias_that_is_not_finite(backend):
    """-inf takes a class out, +inf and NaN spoil every row."""
    h, weight, bias, targets = layer(classes=300)
    for value, at in ((-math.inf, slice(200)), (math.inf, 250), (math.nan, 3)):
        changed = bias.clone()
        changed[at] = value
        leaves = [t.clone().requires_grad_() for t in (h, weight, changed)]
        found = []
        for run in (
            lambda h, weight, bias: tt.linear_cross_entropy(
                h, weight, targets + 220, bias=bias, backend=backend
            ),
            lambda h, weight, bias: F.cross_entropy(
                F.linear(h, weight, bias), targets + 220
            ),
        ):
            loss = run(*leaves)
            found.append((loss, *torch.autograd.grad(loss, leaves)))
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14, equal_nan=True)


@needs_core
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("bias", [True, False])
def test_operators_keep_torchs_promises(reduction, bias):
    h, weight, b, targets = layer(grad=True)
    values = (h, weight, b if bias else None, targets, 0.1, reduction)
    wanted = [True, True, bias]
    torch.library.opcheck(output_loss, (*values, wanted))
    grad = torch.ones(6 if reduction == "none" else (), dtype=torch.float64)
    plain = (t.detach() if isinstance(t, torch.Tensor) else t for t in values)
    torch.library.opcheck(output_loss_backward, (grad, *plain, wanted))


@needs_core
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_compiles_in_one_graph(reduction):
    h, weight, bias, targets = layer(grad=True)

    def run(h, weight, bias):
        loss = tt.linear_cross_entropy(
            h, weight, targets, bias=bias, ignore_index=1, reduction=reduction
        )
        return (loss**2).sum()

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    found = [
        torch.autograd.grad(f(h, weight, bias), (h, weight, bias))
        for f in (compiled, run)
    ]
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@needs_core
def test_other_types_and_transforms_take_plain_torch():
    h, weight, bias, targets = layer(grad=True)
    tangent = torch.randn_like(weight)

    def loss(weight):
        return tt.linear_cross_entropy(h, weight, targets, bias=bias)

    _, along = torch.func.jvp(loss, (weight.detach(),), (tangent,))
    (gradient,) = torch.autograd.grad(loss(weight), weight)
    torch.testing.assert_close(along, (gradient * tangent).sum())
    each = torch.func.vmap(
        lambda row, target: tt.linear_cross_entropy(row, weight, target, bias=bias)
    )(h, targets)
    torch.testing.assert_close(each.mean(), loss(weight))
    short = [t.detach().bfloat16() for t in (h, weight, bias)]
    coarse = tt.linear_cross_entropy(*short[:2], targets, bias=short[2])
    assert coarse.dtype == torch.bfloat16
    assert coarse.item() == pytest.approx(loss(weight).item(), rel=2e-2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_rows_and_one_row_without_time(backend):
    h, weight, bias, targets = layer(grad=True)
    nothing = tt.linear_cross_entropy(h[:0], weight, targets[:0], backend=backend)
    assert nothing.item() == 0
    nothing.backward()
    assert weight.grad is not None
    assert not weight.grad.any()
    one = tt.linear_cross_entropy(h[0], weight, targets[0], bias=bias, backend=backend)
    assert one.shape == ()
    want = losses.cross_entropy(F.linear(h, weight, bias), targets, reduction="none")
    assert one.item() == pytest.approx(want[0].item(), abs=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bad_arguments(backend):
    h, weight, bias, targets = layer()
    for error, says, changes in (
        (InvalidShape, r"weight must have shape \(V, H\)", {"weight": bias}),
        (InvalidShape, r"h must have shape \(..., 5\)", {"h": h[:, :4]}),
        (InvalidShape, r"bias must have shape \(7,\)", {"bias": bias[:3]}),
        (InvalidShape, r"targets must have shape \(6,\)", {"targets": targets[:3]}),
        (InvalidShape, r"mask must have shape \(6,\)", {"mask": targets[:3] > 0}),
        (InvalidType, "targets should be of dtype long", {"targets": targets.int()}),
        (InvalidType, "mask should be of dtype bool", {"mask": targets}),
        (InvalidType, "ignore_index should be of type int", {"ignore_index": 1.0}),
        (InvalidValue, r"label_smoothing .* \[0, 1\]", {"label_smoothing": 2}),
        (InvalidValue, "unknown reduction 'avg'", {"reduction": "avg"}),
        (InvalidValue, "unknown backend 'fast'", {"backend": "fast"}),
        (
            InvalidValue,
            r"targets must lie in \[0, 7\), got values from 1 to 8",
            {"targets": targets + 1, "ignore_index": 6, "mask": targets != 5},
        ),
        (
            InvalidValue,
            r"targets must lie in \[0, 7\), got values from -1 to 4",
            {"targets": targets - 1},
        ),
    ):
        if "targets" in changes and "mask" in changes:
            changes["targets"] = changes["targets"].clone()
            changes["targets"][1] = 8
        values = {"h": h, "weight": weight, "targets": targets, "bias": bias}
        with pytest.raises(error, match=says):
            tt.linear_cross_entropy(**{**values, "backend": backend, **changes})
