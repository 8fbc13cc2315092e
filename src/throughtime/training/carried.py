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


def batch_dimensions(run: Callable[..., tuple[Any, Any]], step: Tensor) -> Any:
    """Where the batch is in the tensors of a model's state.

    Which dimension that is differs between models: the state of twice the batch tells.

    Args:
        run: ``outputs, state = run(inputs, state)``, time first.
        step: inputs of one step, (1, B, ...).

    Returns:
        A state like the model's, with a number in the place of each tensor.

    Raises:
        InvalidType: a tensor in it has none, or several that grow with the batch.

    >>> batch_dimensions(torch.nn.LSTM(2, 3), torch.zeros(1, 4, 2))
    (tensor(1), tensor(1))
    """
    with torch.no_grad():
        one = run(step, None)[1]
        two = run(torch.cat([step, step], 1), None)[1]

    def dimension(a: Tensor, b: Tensor) -> Tensor:
        differ = [d for d in range(a.dim()) if a.size(d) != b.size(d)]
        if a.dim() != b.dim() or len(differ) != 1:
            raise InvalidType(
                "sliding truncation, and training with several processes, need a state "
                "whose tensors have one dimension for the batch, got shapes "
                f"{tuple(a.shape)} and {tuple(b.shape)} for batches of {step.size(1)} "
                f"and {2 * step.size(1)}"
            )
        return torch.tensor(differ[0])

    return zip_states(lambda pair: dimension(*pair), [one, two])


def join_states(states: Sequence[Any], where: Any) -> Any:
    """One state of all these batches side by side; ``where``: ``batch_dimensions``.

    >>> join_states([torch.zeros(1, 2), torch.ones(1, 1)], torch.tensor(1))
    tensor([[0., 0., 1.]])
    """
    return zip_states(
        lambda parts: torch.cat(parts[:-1], int(parts[-1])), [*states, where]
    )


def split_state(state: Any, where: Any, columns: slice) -> Any:
    """The state of some sequences of a batch; the inverse of ``join_states``.

    >>> split_state(torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor(1), slice(1, 3))
    tensor([[0., 1.]])
    """
    start, length = columns.start, columns.stop - columns.start
    return zip_states(
        lambda pair: (
            pair[0]
            .narrow(int(pair[1]), start, length)
            .clone(memory_format=torch.contiguous_format)
        ),
        [state, where],
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
