"""The plain step against its formula and torch.optim.SGD."""

import pytest
import torch

from throughtime.errors import InvalidType, InvalidValue
from throughtime.training import sgd_step


def test_formula():
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    still = torch.ones(1, requires_grad=True)
    (x**3).sum().backward()  # gradient 3 x² = 3, 12
    sgd_step([x, still], 0.25)
    assert x.tolist() == [1 - 0.25 * 3, 2 - 0.25 * 12]
    assert still.tolist() == [1.0]


def test_equals_torch():
    ours, theirs = (torch.randn(5, requires_grad=True) for _ in range(2))
    theirs.data.copy_(ours.data)
    ours.grad = theirs.grad = torch.randn(5)
    sgd_step([ours], 0.1)
    torch.optim.SGD([theirs], lr=0.1).step()
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_bad_rate():
    with pytest.raises(InvalidValue, match="learning_rate should be a number in range"):
        sgd_step([], -1.0)
    with pytest.raises(InvalidType, match="learning_rate should be a number, got: str"):
        sgd_step([], "1")  # pyright: ignore[reportArgumentType]
