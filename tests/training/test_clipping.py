"""Clipping against its formula and torch.nn.utils."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime.errors import InvalidType, InvalidValue
from throughtime.training import clip_norm, clip_value, global_norm


def parameters(*gradients, dtype=torch.float64):
    result = []
    for gradient in gradients:
        gradient = torch.tensor(gradient, dtype=dtype)
        p = torch.zeros_like(gradient, requires_grad=True)
        p.grad = gradient
        result.append(p)
    return result


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8),
    st.floats(1e-3, 1e3),
)
def test_formula_and_radius(values, theta):
    a, b = parameters(values, [v / 2 for v in values])
    before = [a.grad.clone(), b.grad.clone()]
    norm = math.sqrt(sum(v * v * 1.25 for v in values))
    assert clip_norm([a, b], theta) == pytest.approx(norm, rel=1e-12, abs=1e-300)
    scale = min(1.0, theta / norm) if norm else 1.0
    for p, g in zip((a, b), before, strict=True):
        torch.testing.assert_close(p.grad, scale * g, rtol=1e-12, atol=0)
    assert global_norm([a.grad, b.grad]) <= theta * (1 + 1e-12)


def test_equals_torch():
    ours = parameters([3.0, -4.0], [[1.0, 2.0], [0.5, -7.0]], dtype=torch.float32)
    theirs = parameters([3.0, -4.0], [[1.0, 2.0], [0.5, -7.0]], dtype=torch.float32)
    norm = torch.nn.utils.clip_grad_norm_(theirs, 2.0)
    assert clip_norm(ours, 2.0) == pytest.approx(norm.item(), rel=1e-6)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=0)
    torch.nn.utils.clip_grad_value_(theirs, 0.25)
    clip_value(ours, 0.25)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=0)


def test_gradient_on_the_radius_is_untouched_to_the_bit():
    (p,) = parameters([3.0, 4.0])
    assert clip_norm(p, 5.0) == 5.0
    assert p.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("size", [10, 100_000, 5_000_000])
def test_radius_holds_for_large_float32_gradients(size):
    """Truth: the norm in float64. torch's own float32 sum is off by 1e-4 here."""
    generator = torch.Generator().manual_seed(0)
    p = torch.zeros(size, requires_grad=True)
    p.grad = torch.rand(size, generator=generator) * 3 - 1
    exact = p.grad.double().norm().item()
    assert clip_norm([p], 0.5) == pytest.approx(exact, rel=1e-6)
    assert p.grad.double().norm() <= 0.5 * (1 + 1e-6)


def test_squares_may_overflow():
    a, b = parameters([3e30], [[4e30]], dtype=torch.float32)
    assert clip_norm([a, b], 1.0) == pytest.approx(5e30, rel=1e-6)
    torch.testing.assert_close(a.grad, torch.tensor([0.6]))
    torch.testing.assert_close(b.grad, torch.tensor([[0.8]]))


def test_short_types_are_summed_in_float32():
    (p,) = parameters([1.0] * 1000, dtype=torch.bfloat16)
    assert global_norm([p.grad]) == pytest.approx(math.sqrt(1000), rel=1e-6)


def test_a_norm_that_is_known_is_not_computed_again():
    (p,) = parameters([3.0, 4.0])
    assert clip_norm(p, 1.0, norm=global_norm([p.grad])) == 5.0
    torch.testing.assert_close(p.grad, torch.tensor([0.6, 0.8], dtype=torch.float64))
    assert clip_norm(p, 1.0, norm=10.0) == 10.0  # as told
    assert p.grad.tolist() == pytest.approx([0.06, 0.08])


def test_zero_gradient_and_no_gradient():
    (p,) = parameters([0.0, 0.0])
    assert clip_norm(p, 1.0) == 0.0
    assert p.grad.tolist() == [0.0, 0.0]
    assert clip_norm([torch.zeros(2, requires_grad=True)], 1.0) == 0.0


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_norm_that_is_not_finite_leaves_the_gradient(bad):
    a, b = parameters([bad, 1.0], [2.0])
    assert not math.isfinite(clip_norm([a, b], 1.0))
    assert not math.isfinite(clip_norm([a, b], 1.0, joint=False))
    assert a.grad[1] == 1.0
    assert b.grad.item() == 2.0


def test_each_by_its_own_norm():
    a, b = parameters([3.0, 4.0], [0.3, 0.4])
    clip_norm([a, b], 1.0, joint=False)
    torch.testing.assert_close(a.grad, torch.tensor([0.6, 0.8], dtype=torch.float64))
    assert b.grad.tolist() == [0.3, 0.4]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_values_are_limited_one_by_one(values, theta):
    (p,) = parameters(values)
    clip_value(p, theta)
    assert p.grad.tolist() == [max(-theta, min(theta, v)) for v in values]


def test_bad_thresholds():
    with pytest.raises(InvalidValue, match="max_norm should be a number in range"):
        clip_norm([], 0)
    with pytest.raises(InvalidType, match="max_value should be a number, got: str"):
        clip_value([], "1")  # pyright: ignore[reportArgumentType]
