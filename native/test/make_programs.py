"""Writes programs/: cells for the core's test, compiled as layers compile them."""

import ctypes
from itertools import product
from pathlib import Path
from textwrap import wrap
from typing import Any

from throughtime import cells
from throughtime.cells.tracing import trace
from throughtime.kernels.encoding import encode
from throughtime.kernels.program import Variant, compile_step
from throughtime.layers.lowering import lower

FOLDER = Path(__file__).with_name("programs")
START = """\
// Made by make_programs.py, do not edit. `slots` depends on the number of units and is
// left to the test.
// clang-format off
#pragma once

#include "../program.h"
"""
# save and pure; without save there is nothing that pure could change.
WAYS = ((True, True), (True, False), (False, False))
PUBLISHED = ("multiplicative_lstm", "slstm", "qrnn", "rhn", "lem")


def families() -> dict[str, dict[str, cells.Cell]]:
    """The cells, under the names that the test knows them by."""
    simple: dict[str, cells.Cell] = {}
    for name in cells.ACTIVATIONS:
        alpha = 0.5 if name in ("elu", "leaky_relu") else None
        simple[f"elman_{name}"] = cells.Elman(1, 2, nonlinearity=name, alpha=alpha)
    for name in ("tanh", "prelu"):
        leaky = cells.Leaky(1, 2, nonlinearity=name, leak_rate=0.25)
        simple[f"leaky_{name}"] = leaky
    lstm = {
        "lstm": cells.LSTM(1, 2),
        "lstm_peephole": cells.LSTM(1, 2, peephole=True),
    }
    layer_norm = {
        "lstm_layer_norm": cells.LSTM(1, 2, layer_norm=True),
        "lstm_peephole_layer_norm": cells.LSTM(1, 2, peephole=True, layer_norm=True),
    }
    gru = {
        "gru": cells.GRU(1, 2),
        "gru_reset_before": cells.GRU(1, 2, reset_after=False),
    }
    return {
        "simple": simple,
        "lstm": lstm,
        "layer_norm": layer_norm,
        "gru": gru,
        "published": {name: cells.build_cell(name, 1, 2) for name in PUBLISHED},
    }


class Writer:
    """Collects arrays, each only once, and writes structures that point to them."""

    def __init__(self) -> None:
        self.arrays: dict[tuple[str, str], str] = {}  # kind, values -> name
        self.programs: list[str] = []

    def program(self, name: str, cell: cells.Cell, variant: Variant) -> None:
        """Add the program of a cell's step."""
        made = encode(compile_step(lower(cell, trace(cell)), variant), 1)
        made.slots = 0
        flags = (variant.save, variant.pure, variant.projected)
        words = ",".join(str(flag).lower() for flag in flags)
        self.programs.append(f'{{"{name}",{words},{self._program(made)}}}')

    def text(self, family: str) -> str:
        """The header of a family."""
        parts = [f"namespace {family} {{"]
        for key, name in self.arrays.items():
            kind, values = key
            parts.append(f"static const {kind} {name}[] = {values};")
        parts.append("static const Program all[] = {")
        parts += [f"{program}," for program in self.programs]
        parts += ["};", "}"]
        return START + "\n" + "\n".join(map(_wrapped, parts)) + "\n"

    def _program(self, made: Any) -> str:
        values: list[str] = []
        for field, *_ in made._fields_:
            value = getattr(made, field)
            if field in ("forward", "backward"):
                values.append(self._schedule(value))
            elif field == "constants":
                count = made.constants_count
                values.append(self._array("double", value, count))
            else:
                values.append(_literal(value))
        return "{" + ",".join(values) + "}"

    def _schedule(self, made: Any) -> str:
        phases = made.phases[: made.count]
        ops = max((phase.end for phase in phases), default=0)
        norms = max((phase.norms_end for phase in phases), default=0)
        arrays = (
            self._array("tt_op", made.ops, ops),
            self._array("tt_phase", phases, made.count),
            self._array("tt_norm", made.norms, norms),
        )
        rest = (made.count, made.registers, made.spills)
        return "{" + ",".join([*arrays, *map(str, rest)]) + "}"

    def _array(self, kind: str, values: Any, count: int) -> str:
        if not count:
            return "nullptr"
        items = ",".join(_literal(value) for value in values[:count])
        name = f"{kind.removeprefix('tt_')}{len(self.arrays)}"
        return self.arrays.setdefault((kind, f"{{{items}}}"), name)


def _literal(value: Any) -> str:
    if isinstance(value, ctypes.Array):
        items = [_literal(item) for item in value]
        while items and items[-1] in ("0", "{}"):
            items.pop()
        return "{" + ",".join(items) + "}"
    if isinstance(value, ctypes.Structure):
        fields = (_literal(getattr(value, field[0])) for field in value._fields_)
        return "{" + ",".join(fields) + "}"
    return repr(value)


def _wrapped(text: str) -> str:
    spaced = text.replace("},{", "}, {")
    return "\n".join(wrap(spaced, 92, break_long_words=False, break_on_hyphens=False))


def headers() -> dict[str, str]:
    """The text of each file in programs/."""
    found: dict[str, str] = {}
    for family, members in families().items():
        writer = Writer()
        projections = (False, True) if family in ("lstm", "layer_norm") else (False,)
        for name, cell in members.items():
            for projected, (save, pure) in product(projections, WAYS):
                writer.program(name, cell, Variant(save, pure, projected))
        found[f"{family}.h"] = writer.text(family)
    return found


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in headers().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
