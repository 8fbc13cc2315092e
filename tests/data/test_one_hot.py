"""One-hot vectors."""

import pytest
import torch

from throughtime.data import one_hot
from throughtime.errors import InvalidType, InvalidValue


def test_one_hot_equals_identity_rows():
    tokens = torch.tensor([[0, 2], [1, 1]])
    assert torch.equal(one_hot(tokens, 3), torch.eye(3)[tokens])
    with pytest.raises(InvalidValue, match=r"tokens must lie in \[0, 2\)"):
        one_hot(tokens, 2)
    with pytest.raises(InvalidValue, match="values from -1 to 0"):
        one_hot(torch.tensor([-1, 0]), 2)
    with pytest.raises(InvalidType, match="dtype long, got: torch.float32"):
        one_hot(torch.tensor([1.0]), 2)


def test_one_hot_of_nothing():
    assert one_hot(torch.zeros(0, 2, dtype=torch.long), 3).shape == (0, 2, 3)
