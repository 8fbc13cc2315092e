"""Apply a cell over time: by the compiled core where it has a rule, else the loop."""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from torch import Tensor

from throughtime import kernels
from throughtime.cells import Cell
from throughtime.errors import InvalidValue, unknown_name
from throughtime.layers import native
from throughtime.layers.loop import Noise, Unrolled, loop

BACKENDS = ("auto", "loop", "native")


def check_backend(backend: str, cells: Sequence[Cell]) -> str:
    """``backend``, if it can run these cells.

    Raises:
        InvalidValue: unknown backend, or ``native`` without a compiled core or a rule
            for a cell; the message says why.
    """
    if backend not in BACKENDS:
        raise unknown_name("backend", backend, BACKENDS)
    if backend == "native":
        reason = kernels.missing()
        if reason is not None:
            raise InvalidValue(f"backend='native' cannot run: {reason}")
        for cell in cells:
            if native.kind_of(cell) is None:
                raise InvalidValue(
                    f"backend='native' has no rule for {cell!r}; use backend='auto'"
                )
    if backend == "auto":
        _say_once_if_slow()
    return backend


@cache
def _say_once_if_slow() -> None:
    reason = kernels.missing()
    if reason is not None:
        warnings.warn(
            f"recurrent layers run on the plain loop, several times slower: {reason}",
            stacklevel=4,
        )


def used_backend(backend: str, cells: Sequence[Cell], weights: Sequence[Tensor]) -> str:
    """What runs for these cells and weights: ``native``, ``loop`` or ``mixed``."""
    if backend == "loop":
        return "loop"
    fast = {
        native.usable(native.kind_of(cell), [weight])
        for cell, weight in zip(cells, weights, strict=True)
    }
    return "mixed" if len(fast) > 1 else "native" if fast.pop() else "loop"


def unroll(
    cell: Cell,
    x: Tensor,
    state: Any,
    weights: Mapping[str, Tensor],
    *,
    initial: Any = None,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    noise: Noise | None = None,
    perturbation: Any = None,
    return_states: bool = False,
    return_gates: bool = False,
    backend: str = "auto",
) -> Unrolled:
    """Run ``cell`` over the T steps of ``x``; see ``loop`` for arguments and result."""
    noise = Noise() if noise is None else noise
    options: dict[str, Any] = {
        "initial": initial,
        "lengths": lengths,
        "reset": reset,
        "reverse": reverse,
        "noise": noise,
        "perturbation": perturbation,
        "return_states": return_states,
        "return_gates": return_gates,
    }
    if backend != "loop" and x.size(0) and x.size(1):
        kind = native.kind_of(cell)
        given = [x, *weights.values(), *state, *(initial or ()), *(perturbation or ())]
        if native.usable(kind, [t for t in given if t is not None]):
            assert kind is not None
            return native.run(cell, kind, x, state, weights, **options)
    return loop(cell, x, state, weights, **options)
