"""Writes src/known.h: the phases of the most used cells, to be compiled ahead of time.

Run it after every change to how programs are made; a test compares.
"""

from pathlib import Path
from textwrap import wrap

from throughtime import cells
from throughtime.cells.tracing import trace
from throughtime.kernels.encoding import encode
from throughtime.kernels.program import Variant, compile_step
from throughtime.layers.lowering import lower

FILE = Path(__file__).parent / "src" / "known.h"
CELLS = (
    cells.Elman(1, 2),
    cells.Elman(1, 2, nonlinearity="relu"),
    cells.LSTM(1, 2),
    cells.LSTM(1, 2, peephole=True),
    cells.LSTM(1, 2, layer_norm=True),
    cells.GRU(1, 2),
    cells.GRU(1, 2, reset_after=False),
)
VARIANTS = (Variant(save=True, pure=True), Variant(save=False, pure=True))


def phases() -> list[tuple[str, int]]:
    """The operations of each phase, and how many registers they need; no two alike."""
    found: dict[str, int] = {}
    for cell in CELLS:
        for variant in VARIANTS:
            made = encode(compile_step(lower(cell, trace(cell)), variant), 1)
            for schedule in (made.forward, made.backward):
                for phase in schedule.phases[: schedule.count]:
                    ops = schedule.ops[phase.begin : phase.end]
                    text = ", ".join(
                        f"{{{op.code}, {op.out}, {op.a}, {op.b}, {op.c}}}" for op in ops
                    )
                    found[text] = max(found.get(text, 1), schedule.registers)
    return list(found.items())


def header() -> str:
    """The text of known.h."""
    lines = [
        "// Made by make_known.py, do not edit.",
        "// clang-format off",
        "#pragma once",
        "",
        '#include "throughtime.h"',
        "",
        "namespace TT_ISA {",
        "",
    ]
    made = phases()
    for number, (text, registers) in enumerate(made):
        lines.append(f"struct Known{number} {{")
        lines.append(f"  static constexpr int registers = {registers};")
        lines += wrap(
            f"  static constexpr tt_op ops[] = {{{text}}};",
            92,
            subsequent_indent="    ",
        )
        lines.append("};")
    names = ", ".join(f"Known{number}" for number in range(len(made)))
    lines += ["", "template <template <class...> class All>"]
    lines += wrap(f"using EveryKnown = All<{names}>;", 92, subsequent_indent="    ")
    return "\n".join([*lines, "", "}  // namespace TT_ISA", ""])


if __name__ == "__main__":
    FILE.write_text(header(), encoding="utf-8")
