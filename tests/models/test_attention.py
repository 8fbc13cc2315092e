"""Attention against sums written out, masks, and memories without a step."""

import math

import pytest
import torch

from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models import attention as module
from throughtime.models.attention import SCORES, Attention

T, S, B, Q, D = 3, 4, 2, 5, 6


def made(score):
    torch.manual_seed(0)
    attention = Attention(score, Q, Q if score == "dot" else D, 7).double()
    memory = torch.randn(S, B, Q if score == "dot" else D, dtype=torch.float64)
    return attention, torch.randn(T, B, Q, dtype=torch.float64), memory


def score_of(attention, q, m):
    """One score, from the formula in the module's first lines."""
    if attention.score == "dot":
        return float(q @ m)
    if attention.score == "bilinear":
        return float(q @ (attention.key.weight @ m))
    if attention.score == "mean":
        return 0.0
    inside = attention.query.weight @ q + attention.key.weight @ m + attention.key.bias
    return float(attention.vector @ inside.tanh())


@pytest.mark.parametrize("score", SCORES)
def test_closed_form(score):
    """α_ts = exp e_ts / Σ exp e_ts over present steps; c_t = Σ α_ts m_s."""
    attention, queries, memory = made(score)
    present = torch.tensor([[True, True], [True, False], [False, True], [True, False]])
    attention.requires_grad_(False)
    context, weights = attention(queries, memory, present)
    for b in range(B):
        steps = [s for s in range(S) if present[s, b]]
        for t in range(T):
            e = [
                math.exp(score_of(attention, queries[t, b], memory[s, b]))
                for s in steps
            ]
            want = torch.zeros(S, dtype=torch.float64)
            want[steps] = torch.tensor([x / sum(e) for x in e], dtype=torch.float64)
            torch.testing.assert_close(weights[t, b], want, rtol=1e-12, atol=1e-14)
            mean = (want[:, None] * memory[:, b]).sum(0)
            torch.testing.assert_close(context[t, b], mean, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("score", SCORES)
def test_what_is_not_there_changes_nothing(score):
    """Also NaN, and also the gradient; without a step all is 0."""
    attention, queries, memory = made(score)
    present = torch.tensor(
        [[True, False], [True, False], [False, False], [False, False]]
    )
    other = memory.clone()
    other[2:, 0] = torch.nan
    other[:, 1] = 7.0
    other.requires_grad_()
    context, weights = attention(queries, other, present)
    want, _ = attention(queries[:, :1], memory[:2, :1])
    torch.testing.assert_close(context[:, :1], want, rtol=1e-13, atol=1e-13)
    assert not context[:, 1].any()
    assert not weights[:, 1].any()
    context.sum().backward()
    assert not other.grad[2:].any()
    assert not other.grad[:, 1].any()
    empty, nothing = attention(queries, memory[:0])
    assert empty.shape == (T, B, memory.size(-1))
    assert not empty.any()
    assert nothing.shape == (T, B, 0)


def test_additive_in_blocks(monkeypatch):
    """The same value and gradients as all at once."""
    attention, queries, memory = made("additive")
    queries.requires_grad_()
    inputs = (queries, *attention.parameters())
    want = attention(queries, memory)[0]
    want_slopes = torch.autograd.grad(want.pow(2).sum(), inputs)
    monkeypatch.setattr(module, "LARGEST_BLOCK", 1)
    got = attention(queries, memory)[0]
    torch.testing.assert_close(got, want, rtol=0, atol=1e-14)
    slopes = torch.autograd.grad(got.pow(2).sum(), inputs)
    torch.testing.assert_close(slopes, want_slopes, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_gradient(score):
    """Against finite differences."""
    attention, queries, memory = made(score)
    inputs = (queries.requires_grad_(), memory.requires_grad_())
    assert torch.autograd.gradcheck(lambda q, m: attention(q, m), inputs)


def test_bad_arguments():
    with pytest.raises(InvalidValue, match="unknown score.*'luong'.*bilinear"):
        Attention("luong", 2, 2)
    with pytest.raises(InvalidValue, match="'dot' needs .* one size, got 2 and 3"):
        Attention("dot", 2, 3)
    with pytest.raises(InvalidShape, match="with one B"):
        Attention("dot", 2, 2)(torch.zeros(1, 2, 2), torch.zeros(1, 3, 2))
