"""The Triton kernels of one step of a cell, forward and backward.

What surrounds a step is written into its kernels: sequences that have ended, resets,
zoneout, what is added to the state, and the gains of gradients.

Forward, state 0 is the one that enters the first step: a kernel reads ``h_old`` and
leaves ``h_next``, the state that enters the next one, reset where that step asks for
it; ``h_new`` is the output, where it differs from that. Backward, ``past`` carries the
gradient of h that does not go through the recurrent product, and ``back`` what came
through it; ``carry`` the gradient of the other fields.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from throughtime.kernels.program import Program
from throughtime.kernels.schedule import Phase, Place, Schedule
from throughtime.kernels.triton_code import Kernel, Writer


class Given(NamedTuple):
    """What of ``Inputs`` there is, and which gradients arrive at every step.

    share: the part of the old value by field, as in ``Inputs``.
    """

    lengths: bool = False
    reset: bool = False
    mask: bool = False
    hold_h: bool = False
    hold_c: bool = False
    added_h: bool = False
    added_c: bool = False
    carry_gain: bool = False
    share: tuple[float, ...] = ()
    grad_h: bool = False
    grad_c: bool = False

    def has(self, name: str, field: int) -> bool:
        """Whether there is ``name`` for a field of the state."""
        return bool(getattr(self, f"{name}_c" if field else f"{name}_h"))

    def part(self, field: int) -> float:
        """The share of the old value in a field."""
        return self.share[field] if field < len(self.share) else 0.0

    def holds(self, field: int) -> bool:
        """Whether a field keeps some of its old value."""
        return self.has("hold", field) or self.part(field) != 0


class Kernels(NamedTuple):
    """The kernels of a step in their order, and the one for a projected h."""

    inside: tuple[Kernel, ...]
    outer: Kernel | None


@cache
def forward_kernels(program: Program, given: Given) -> Kernels:
    """A step forward; ``outer`` follows the projection.

    >>> import throughtime as tt
    >>> from throughtime.kernels import Variant, program_of
    >>> from throughtime.layers.lowering import lowered
    >>> key = lowered(tt.cells.GRU(3, 4)).key
    >>> found = forward_kernels(program_of(key, Variant(False, True)), Given())
    >>> [kernel.tensors for kernel in found.inside]
    [('h', 'h_next', 'h_old', 'x')]
    """
    inside: list[Kernel] = []
    for number, (phases, later) in enumerate(_groups(program.forward)):
        writer = _Forward(
            f"forward_{number}", program, program.forward, given, phases, later
        )
        for phase in phases:
            writer.run(phase)
        inside.append(writer.kernel())
    if not program.variant.projected:
        return Kernels(tuple(inside), None)
    outer = _Forward("forward_outer", program, program.forward, given)
    outer.settle(0, outer.load("projected", "row * H + unit"))
    return Kernels(tuple(inside), outer.kernel())


@cache
def backward_kernels(program: Program, given: Given) -> Kernels:
    """A step backward; ``outer`` comes before the product with the projection."""
    assert program.backward is not None
    projected = program.variant.projected
    inside: list[Kernel] = []
    groups = _groups(program.backward)
    for number, (phases, later) in enumerate(groups):
        name = f"backward_{number}"
        writer = _Backward(name, program, program.backward, given, phases, later)
        if number == 0:
            for field in range(int(projected), writer.fields + 1):
                writer.arrive(field)
        for phase in phases:
            writer.run(phase)
        inside.append(writer.kernel())
    if not projected:
        return Kernels(tuple(inside), None)
    outer = _Backward("backward_outer", program, program.backward, given)
    outer.store("dh_row", "row * H + unit", outer.existing(outer.arrive(0)))
    return Kernels(tuple(inside), outer.kernel())


def _groups(schedule: Schedule) -> list[tuple[list[Phase], list[Phase]]]:
    """The phases of each kernel, and all that come later."""
    groups: list[list[Phase]] = []
    for phase in schedule.phases:
        if not groups or phase.product >= 0:
            groups.append([])
        groups[-1].append(phase)
    return [
        (group, [phase for more in groups[k + 1 :] for phase in more])
        for k, group in enumerate(groups)
    ]


class _Step(Writer):
    def __init__(
        self,
        name: str,
        program: Program,
        schedule: Schedule,
        given: Given,
        phases: Sequence[Phase] = (),
        later: Sequence[Phase] = (),
    ) -> None:
        product = phases[0].product if phases else -1
        super().__init__(name, program, schedule, given.lengths, product, later)
        self.given = given
        self.left = {op.out for p in phases for op in p.ops if op.code == "store"}
        self.fields = len(program.definition.fields) - 1

    def field(self, field: int) -> tuple[str, str]:
        """The grid of a field of the state, h or c, and where it lies in a row."""
        if field == 0:
            return "h", "row * H + unit"
        return "c", f"(row * {self.fields} + {field - 1}) * H + unit"

    def masked(self, value: str) -> str:
        """Times the mask of what enters products."""
        if not self.given.mask:
            return value
        return f"{value} * {self.load('mask', 'row * H + unit')}"


class _Forward(_Step):
    def sink(self, place: Place, value: str) -> None:
        if place.kind == "h_new":
            self.settle(0, value)
        elif place.kind == "c_new":
            self.settle(place.number + 1, value)
        else:
            if place.kind == "mid":
                value = self.masked(value)
            super().sink(place, value)

    def settle(self, field: int, value: str) -> None:
        """The new value of a field: what is done to it, and what the next step sees."""
        given, (grid, at) = self.given, self.field(field)
        old = ""
        if given.holds(field) or given.lengths:
            old = self.load(f"{grid}_old", at)
        if given.has("hold", field):
            held = self.flag(f"hold_{grid}", at)
            value = self.let(f"tl.where({held}, {old}, {value})")
        if share := given.part(field):
            value = self.let(f"{share!r} * {old} + {1 - share!r} * {value}")
        if given.has("added", field):
            value = self.let(f"{value} + {self.load(f'added_{grid}', at)}")
        value = self.let(self.existing(value, old))
        if given.reset or (given.lengths and field == 0):
            self.store(f"{grid}_new", at, value if field else self.existing(value))
        if given.reset:
            again = self.load(f"initial_{grid}", at)
            value = self.let(f"tl.where({self.flag('reset')}, {again}, {value})")
        self.store(f"{grid}_next", at, value)
        if field == 0 and given.mask:
            self.store("h_entering", at, self.masked(value))


class _Backward(_Step):
    def arrive(self, field: int) -> str:
        """The gradient of a field after the step, without what zoneout passes by."""
        given, (grid, at) = self.given, self.field(field)
        carried = "carry" if field else "past"
        d = self.load(carried, at)
        if field == 0:
            d = self.let(f"{d} + {self.masked(self.load('back', at))}")
        if given.carry_gain:
            self.tensors.add("gain")
            d = self.let(f"{d} * tl.load(gain + row).to(WORK)")
        if given.reset:
            border, to = self.flag("reset"), f"grad_initial_{grid}"
            part = f"{self.load(to, at)} + tl.where({border}, {d}, 0.0)"
            self.store(to, at, part)
            d = self.let(f"tl.where({border}, 0.0, {d})")
        total = d
        if given.has("grad", field):
            d = self.let(f"{d} + {self.load(f'grad_{grid}_steps', at)}")
        if given.has("added", field):
            self.store(f"grad_added_{grid}", at, self.existing(d))
        aside = "tl.full([BLOCK], 0.0, WORK)"
        if given.holds(field):
            kept = repr(given.part(field))
            if given.has("hold", field):
                held = self.flag(f"hold_{grid}", at)
                kept = f"tl.where({held}, 1.0, {kept})"
            aside = self.let(f"{d} * {kept}")
            d = self.let(f"{d} - {aside}")
        # A sequence that has ended hands on what it was given.
        self.values[carried, at] = aside = self.let(self.existing(aside, total))
        place = Place("dc", field - 1) if field else Place("dh", 0)
        if place not in self.left:  # else it is stored with what is added there
            self.store(carried, at, aside)
        self.values[place] = d
        return d

    def run(self, phase: Phase) -> None:
        if phase.product >= 0:
            arrived = self.load("back_inner", "row * H + unit")
            self.values[Place("dh", 0)] = self.let(self.masked(arrived))
        elif Place("dh", 0) not in self.values and self.program.variant.projected:
            self.values[Place("dh", 0)] = self.load("dh", "row * H + unit")
        super().run(phase)

    def sink(self, place: Place, value: str) -> None:
        if place.kind not in ("dh", "dc"):
            if place.kind == "dz":
                value = self.existing(value)
            elif place.kind == "mid":
                value = self.masked(value)
            super().sink(place, value)
            return
        field = place.number + 1 if place.kind == "dc" else 0
        carried, (_, at) = "carry" if field else "past", self.field(field)
        aside = self.load(carried, at)
        self.store(carried, at, f"{aside} + {self.existing(value)}")
