"""States of any structure: cut, moved and examined."""

import math
from typing import NamedTuple

import pytest
import torch

from throughtime.errors import InvalidType
from throughtime.training import detach_state
from throughtime.training.carried import is_finite, map_state


class Pair(NamedTuple):
    h: torch.Tensor
    c: torch.Tensor | None


def test_detached_state_keeps_values_and_structure():
    leaf = torch.ones(2, requires_grad=True)
    state = detach_state((Pair(leaf * 2, None), [leaf * 3], {"steps": 4}))
    assert isinstance(state[0], Pair)
    assert not state[0].h.requires_grad
    assert torch.equal(state[0].h, torch.full((2,), 2.0))
    assert state[0].c is None
    assert torch.equal(state[1][0], torch.full((2,), 3.0))
    assert state[2] == {"steps": 4}


def test_tensors_in_dicts_are_cut_too():
    leaf = torch.ones(2, requires_grad=True)
    assert not detach_state({"h": leaf * 2})["h"].requires_grad


def test_detached_state_keeps_nothing_else_alive():
    outputs = torch.zeros(1000, 2)
    (last,) = detach_state((outputs[-1],))
    assert last.untyped_storage().nbytes() == 2 * 4


def test_other_things_are_refused():
    with pytest.raises(InvalidType, match="state a model returns should be .* set"):
        map_state(torch.neg, ({1},))


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_one_number_spoils_a_state(bad):
    assert is_finite(None)
    assert is_finite({"h": torch.ones(2), "n": torch.arange(2)})
    assert not is_finite({"h": (torch.ones(2), [torch.tensor([0.0, bad])])})
