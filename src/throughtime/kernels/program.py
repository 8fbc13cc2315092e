"""The program of a cell for the core: its step forward and its derivative backward.

Both are schedules of operations, and both know what the forward one keeps. There is one
per way in which a layer may run, see ``Variant``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from throughtime.kernels.derivative import Gradients, differentiate
from throughtime.kernels.expressions import Definition, Node, below
from throughtime.kernels.fusing import fuse
from throughtime.kernels.saving import choose
from throughtime.kernels.schedule import Place, Schedule, Sink, schedule


class Variant(NamedTuple):
    """How a layer runs.

    save: a backward pass will follow.
    pure: the state that a step leaves is the step's own, nothing is added to it later.
    projected: h is multiplied by another matrix before it leaves the step.
    gates: all named gates are kept.
    """

    save: bool
    pure: bool
    projected: bool = False
    gates: bool = False


class Layout(NamedTuple):
    """Where gradients of pre-activations lie: neighbouring slots for each product.

    slots: how many; x, h: the first slot of theirs; order: the gate of the weight that
    each of their slots belongs to.
    """

    slots: int
    x: int
    x_order: tuple[int, ...]
    h: int
    h_order: tuple[int, ...]
    inner: tuple[int, ...]
    inner_order: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Program:
    """What the core needs to know of a cell.

    kept: numbers per unit that are kept; gates: the slots of named gates among them;
    direct: whether a gradient goes to the old h past the products.
    """

    definition: Definition
    variant: Variant
    kept: int
    gates: dict[str, int]
    layout: Layout
    direct: bool
    constants: tuple[float, ...]
    forward: Schedule
    backward: Schedule | None

    @property
    def rows(self) -> int:
        """Normalised rows: for each a number is kept."""
        return len(self.forward.norms)

    def slots(self, hidden_size: int) -> int:
        """Numbers kept per step, sequence and unit, those of rows included."""
        return self.kept + -(-self.rows // hidden_size)


def compile_step(definition: Definition, variant: Variant) -> Program:
    """The program of a step."""
    return _Compiler(definition, variant).program()


class _Compiler:
    def __init__(self, definition: Definition, variant: Variant) -> None:
        self.definition, self.variant = definition, variant
        self.make = definition.expressions
        self.constants: dict[float, int] = {}
        self.every = set(below(definition.state))
        self.kept: list[Node] = []

    def program(self) -> Program:
        definition, variant = self.definition, self.variant
        gradients = differentiate(definition)
        forced = list(definition.gates.values()) if variant.gates else []
        known = list(self._known())
        self.kept = choose(self._needed(gradients), known, forced)
        layout, dz, backward, kept = _NONE, [], None, list(dict.fromkeys(forced))
        if variant.save:
            kept = self.kept
            layout, dz = _layout(gradients)
            backward = self._backward(gradients, layout, dz, kept)
        forward = self._forward(kept)
        return Program(
            definition,
            variant,
            len(kept),
            {name: kept.index(n) for name, n in definition.gates.items()}
            if variant.gates
            else {},
            layout,
            gradients.state[0] is not None,
            tuple(self.constants),
            forward,
            backward,
        )

    # ---- what is kept

    def _roots(self, gradients: Gradients) -> list[Node]:
        """What the backward pass computes."""
        found = [*gradients.x, *gradients.h, *gradients.state, *gradients.rows]
        found += [node for gates in gradients.inner for node in gates]
        return [node for node in found if node is not None] + self._seen_again()

    def _seen_again(self) -> list[Node]:
        """Forward values that the weights' gradients need."""
        sources = [source for source, _ in self.definition.inner]
        return sources + [self.definition.state[0]] * self.variant.projected

    def _known(self) -> dict[Node, Node]:
        """Forward nodes that the backward pass finds in the new state."""
        if not self.variant.pure:
            return {}
        first = 1 if self.variant.projected else 0
        return {
            node: self.make.leaf("new", field)
            for field, node in enumerate(self.definition.state)
            if field >= first and not node.is_leaf
        }

    def _needed(self, gradients: Gradients) -> list[Node]:
        """Forward nodes that the derivative reads."""
        roots = self._roots(gradients)
        needed = {n: None for n in roots if n in self.every}
        for node in below(roots):
            if node not in self.every:
                needed |= {a: None for a in node.args if a in self.every}
        return list(needed)

    # ---- forward

    def _forward(self, kept: Sequence[Node]) -> Schedule:
        definition, save = self.definition, self.variant.save or self.variant.gates
        first = "out" if self.variant.projected else "h_new"
        sinks = [
            Sink(node, "store", Place("c_new", k - 1) if k else Place(first, 0))
            for k, node in enumerate(definition.state)
        ]
        sources = [source for source, _ in definition.inner]
        sinks += [Sink(n, "store", Place("mid", p)) for p, n in enumerate(sources)]
        if save:
            places = [Place("saved", slot) for slot in range(len(kept))]
            pairs = zip(kept, places, strict=True)
            sinks += [Sink(n, "store_far", place) for n, place in pairs]
        return self._schedule(sinks, {p: (n,) for p, n in enumerate(sources)})

    # ---- backward

    def _backward(
        self,
        gradients: Gradients,
        layout: Layout,
        dz: Sequence[Node | None],
        kept: Sequence[Node],
    ) -> Schedule:
        again = self._known()
        again |= {n: self.make.leaf("saved", slot) for slot, n in enumerate(kept)}
        found: dict[Node, Node] = {}
        for node in below([*self._roots(gradients), self.make.const(0.0)]):
            own = again.get(node)
            args = [found.get(a, a) for a in node.args]
            found[node] = own or self.make.again(node, args)

        def of(node: Node | None) -> Node:
            return self.make.const(0.0) if node is None else found[node]

        sinks = [
            Sink(of(node), "store", Place("dz", slot)) for slot, node in enumerate(dz)
        ]
        again_seen = [found[node] for node in self._seen_again()]
        sources = again_seen[: len(self.definition.inner)]
        sinks += [Sink(n, "store", Place("mid", p)) for p, n in enumerate(sources)]
        if self.variant.projected:
            sinks.append(Sink(again_seen[-1], "store", Place("out", 0)))
        for row, node in enumerate(gradients.rows):
            if node is not None:
                sinks.append(Sink(of(node), "accumulate", Place("param", row)))
        for field, node in enumerate(gradients.state):
            if field:
                place = Place("dc", field - 1)
                sinks.append(Sink(of(node), "store", place, last=True))
            elif node is not None:
                sinks.append(Sink(of(node), "store", Place("dh", 0), last=True))
        arrivals = {
            p: tuple(of(dz[layout.inner[p] + k]) for k in range(gates))
            for p, (_, gates) in enumerate(self.definition.inner)
        }
        return self._schedule(sinks, arrivals)

    # ---- both

    def _schedule(
        self, sinks: list[Sink], arrivals: dict[int, tuple[Node, ...]]
    ) -> Schedule:
        entering = [n for nodes in arrivals.values() for n in nodes]
        # What would be kept counts as read in every variant: all round alike.
        fused = fuse(self.make, [*(s.node for s in sinks), *entering, *self.kept])
        return schedule(
            [s._replace(node=fused[s.node]) for s in sinks],
            self._read,
            {p: tuple(fused[n] for n in nodes) for p, nodes in arrivals.items()},
        )

    def _read(self, node: Node) -> Place | None:
        if node.op == "m":
            return Place("m", node.attribute[1])
        if not node.is_leaf:
            return None
        number = node.attribute
        if node.op == "const":
            return Place(
                "const", self.constants.setdefault(number, len(self.constants))
            )
        if node.op in ("state", "new"):
            time = "old" if node.op == "state" else "new"
            return Place(f"c_{time}", number - 1) if number else Place(f"h_{time}", 0)
        if node.op == "d_state":
            return Place("dc", number - 1) if number else Place("dh", 0)
        return Place(
            "dh" if node.op == "d_m" else node.op, 0 if node.op == "d_m" else number
        )


_NONE = Layout(0, 0, (), 0, (), (), ())


def _layout(gradients: Gradients) -> tuple[Layout, list[Node | None]]:
    """Slots for the gradients of all gates; equal ones share a slot where they can.

    Slots of a product are neighbours: first what only x has, then what x and h share,
    then what only h has, then the products inside the step; the first of these may
    share with x.
    """
    x, h = dict(enumerate(gradients.x)), dict(enumerate(gradients.h))
    shared: list[tuple[int, int]] = []
    for i, node in x.items():
        for j, other in h.items():
            if node is other and j not in [b for _, b in shared]:
                shared.append((i, j))
                break
    x_only = [i for i in x if i not in [a for a, _ in shared]]
    h_only = [j for j in h if j not in [b for _, b in shared]]
    early: list[int] = []
    inner_orders: list[tuple[int, ...]] = []
    if gradients.inner:
        for node in gradients.inner[0]:
            match = [i for i in x_only if x[i] is node and i not in early]
            early += match[:1]
        if len(early) < len(gradients.inner[0]):
            early = []
    x_only = early + [i for i in x_only if i not in early]
    dz = [x[i] for i in x_only] + [x[i] for i, _ in shared] + [h[j] for j in h_only]
    slots_inner: list[int] = []
    for number, gates in enumerate(gradients.inner):
        inner_orders.append(tuple(range(len(gates))))
        if number == 0 and early:
            slots_inner.append(0)
            continue
        slots_inner.append(len(dz))
        dz += gates
    layout = Layout(
        len(dz),
        0,
        (*x_only, *(i for i, _ in shared)),
        len(x_only),
        (*(j for _, j in shared), *h_only),
        tuple(slots_inner),
        tuple(inner_orders),
    )
    return layout, dz
