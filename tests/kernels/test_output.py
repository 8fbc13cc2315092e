"""The core's output layer and loss on plain tensors, against its formula in torch."""

import ctypes

import pytest
import torch
from torch.nn import functional as F

from throughtime import kernels
from throughtime.kernels.library import library
from throughtime.kernels.output import OutputProblem

pytestmark = pytest.mark.skipif(
    kernels.missing() is not None, reason=f"{kernels.missing()}"
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("threads", [1, 2, 3])
# More rows than a block has, more classes than a thread takes at a time, and fewer of
# either than there are threads.
@pytest.mark.parametrize("shape", [(600, 33, 250), (300, 7, 2), (1, 130, 97)])
def test_any_weights_of_rows(dtype, threads, shape):
    rows, features, classes = shape
    generator = torch.Generator().manual_seed(0)
    h, weight, bias, row_weights = (
        torch.randn(size, generator=generator, dtype=torch.float64)
        for size in ((rows, features), (classes, features), (classes,), (rows,))
    )
    targets = torch.randint(classes, (rows,), generator=generator)
    targets[1::3] = -1
    leaves = [t.requires_grad_() for t in (h, weight, bias)]
    want = F.cross_entropy(
        F.linear(h, weight, bias), targets, ignore_index=-1, reduction="none"
    )
    gradients = torch.autograd.grad((want * row_weights).sum(), leaves)
    given = [t.detach().to(dtype) for t in (*leaves, row_weights)]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    losses, found = kernels.output_loss(
        *given[:3], targets, 0.0, given[3], (True, True, True)
    )
    torch.set_num_threads(before)
    tolerance = {"rtol": 1e-10, "atol": 1e-10}
    if dtype == torch.float32:
        tolerance = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(losses.double(), want.detach(), **tolerance)
    for a, b in zip(found, gradients, strict=True):
        assert a is not None
        torch.testing.assert_close(a.double(), b, **tolerance)


def test_only_what_is_wanted():
    h, weight = torch.randn(5, 3), torch.randn(4, 3)
    targets, ones = torch.arange(5) % 4, torch.ones(5)
    wanted = (False, True, True)
    _, found = kernels.output_loss(h, weight, None, targets, 0.0, ones, wanted)
    assert [g is None for g in found] == [True, False, True]


def test_no_row_that_counts():
    h, weight, bias = torch.randn(5, 3), torch.randn(4, 3), torch.randn(4)
    for rows in (0, 5):
        losses, found = kernels.output_loss(
            h[:rows],
            weight,
            bias,
            torch.full((rows,), -1),
            0.0,
            torch.ones(rows),
            (True, True, True),
        )
        assert not losses.any()
        for gradient, tensor in zip(found, (h[:rows], weight, bias), strict=True):
            assert gradient is not None
            assert gradient.shape == tensor.shape
            assert not gradient.any()


def test_the_struct_is_that_of_the_core():
    core = library()
    assert core is not None
    assert core.code.tt_output_problem_size() == ctypes.sizeof(OutputProblem)
