"""Apply a cell over time: by compiled steps where there are some, a scan, or a loop."""

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from throughtime import kernels
from throughtime.cells import Cell
from throughtime.errors import InvalidValue, unknown_name
from throughtime.layers import native, on_triton
from throughtime.layers.instrument import instrument
from throughtime.layers.loop import Noise, Pass, Unrolled, loop
from throughtime.layers.packed import pack_rows, pad_rows
from throughtime.layers.scan import missing_scan, scan
from throughtime.layers.segments import by_segments, segment_steps

BACKENDS = ("auto", "loop", "native", "triton", "scan")


def check_backend(backend: str, cells: Sequence[Cell]) -> str:
    """``backend``, if it can run these cells.

    Raises:
        InvalidValue: unknown backend, one that cannot run here or has no rule for a
            cell, or ``scan`` for a cell that does not allow it; the message says why.
    """
    # An output layer has no cells, and no steps to scan.
    known = BACKENDS if cells else tuple(name for name in BACKENDS if name != "scan")
    if backend not in known:
        raise unknown_name("backend", backend, known)
    if backend in ("native", "triton"):
        why = kernels.missing if backend == "native" else kernels.triton_missing
        reason = why()
        if reason is not None:
            raise InvalidValue(f"backend={backend!r} cannot run: {reason}")
        for cell in cells:
            reason = native.missing_rule(cell)
            if reason:
                raise InvalidValue(
                    f"backend={backend!r} cannot run {cell!r}: {reason}; use "
                    "backend='auto', which takes the plain loop"
                )
    if backend == "scan":
        for cell in cells:
            reason = missing_scan(cell)
            if reason:
                raise InvalidValue(
                    f"backend='scan' cannot run {cell!r}: {reason}; use backend='auto'"
                )
    if backend == "auto":
        reasons = [native.missing_rule(cell) for cell in cells if missing_scan(cell)]
        if reasons or not cells:
            _say_once_if_slow()
        for reason in reasons:
            _say_once_if_unknown(reason)
    return backend


@cache
def _say_once_if_slow() -> None:
    reason = kernels.missing()
    if reason is not None:
        warnings.warn(
            f"recurrent layers run on the plain loop, several times slower: {reason}",
            stacklevel=4,
        )


@cache
def _say_once_if_unknown(reason: str) -> None:
    if reason:
        warnings.warn(
            f"a cell runs on the plain loop, several times slower: {reason}",
            stacklevel=4,
        )


def used_backend(backend: str, cells: Sequence[Cell], weights: Sequence[Tensor]) -> str:
    """What runs for these cells and weights: a backend, or ``mixed`` of several."""
    pairs = zip(cells, weights, strict=True)
    found = {_runner(backend, cell, [weight]) for cell, weight in pairs}
    return "mixed" if len(found) > 1 else found.pop()


def _runner(backend: str, cell: Cell, tensors: Sequence[Tensor]) -> str:
    """Who runs a cell on these tensors."""
    if backend in ("auto", "triton"):
        asked = backend == "triton"
        if on_triton.usable(cell, tensors, asked=asked):
            return "triton"
    if backend in ("auto", "native") and native.usable(cell, tensors):
        return "native"
    if backend == "scan" or (backend == "auto" and not missing_scan(cell)):
        return "scan"
    return "loop"


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
    carry_gain: Tensor | None = None,
    return_states: bool = False,
    return_gates: bool = False,
    backend: str = "auto",
    recompute: bool | int = False,
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
        "carry_gain": carry_gain,
        "return_states": return_states,
        "return_gates": return_gates,
    }
    passes = [Pass(cell, x, state, weights, options)]
    return unroll_all(passes, backend=backend, recompute=recompute)[0]


def unroll_all(
    passes: Sequence[Pass], *, backend: str = "auto", recompute: bool | int = False
) -> list[Unrolled]:
    """``unroll`` of one pass, or of both directions of a layer.

    Args:
        passes: with every option of ``loop``.
        backend: one of ``BACKENDS``.
        recompute: keep nothing but the inputs and the states between segments of steps
            for the gradient, and run each segment forward once more when it is asked
            for; an int is the steps of a segment.
    """
    runs = instrument()
    if runs is not None:
        done = [runs(_padded(one)) for one in passes]
        return [_packed_again(*pair) for pair in zip(passes, done, strict=True)]
    runners = {_runner_of(backend, one) for one in passes}
    if runners == {"native"}:
        return native.run(passes, recompute)
    # The others know no packed rows.
    padded = [_padded(one) for one in passes]
    if runners == {"triton"}:
        done = native.run(padded, recompute, triton=True)
    else:
        done = [_by_torch(one, recompute, "scan" in runners) for one in padded]
    return [_packed_again(*pair) for pair in zip(passes, done, strict=True)]


def _runner_of(backend: str, one: Pass) -> str:
    cell, x, state, weights, options = one
    # Without steps there is nothing to scan.
    if backend == "loop" or not x.size(0) or not x.size(1):
        return "loop"
    more = [*(options["initial"] or ()), *(options["perturbation"] or ())]
    given = [x, *weights.values(), *state, *(t for t in more if t is not None)]
    return _runner(backend, cell, given)


def _padded(one: Pass) -> Pass:
    options = dict(one.options)
    packed = options.pop("packed", None)
    if packed is None:
        return one._replace(options=options)
    x = pad_rows(one.x, packed, options["lengths"])
    return one._replace(x=x, options=options)


def _packed_again(one: Pass, done: Unrolled) -> Unrolled:
    if one.options.get("packed") is None:
        return done
    return done._replace(outputs=pack_rows(done.outputs, one.options["lengths"]))


def _by_torch(one: Pass, recompute: bool | int, scanned: bool) -> Unrolled:
    function = scan if scanned else loop
    # Saved tensors cannot be intercepted inside torch.func.
    if not recompute or not torch.is_grad_enabled() or native.transformed():
        return function(*one[:4], **one.options)
    return by_segments(function, one, segment_steps(one.x.size(0), recompute))
