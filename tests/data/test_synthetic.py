"""Problems made to need memory, against their definitions."""

import math

import pytest
import torch

from throughtime.data import adding, copy_memory, temporal_order
from throughtime.errors import InvalidType, InvalidValue


def test_adding_problem():
    generator = torch.Generator().manual_seed(0)
    x, target = adding(50, 20_000, generator=generator)
    assert torch.equal(x[..., 1].sum(0), torch.full((20_000,), 2.0))
    torch.testing.assert_close((x[..., 0] * x[..., 1]).sum(0), target)
    # Variance of the sum of two U[0, 1]: 2 / 12; standard error here: 0.0013.
    assert ((target - 1) ** 2).mean().item() == pytest.approx(1 / 6, abs=0.005)
    again = adding(50, 20_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again[0], x)
    with pytest.raises(InvalidValue, match="at least 2 for two marks"):
        adding(1, 1)
    with pytest.raises(InvalidValue, match="count must be greater than zero"):
        adding(5, 0)
    with pytest.raises(InvalidType, match="steps should be of type int"):
        adding(5.0, 1)


def test_marks_fall_on_every_pair_of_steps():
    """All 6 pairs of 4 steps, each with probability 1/6."""
    x, _ = adding(4, 6000, generator=torch.Generator().manual_seed(1))
    pairs, counts = x[..., 1].T.unique(dim=0, return_counts=True)
    assert len(pairs) == 6
    # 5 standard deviations: sqrt(6000 * 1/6 * 5/6) = 29.
    assert (counts - 1000).abs().max() < 145


@pytest.mark.parametrize(("symbols", "begins"), [(2, (5, 25)), (3, (5, 15, 30))])
def test_temporal_order(symbols, begins):
    """A and B stand once in each window of 5 steps, and nowhere else."""
    generator = torch.Generator().manual_seed(0)
    x, target = temporal_order(50, 8000, symbols=symbols, generator=generator)
    assert x.shape == (50, 8000, 6)
    assert torch.equal(x.sum(-1), torch.ones(50, 8000))
    shown = x[..., :2]
    assert torch.equal(shown.sum((0, 2)), torch.full((8000,), float(symbols)))
    expected = torch.zeros(8000, dtype=torch.long)
    for place, begin in enumerate(begins):
        window = shown[begin : begin + 5]
        assert torch.equal(window.sum((0, 2)), torch.ones(8000))
        expected += 2**place * window[..., 1].sum(0).long()
        # Each step with probability 1/5: standard deviation 36 of 8000 draws.
        assert (window.sum(2).sum(1) - 1600).abs().max() < 180
    assert torch.equal(target, expected)
    # Every class as often, up to 5 standard deviations.
    share = 1 / 2**symbols
    slack = 5 * math.sqrt(8000 * share * (1 - share))
    assert (target.bincount(minlength=2**symbols) - 8000 * share).abs().max() < slack
    # Every distractor alike in the (50 - symbols) * 8000 steps that are left.
    count = (50 - symbols) * 8000
    slack = 5 * math.sqrt(count * 3 / 16)
    assert (x[..., 2:].sum((0, 1)) - count / 4).abs().max() < slack
    again = temporal_order(
        50, 8000, symbols=symbols, generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(again[0], x)
    assert torch.equal(again[1], target)


def test_temporal_order_of_odd_lengths():
    """29 steps: windows of 2 from steps 2 and 14, as int(29 / 10) and int(29 / 2)."""
    x, _ = temporal_order(29, 1000, generator=torch.Generator().manual_seed(0))
    assert x[..., :2].sum((1, 2)).nonzero().squeeze(1).tolist() == [2, 3, 14, 15]


def test_temporal_order_bad_input():
    with pytest.raises(InvalidValue, match="steps must be at least 10"):
        temporal_order(9, 1)
    with pytest.raises(InvalidValue, match="symbols must be 2 or 3, got 4"):
        temporal_order(20, 1, symbols=4)
    with pytest.raises(InvalidValue, match="count must be greater than zero"):
        temporal_order(20, 0)


def test_copy_memory():
    generator = torch.Generator().manual_seed(0)
    symbols, target = copy_memory(30, 4000, digits=5, generator=generator)
    assert symbols.shape == target.shape == (40, 4000)
    assert torch.equal(target[35:], symbols[:5])
    assert symbols[:5].unique().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert symbols[5:34].unique().tolist() == [0]
    assert symbols[34:].unique().tolist() == [9]
    assert target[:35].unique().tolist() == [0]
    # 20,000 digits, each with probability 1/8: standard deviation 47.
    assert (symbols[:5].flatten().bincount()[1:] - 2500).abs().max() < 240
    again = copy_memory(30, 4000, digits=5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again[0], symbols)


def test_copy_memory_without_memory():
    """Blanks for sure, then each digit with 1/8: 10 ln 8 / (T + 20) as T = 100."""
    _, target = copy_memory(100, 50)
    answer = torch.full((120, 50, 10), -math.inf)
    answer[:110, :, 0] = 0.0
    answer[110:, :, 1:9] = math.log(1 / 8)
    loss = torch.nn.functional.nll_loss(answer.flatten(0, 1), target.flatten())
    assert loss.item() == pytest.approx(10 * math.log(8) / 120, rel=1e-6)


def test_copy_memory_bad_input():
    for sizes in ((0, 1), (1, 0)):
        with pytest.raises(InvalidValue, match="must be greater than zero, got 0"):
            copy_memory(*sizes)
    with pytest.raises(InvalidType, match="digits should be of type int"):
        copy_memory(3, 1, digits=2.0)
