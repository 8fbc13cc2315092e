"""What a layer returns about its inside, and the shape of its state."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor


class Trace(NamedTuple):
    """What happened inside, one entry per layer and direction (order of the state).

    states: every state, (T, B, H) per field, or None if not asked for.
    gates: every gate by name, (T, B, H), or None if not asked for.
    """

    states: tuple[Any, ...] | None
    gates: tuple[dict[str, Tensor], ...] | None


def map_state(state: Any, function: Callable[[Tensor], Tensor]) -> tuple[Any, ...]:
    """``function`` of every tensor of a tuple of cell states."""
    return tuple(type(part)(*(function(field) for field in part)) for part in state)


def map_trace(trace: list[Trace], function: Callable[[Tensor], Tensor]) -> list[Trace]:
    """``function`` of every tensor of a trace, if there is one (zero or one entry)."""
    return [
        Trace(
            None if t.states is None else map_state(t.states, function),
            None
            if t.gates is None
            else tuple({k: function(g) for k, g in gates.items()} for gates in t.gates),
        )
        for t in trace
    ]
