"""A list of operations from a graph of expressions, in phases.

A phase runs over some units at a time, with values in registers. Where a value needs
all units of its row (a product inside the step, a normalised row), a new phase begins;
what a later phase reads is left in spills.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from throughtime.kernels.expressions import OPERATIONS, Node, below

# Kinds of operands, as in native/src/throughtime.h.
KINDS = ("register", "x", "h", "m", "param", "const", "spill", "dh")
# Rows of memory that are loaded and stored.
ROWS = ("h_old", "c_old", "h_new", "c_new", "saved", "mid", "out", "dz", "dc")
OPCODES = (
    *OPERATIONS,
    *("load", "store", "store_far", "accumulate", "normalise", "norm_gradient"),
)


class Place(NamedTuple):
    """An operand: its kind and number."""

    kind: str
    number: int


NOTHING = Place("register", 0)


class Op(NamedTuple):
    """One operation on a strip of numbers; unused operands are 0."""

    code: str
    out: Place
    a: Place = NOTHING
    b: Place = NOTHING
    c: Place = NOTHING


class Norm(NamedTuple):
    """Sums over a row: moments of ``values``, or the sums of values and of v times o.

    Other numbers than spills and gates are copied there first.
    """

    values: tuple[Place, ...]
    others: tuple[Place, ...]
    eps: float


@dataclass
class Phase:
    """Operations, after ``product`` (-1: none) and before the sums of ``norms``."""

    product: int = -1
    ops: list[Op] = field(default_factory=list)
    norms: list[int] = field(default_factory=list)


class Sink(NamedTuple):
    """Where a value goes: code of the op, place, and whether only at the very end."""

    node: Node
    code: str
    to: Place
    last: bool = False


@dataclass
class Schedule:
    """What the core runs, forward or backward; ``norms`` by number of their row."""

    phases: list[Phase]
    norms: dict[int, Norm]
    registers: int
    spills: int


# How a leaf is read: an operand, or a row to load first; None: it is no leaf.
Read = Callable[[Node], Place | None]
# Leaves that are there in one phase only.
_PASSING = ("m", "d_m", "d_state")


def schedule(
    sinks: Sequence[Sink], read: Read, arrivals: dict[int, tuple[Node, ...]]
) -> Schedule:
    """Operations that compute every sink.

    Args:
        sinks: what is wanted.
        read: how leaves are read.
        arrivals: per product inside the step, the nodes that enter it.
    """
    return _Scheduler(sinks, read, arrivals).run()


class _Scheduler:
    def __init__(
        self, sinks: Sequence[Sink], read: Read, arrivals: dict[int, tuple[Node, ...]]
    ) -> None:
        self.sinks, self.read, self.arrivals = sinks, read, arrivals
        roots = [s.node for s in sinks]
        self.order = below([*roots, *(n for a in arrivals.values() for n in a)])
        self.product_phase: dict[int, int] = {}
        self.natural: dict[Node, int] = {}
        self.phase_of: dict[Node, int] = {}
        self.kept: dict[Node, Place] = {}
        self.norms: dict[int, Norm] = {}

    def run(self) -> Schedule:
        for node in self.order:
            self._natural(node)
        count = 1 + max(self.natural.values())
        self._delay(count - 1)
        self._keep(count - 1)
        phases = [Phase() for _ in range(count)]
        for number, phase in self.product_phase.items():
            phases[phase].product = number
        registers = max(self._emit(p, phase) for p, phase in enumerate(phases))
        self._sums(phases)
        return Schedule(phases, self.norms, registers, len(self.kept))

    # ---- which phase

    def _natural(self, node: Node) -> int:
        """The first phase in which a node can be computed."""
        if node not in self.natural:
            if node.op in ("m", "d_m"):
                number = node.attribute[0] if node.op == "m" else node.attribute
                self.natural[node] = self._arrival(number)
            else:
                found = max((self._natural(a) for a in node.args), default=0)
                rows = node.op in ("norm", "norm_gradient")
                self.natural[node] = found + 1 if rows else found
        return self.natural[node]

    def _arrival(self, number: int) -> int:
        if number not in self.product_phase:
            entering = self.arrivals[number]
            found = 1 + max((self._natural(n) for n in entering), default=0)
            while found in self.product_phase.values():
                found += 1  # one product per phase
            self.product_phase[number] = found
        return self.product_phase[number]

    def _delay(self, last: int) -> None:
        """Each node as late as its first user needs it: less to spill."""
        need = dict.fromkeys(self.order, last + 1)
        for number, nodes in self.arrivals.items():
            for node in nodes:
                need[node] = min(need[node], self.product_phase[number] - 1)
        for node in reversed(self.order):
            natural = self.natural[node]
            late = natural if need[node] > last else max(natural, need[node])
            if node.op in _PASSING:
                late = natural
            self.phase_of[node] = late
            before = late - 1 if node.op in ("norm", "norm_gradient") else late
            for arg in () if node.op == "m" else node.args:
                need[arg] = min(need[arg], before)

    def _keep(self, last: int) -> None:
        """A spill for each node that a later phase reads, or whose row is summed."""
        for node in self.order:
            if node.op == "m":
                continue
            for arg in node.args:
                summed = node.op in ("norm", "norm_gradient")
                if self.phase_of[arg] < self.phase_of[node] or summed:
                    self._spill(arg, summed)
        for sink in self.sinks:
            if sink.last and self.phase_of[sink.node] < last:
                self._spill(sink.node, False)

    def _spill(self, node: Node, summed: bool) -> None:
        place = self.read(node)
        lasting = place is not None and node.op not in _PASSING
        in_row = place is not None and place.kind in ROWS
        if node in self.kept or (lasting and not (summed and in_row)):
            return
        if node.op == "const":
            return
        self.kept[node] = Place("spill", len(self.kept))

    # ---- the operations of a phase

    def _emit(self, number: int, phase: Phase) -> int:
        """Fills a phase and returns how many registers it takes."""
        wanted = [n for n in self.order if self._in_phase(n, number)]
        uses: dict[Node, int] = {}  # last position at which a register is read
        steps: list[tuple[Node | None, Sink | None]] = []
        there: set[Node] = set()

        def bring(node: Node) -> None:
            """A value that an operation of this phase reads."""
            if node in there:
                return
            place = self.read(node)
            if place is not None and place.kind not in ROWS and node not in self.kept:
                return
            if node in self.kept and self.phase_of[node] < number:
                return
            if place is None and self.phase_of[node] < number:
                raise AssertionError(f"{node} is not kept")
            there.add(node)
            steps.append((node, None))

        by_node: dict[Node, list[Sink]] = {}
        at_end: list[Sink] = []
        for sink in self.sinks:
            if sink.last:
                if number == max(self.phase_of.values()):
                    at_end.append(sink)
            elif self.phase_of[sink.node] == number:
                by_node.setdefault(sink.node, []).append(sink)
        for node in wanted:
            if self.read(node) is None:
                for arg in () if node.op in ("m",) else node.args:
                    bring(arg)
            if self.read(node) is None or node in self.kept or node in by_node:
                bring(node)
            steps += [(None, sink) for sink in by_node.get(node, ())]
        for sink in at_end:
            bring(sink.node)
            steps.append((None, sink))
        for position, (node, sink) in enumerate(steps):
            read = [sink.node] if sink is not None else []
            if node is not None and self.read(node) is None:
                read = list(self._arguments(node))
            for arg in read:
                uses[arg] = position
        return self._allocate(phase, steps, uses)

    def _in_phase(self, node: Node, number: int) -> bool:
        return self.phase_of[node] == number

    def _arguments(self, node: Node) -> Sequence[Node]:
        """What the operation of a node reads as operands."""
        if node.op == "norm":
            return (node.args[node.attribute.value],)
        if node.op == "norm_gradient":
            half, value = len(node.args) // 2, node.attribute.value
            return node.args[half + value], node.args[value]
        return node.args

    def _allocate(
        self,
        phase: Phase,
        steps: Sequence[tuple[Node | None, Sink | None]],
        uses: dict[Node, int],
    ) -> int:
        free: list[int] = []
        held: dict[Node, int] = {}
        most = 0

        def operand(node: Node) -> Place:
            if node in held:
                return Place("register", held[node])
            if node in self.kept:
                return self.kept[node]
            place = self.read(node)
            assert place is not None, node
            assert place.kind not in ROWS, node
            return place

        for position, (node, sink) in enumerate(steps):
            if sink is not None:
                phase.ops.append(Op(sink.code, sink.to, operand(sink.node)))
                done: Iterable[Node] = (sink.node,)
                target = None
            else:
                assert node is not None
                done = self._arguments(node) if self.read(node) is None else ()
                target = node
            operands = [operand(n) for n in done] if target is not None else []
            for n in dict.fromkeys(done):
                if uses.get(n) == position and n in held:
                    free.append(held.pop(n))
            if target is None:
                continue
            if target in self.kept:
                out = self.kept[target]
            else:
                index = free.pop() if free else most
                most = max(most, index + 1)
                held[target] = index
                out = Place("register", index)
            phase.ops.append(self._operation(target, out, operands))
            if target in held and target not in uses:
                free.append(held.pop(target))
        return most

    def _operation(self, node: Node, out: Place, operands: Sequence[Place]) -> Op:
        place = self.read(node)
        if place is not None:
            return Op("load" if place.kind in ROWS else "copy", out, place)
        if node.op == "norm":
            row = Place("register", node.attribute.number)
            return Op("normalise", out, operands[0], row)
        if node.op == "norm_gradient":
            row = Place("register", node.attribute.number)
            return Op("norm_gradient", out, operands[0], operands[1], row)
        code = "copy" if node.op == "detach" else node.op
        return Op(code, out, *(*operands, NOTHING, NOTHING, NOTHING)[:3])

    def _sums(self, phases: Sequence[Phase]) -> None:
        rows = [n for n in self.order if n.op in ("norm", "norm_gradient")]
        # A row is summed before the first phase that reads it.
        for node in sorted(rows, key=self.phase_of.__getitem__):
            number = node.attribute.number
            if number in self.norms:
                continue
            half = len(node.args) // 2
            pair = node.op == "norm_gradient"
            values = node.args[half:] if pair else node.args
            others = node.args[:half] if pair else ()
            self.norms[number] = Norm(
                tuple(map(self._summed, values)),
                tuple(map(self._summed, others)),
                node.attribute.eps,
            )
            phases[self.phase_of[node] - 1].norms.append(number)

    def _summed(self, node: Node) -> Place:
        place = self.kept.get(node) or self.read(node)
        assert place is not None
        return place
