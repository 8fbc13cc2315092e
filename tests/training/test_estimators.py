"""Bias and variance of truncated gradients, against enumeration of all cuts."""

import itertools
import math

import pytest
import torch

import throughtime as tt
from throughtime.errors import InvalidValue
from throughtime.losses import mse
from throughtime.training import (
    BPTT,
    Problem,
    RandomTruncatedBPTT,
    SlidingBPTT,
    TruncatedBPTT,
    Window,
    compare_truncations,
)

PI = 0.6


def task(steps=5, reduction="mean"):
    torch.manual_seed(0)
    layer = tt.Recurrent(tt.cells.Elman(2, 3)).double()
    x = torch.randn(steps, 2, 2, dtype=torch.float64)

    def loss(outputs, targets, *, mask=None):
        return mse(outputs, targets, mask=mask, reduction=reduction)

    targets = torch.zeros(steps, 2, 3, dtype=torch.float64)
    return Problem(layer, layer, loss, x, targets, None, reduction)


def gradient(problem, method, borders):
    """Of given windows, by the method's own weights: autograd over each."""
    module = problem.module
    module.zero_grad()
    state, total = None, len(problem.inputs)
    for start, stop in itertools.pairwise(borders):
        weight = (stop - start) / total if problem.reduction == "mean" else 1.0
        window = Window(start, stop, start, stop)
        _, state = method.backward(problem, window, state, weight)
    return torch.cat([p.grad.flatten() for p in module.parameters()])


def test_spread_of_random_truncation_is_that_of_all_cuts():
    """Five steps have 2^4 ways to cut; each comes with its probability."""
    problem, method = task(), RandomTruncatedBPTT(probability=PI)
    full = gradient(problem, BPTT(), (0, 5))
    mean, second = torch.zeros_like(full), 0.0
    for cuts in itertools.product([False, True], repeat=4):
        chance = math.prod(1 - PI if cut else PI for cut in cuts)
        borders = (0, *(t + 1 for t, cut in enumerate(cuts) if cut), 5)
        found = gradient(problem, method, borders)
        mean += chance * found
        second += chance * float((found - full).square().sum())
    assert torch.allclose(mean, full, rtol=1e-12)  # exactly without bias
    spread = math.sqrt(second) / float(full.norm())
    estimate = compare_truncations(problem, {"it": method}, draws=1000)["it"]
    assert estimate.spread == pytest.approx(spread, rel=0.1)
    assert estimate.error == pytest.approx(spread / math.sqrt(1000), rel=0.1)
    assert estimate.bias < 3 * estimate.error
    assert estimate.draws == 1000


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_bias_of_methods_without_draws(reduction):
    problem = task(reduction=reduction)
    full = gradient(problem, BPTT(), (0, 5))
    chunks = gradient(problem, TruncatedBPTT(2), (0, 2, 4, 5))
    found = compare_truncations(
        problem,
        {
            "full": BPTT(),
            "chunks": TruncatedBPTT(2),
            "window": SlidingBPTT(5),
            "short window": SlidingBPTT(2),
        },
    )
    want = float((chunks - full).norm() / full.norm())
    assert found["chunks"].bias == pytest.approx(want, rel=1e-12)
    cosine = torch.cosine_similarity(chunks, full, dim=0)
    assert found["chunks"].cosine == pytest.approx(float(cosine), rel=1e-12)
    assert found["chunks"].spread == found["chunks"].error == 0
    assert found["full"].bias == found["window"].bias == 0
    # A window for every loss loses less than windows that begin with no past.
    assert 0 < found["short window"].bias < want


def test_no_draws():
    with pytest.raises(InvalidValue, match="draws must be greater than zero"):
        compare_truncations(task(), {"full": BPTT()}, draws=0)
