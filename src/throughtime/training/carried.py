"""The state that a model carries from one window to the next.

It is the model's own business: None, a tensor, or tuples, lists and dicts of them, such
as one ``(h, c)`` per layer.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import InvalidType


def map_state(function: Callable[[Tensor], Any], state: Any) -> Any:
    """The same structure with ``function`` of every tensor.

    Raises:
        InvalidType: something in it that is no tensor, container or plain value.

    >>> map_state(torch.neg, (torch.ones(1), None))
    (tensor([-1.]), None)
    """
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*(map_state(function, part) for part in state))
    if isinstance(state, (tuple, list)):
        return type(state)(map_state(function, part) for part in state)
    if isinstance(state, dict):
        return {key: map_state(function, part) for key, part in state.items()}
    if state is None or isinstance(state, (bool, int, float, str)):
        return state
    raise InvalidType(
        "the state a model returns should be None, a tensor, or tuples, lists and "
        f"dicts of tensors, got: {type(state).__name__}"
    )


def zip_states(
    function: Callable[[list[Tensor]], Tensor], states: Sequence[Any]
) -> Any:
    """One state like all of these, with ``function`` of their tensors at each place.

    What is no tensor is that of the first.

    >>> zip_states(torch.cat, [(torch.ones(1), None), (torch.zeros(1), None)])
    (tensor([1., 0.]), None)
    """
    tensors: list[list[Tensor]] = []
    for state in states:
        found: list[Tensor] = []
        map_state(found.append, state)
        tensors.append(found)
    places = iter(zip(*tensors, strict=True))
    return map_state(lambda _: function(list(next(places))), states[0])


def detach_state(state: Any) -> Any:
    """The same values without their history: the gradient stops here.

    The tensors get memory of their own: a view of all outputs would keep them alive,
    and a restored state, which is no view, could round in another way.

    Raises:
        InvalidType: see ``map_state``.

    >>> detach_state((torch.ones(1, requires_grad=True) * 2, None))
    (tensor([2.]), None)
    """
    return map_state(
        lambda tensor: tensor.detach().clone(memory_format=torch.contiguous_format),
        state,
    )


def is_finite(state: Any) -> bool:
    """Whether every number of a state is finite.

    >>> is_finite((torch.ones(2), None)), is_finite([torch.tensor(float("nan"))])
    (True, False)
    """
    tensors: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        tensors.append(tensor)
        return tensor

    map_state(note, state)
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
