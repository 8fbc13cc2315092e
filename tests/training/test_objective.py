"""The loss as a function of a change of the parameters."""

import math

import pytest
import torch

from throughtime.errors import InvalidValue
from throughtime.training.objective import Objective


def test_leaves_the_parameters_as_they_are():
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    f = Objective(lambda: (weight, lambda o: (o**2).sum()), [weight])
    assert f(torch.tensor([1.0, 1.0])) == 13
    assert weight.tolist() == [1.0, 2.0]


def test_leaves_them_also_after_an_error():
    weight = torch.ones(1, requires_grad=True)
    f = Objective(lambda: (weight, lambda o: o[3].sum()), [weight])
    with pytest.raises(IndexError):
        f(torch.ones(1))
    assert weight.tolist() == [1.0]


def test_a_loss_that_is_not_finite_is_infinite():
    weight = torch.ones(1, requires_grad=True)
    f = Objective(lambda: (weight, lambda o: (o - 2).log().sum()), [weight])
    assert f(torch.zeros(1)) == math.inf


def test_an_earlier_graph_stays_valid():
    weight = torch.ones(2, requires_grad=True)
    f = Objective(lambda: (weight**2, torch.sum), [weight])
    value = (weight**2).sum()
    f(torch.ones(2))
    value.backward()
    assert weight.grad.tolist() == [2.0, 2.0]


def test_a_batch_that_changes_in_size():
    weight = torch.ones(2, requires_grad=True)
    f = Objective(lambda: (weight, torch.sum), [weight])
    with pytest.raises(InvalidValue, match="not deterministic"):
        f.check_deterministic(torch.ones(3))
