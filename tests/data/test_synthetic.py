"""The adding problem."""

import pytest
import torch

from throughtime.data import adding
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
