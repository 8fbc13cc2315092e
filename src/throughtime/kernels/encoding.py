"""Programs as the core reads them: the structures of native/src/throughtime.h."""

import ctypes
from collections.abc import Sequence
from typing import Any

from throughtime.kernels.program import Program
from throughtime.kernels.schedule import KINDS, OPCODES, ROWS, Op, Place, Schedule

GATES = 16  # of one product
PRODUCTS = 4  # inside a step
FIELDS = 8  # of the state beside h

_CODES = {name: number for number, name in enumerate(OPCODES)}
_PLACES = {name: number for number, name in enumerate((*KINDS, *ROWS))}
_INT = ctypes.c_int32
_SHORT = ctypes.c_int16


class _Op(ctypes.Structure):
    _fields_ = tuple((name, _SHORT) for name in ("code", "out", "a", "b", "c"))


class _Phase(ctypes.Structure):
    _fields_ = tuple(
        (name, _INT) for name in ("product", "begin", "end", "norms_begin", "norms_end")
    )


class _Norm(ctypes.Structure):
    _fields_ = (
        ("eps", ctypes.c_double),
        ("number", _INT),
        ("count", _INT),
        ("pairs", _INT),
        ("values", _SHORT * GATES),
        ("others", _SHORT * GATES),
    )


class _Schedule(ctypes.Structure):
    _fields_ = (
        ("ops", ctypes.POINTER(_Op)),
        ("phases", ctypes.POINTER(_Phase)),
        ("norms", ctypes.POINTER(_Norm)),
        ("count", _INT),
        ("registers", _INT),
        ("spills", _INT),
    )


class Encoded(ctypes.Structure):
    """``tt_program``."""

    _fields_ = (
        ("forward", _Schedule),
        ("backward", _Schedule),
        ("constants", ctypes.POINTER(ctypes.c_double)),
        ("constants_count", _INT),
        ("x_gates", _INT),
        ("h_gates", _INT),
        ("fields", _INT),
        ("products", _INT),
        ("gates", _INT * PRODUCTS),
        ("extras", _INT),
        ("kept", _INT),
        ("norms", _INT),
        ("slots", _INT),
        ("dz_slots", _INT),
        ("x_slot", _INT),
        ("h_slot", _INT),
        ("slot", _INT * PRODUCTS),
        ("x_order", _INT * GATES),
        ("h_order", _INT * GATES),
        ("order", _INT * GATES * PRODUCTS),
        ("direct", _INT),
    )


def too_large(program: Program) -> str:
    """Why the core has no room for a program; empty if it has."""
    definition = program.definition
    inner = [gates for _, gates in definition.inner]
    for what, count, most in (
        ("gates of one product", max(definition.x_gates, definition.h_gates, 1), GATES),
        ("gates of one product", max(inner, default=1), GATES),
        ("products inside a step", len(inner), PRODUCTS),
        ("fields of the state beside h", len(definition.fields) - 1, FIELDS),
        ("numbers kept", program.kept, 1000),
    ):
        if count > most:
            return f"{count} {what}, where the kernels have room for {most}"
    return ""


def encode(program: Program, hidden_size: int) -> Encoded:
    """The program for H units; it holds everything that it points to."""
    definition, layout = program.definition, program.layout
    made = Encoded(
        forward=_schedule(program.forward),
        constants=(ctypes.c_double * max(1, len(program.constants)))(
            *program.constants
        ),
        constants_count=len(program.constants),
        x_gates=definition.x_gates,
        h_gates=definition.h_gates,
        fields=len(definition.fields) - 1,
        products=len(definition.inner),
        extras=definition.rows,
        kept=program.kept,
        norms=program.rows,
        slots=program.slots(hidden_size),
        dz_slots=layout.slots,
        x_slot=layout.x,
        h_slot=layout.h,
        direct=program.direct,
    )
    if program.backward is not None:
        made.backward = _schedule(program.backward)
    for number, (_, gates) in enumerate(definition.inner):
        made.gates[number] = gates
    made.x_order[: len(layout.x_order)] = layout.x_order
    made.h_order[: len(layout.h_order)] = layout.h_order
    made.slot[: len(layout.inner)] = layout.inner
    for number, order in enumerate(layout.inner_order):
        made.order[number][: len(order)] = order
    return made


def _schedule(schedule: Schedule) -> _Schedule:
    ops: list[_Op] = []
    phases: list[_Phase] = []
    norms: list[_Norm] = []
    for phase in schedule.phases:
        begin, norms_begin = len(ops), len(norms)
        ops += map(_op, phase.ops)
        for number in phase.norms:
            norm = schedule.norms[number]
            one = _Norm(norm.eps, number, len(norm.values), bool(norm.others))
            one.values[: len(norm.values)] = list(map(_place, norm.values))
            one.others[: len(norm.others)] = list(map(_place, norm.others))
            norms.append(one)
        phases.append(_Phase(phase.product, begin, len(ops), norms_begin, len(norms)))
    return _Schedule(
        _array(_Op, ops),
        _array(_Phase, phases),
        _array(_Norm, norms),
        len(phases),
        schedule.registers,
        schedule.spills,
    )


def _array(kind: Any, items: Sequence[Any]) -> Any:
    return (kind * max(1, len(items)))(*items)


def _op(op: Op) -> _Op:
    return _Op(_CODES[op.code], *map(_place, op[1:]))


def _place(place: Place) -> int:
    return _PLACES[place.kind] * 1024 + place.number
