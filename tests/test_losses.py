"""Losses and metrics against worked examples."""

import math

import pytest
import torch

from throughtime.errors import InvalidShape, InvalidValue
from throughtime.losses import cross_entropy, mse
from throughtime.metrics import bits, bits_per_character, perplexity

# The character example "hello": logits over [h, e, l, o] after h, e, l, l and the
# cross-entropies of its targets e, l, l, o (Karpathy, "The unreasonable effectiveness
# of recurrent neural networks", 2015).
LOGITS = [
    [1.0, 2.2, -3.0, 4.1],
    [0.5, 0.3, -1.0, 1.2],
    [0.1, 0.5, 1.9, -1.1],
    [0.2, -1.5, -0.1, 2.2],
]
TARGETS = [1, 2, 2, 3]
LOSSES = [2.0785, 2.9001, 0.3796, 0.2314]


def hello():
    logits = torch.tensor(LOGITS, dtype=torch.float64).unsqueeze(1)
    return logits, torch.tensor(TARGETS).unsqueeze(1)


def by_hand(row, target):
    return math.log(sum(math.exp(v) for v in row)) - row[target]


def test_hello_example():
    losses = cross_entropy(*hello(), reduction="none").flatten()
    for got, want, row, target in zip(losses, LOSSES, LOGITS, TARGETS, strict=True):
        assert got.item() == pytest.approx(by_hand(row, target), abs=1e-12)
        assert got.item() == pytest.approx(want, abs=5e-5)
    total = cross_entropy(*hello(), reduction="sum").item()
    assert total == pytest.approx(sum(losses.tolist()), abs=1e-12)
    assert cross_entropy(*hello()).item() == pytest.approx(total / 4, abs=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_masked_entries_change_nothing_even_if_nan(reduction):
    logits, targets = hello()
    mask = torch.tensor([True, False, True, False]).unsqueeze(1)
    logits = logits.clone()
    logits[1], logits[3] = math.nan, math.inf
    targets = targets.clone()
    targets[1] = -5
    logits.requires_grad_()
    loss = cross_entropy(logits, targets, mask=mask, reduction=reduction)
    kept = [by_hand(LOGITS[t], TARGETS[t]) for t in (0, 2)]
    want = {"mean": sum(kept) / 2, "sum": sum(kept), "none": sum(kept)}[reduction]
    assert loss.sum().item() == pytest.approx(want, abs=1e-12)
    loss.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[1].any()
    assert not logits.grad[3].any()


def test_nothing_that_counts_is_zero_with_zero_gradient():
    logits, targets = hello()
    logits.requires_grad_()
    loss = cross_entropy(logits, targets, mask=torch.zeros(4, 1, dtype=torch.bool))
    assert loss.item() == 0
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_mse_with_a_mask_over_steps():
    outputs = torch.tensor([[[1.0, 2.0]], [[math.nan, 5.0]]])
    targets = torch.zeros(2, 1, 2)
    mask = torch.tensor([[True], [False]])
    assert mse(outputs, targets, mask=mask).item() == 2.5
    assert mse(outputs, targets, mask=mask, reduction="sum").item() == 5.0


def test_errors():
    logits, targets = hello()
    with pytest.raises(InvalidShape, match=r"targets must have shape \(4, 1\)"):
        cross_entropy(logits, targets[:2])
    with pytest.raises(InvalidShape, match="mask must have shape"):
        cross_entropy(logits, targets, mask=torch.ones(4, dtype=torch.bool))
    with pytest.raises(InvalidValue, match="unknown reduction 'avg': known are mean"):
        cross_entropy(logits, targets, reduction="avg")


def test_metrics():
    assert perplexity(math.log(50)) == pytest.approx(50, rel=1e-12)
    assert perplexity(1e9) == math.inf
    assert bits(math.log(2) * 3) == pytest.approx(3, rel=1e-12)
    # A uniform guess among 32 symbols costs 5 bits each.
    assert bits_per_character(7 * math.log(32), 7) == pytest.approx(5, rel=1e-12)
