"""Recomputing a layer by segments: how long they are, and those of plain torch."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from throughtime.checks import positive_int
from throughtime.layers.loop import Pass, Unrolled

# Shorter segments cost more time than they save memory: measured.
SHORTEST = 64


def check_recompute(recompute: Any) -> bool | int:
    """``recompute`` as ``Recurrent`` takes it.

    Raises:
        InvalidType: neither a bool nor an int.
        InvalidValue: an int below 1.
    """
    if isinstance(recompute, bool):
        return recompute
    return positive_int("recompute", recompute)


def segment_steps(steps: int, recompute: bool | int) -> int:
    """Steps of a segment, 0 without recomputing.

    By default a power of two between 2 √T and 4 √T, at least 64. √T would keep least,
    but each segment packs the weights anew, which takes as long as some ten steps. A
    power, so that few lengths need code of their own under ``torch.compile``.

    >>> [segment_steps(steps, True) for steps in (7, 1000, 1025, 10_000)]
    [64, 64, 128, 256]
    """
    if recompute is not True:
        return int(recompute)
    segment = SHORTEST
    while segment * segment < 4 * steps:
        segment *= 2
    return segment


def by_segments(function: Callable[..., Unrolled], one: Pass, segment: int) -> Unrolled:
    """``function``, the loop or the scan, of a pass of T > 0 steps, recomputed.

    Each segment of steps keeps what it reads, and is run once more when its gradient is
    asked for.
    """
    cell, x, state, weights, options = one
    rows = x.split(segment)
    in_time = [options[name] for name in _IN_TIME] + [options["noise"].hold]
    split = _pieces(tuple(in_time), segment, len(rows))
    parts: list[Any] = [None] * len(rows)
    order = range(len(rows))
    for i in reversed(order) if options["reverse"] else order:
        *given, hold = split[i]
        own = dict(options) | dict(zip(_IN_TIME, given, strict=True))
        own["noise"] = options["noise"]._replace(hold=hold)
        if options["lengths"] is not None:
            left = options["lengths"] - i * segment
            own["lengths"] = left.clamp(0, rows[i].size(0))
        # Random masks come from outside: nothing to restore for the second run.
        parts[i] = checkpoint(
            function,
            cell,
            rows[i],
            state,
            weights,
            use_reentrant=False,
            preserve_rng_state=False,
            **own,
        )
        state = parts[i].final_state
    return _joined(parts, state)


_IN_TIME = ("reset", "perturbation", "carry_gain")


def _pieces(value: Any, segment: int, count: int) -> list[Any]:
    """Every tensor in ``value`` cut in time; what is no tensor is in each piece."""
    if isinstance(value, Tensor):
        # split, not slices: the gradient of many slices is quadratic in their number.
        return list(value.split(segment))
    if isinstance(value, Mapping):
        columns = [_pieces(v, segment, count) for v in value.values()]
        return [
            dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)
        ]
    if isinstance(value, tuple):
        columns = [_pieces(v, segment, count) for v in value]
        return list(zip(*columns, strict=True))
    return [value] * count


def _joined(parts: list[Unrolled], state: Any) -> Unrolled:
    first = parts[0]
    if len(parts) == 1:
        return first
    outputs = torch.cat([part.outputs for part in parts])
    states = gates = None
    if first.states is not None:
        fields = zip(*(part.states for part in parts), strict=True)
        states = type(first.states)(*(torch.cat(field) for field in fields))
    if first.gates is not None:
        every = [part.gates or {} for part in parts]
        gates = {name: torch.cat([g[name] for g in every]) for name in first.gates}
    return Unrolled(outputs, state, states, gates)
