"""Which cells allow a scan, and how: their step as affine functions of the old state.

A field is *known* once its values at all steps are. A field whose new value reads only
inputs, parameters and known fields is known at once. One that reads, beside those, its
own old value, as s' = a s + b with a and b free of it, is known after one scan over
time. When all fields are known so, in some order, the cell allows a scan.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from throughtime.cells import Cell
from throughtime.errors import ThroughtimeError
from throughtime.kernels import Definition, definition_of
from throughtime.kernels.expressions import Expressions, Node, below
from throughtime.layers.lowering import lowered


class Operation(NamedTuple):
    """One value, of a leaf or from earlier values, which go by their numbers."""

    name: str
    args: tuple[int, ...] = ()
    attribute: Any = None


class Stage(NamedTuple):
    """How one field becomes known: after these operations, s' = slope s + rest.

    ``slope`` and ``rest`` are numbers of values; None: zero.
    """

    field: int
    operations: tuple[Operation, ...]
    slope: int | None
    rest: int | None


class Plan(NamedTuple):
    """All fields in the order in which they become known, then the gates."""

    stages: tuple[Stage, ...] = ()
    gate_operations: tuple[Operation, ...] = ()
    gates: Mapping[str, int] = {}
    reason: str = ""


# By key, for states that nothing changes after the step and for others; a dictionary,
# as torch.compile looks through functools.cache.
_KNOWN: dict[str, tuple[Plan, Plan]] = {}


def plan_of(cell: Cell, changed: bool = False) -> Plan:
    """The plan of a cell, or with ``reason`` why it has none.

    Args:
        cell: the cell.
        changed: whether states are changed after the step (zoneout, perturbation), so
            that what the step goes on with is not the state that it returns.

    >>> from throughtime import cells
    >>> plan_of(cells.GRU(3, 4)).reason
    'its recurrent product reads h of the step before'
    """
    key, reason = lowered(cell)
    if reason:
        return Plan(reason=reason)
    if key not in _KNOWN:
        _KNOWN[key] = _plan(cell, key, False), _plan(cell, key, True)
    return _KNOWN[key][changed]


def _plan(cell: Cell, key: str, changed: bool) -> Plan:
    definition = definition_of(key)
    assert definition is not None
    if cell.output_size != cell.hidden_size:
        return Plan(reason="its h is projected")
    try:
        return _staged(definition, changed)
    except _Forbidden as error:
        return Plan(reason=str(error))


class _Forbidden(ThroughtimeError):
    """What makes a scan impossible."""


def _staged(definition: Definition, changed: bool) -> Plan:
    if definition.h_gates:
        raise _Forbidden("its recurrent product reads h of the step before")
    make, names = definition.expressions, definition.fields
    flat = _Flat()
    stages: list[Stage] = []
    unknown = list(range(len(names)))
    while unknown:
        reasons: list[str] = []
        for field in unknown:
            new, own = definition.state[field], make.leaf("state", field)
            reads = {n.attribute for n in below([new]) if n.op == "state"}
            if not reads & set(unknown):
                slope, rest = None, new
            elif reads & set(unknown) == {field}:
                try:
                    slope, rest = affine(make, new, own, names[field])
                except _Forbidden as error:
                    reasons.append(str(error))
                    continue
            else:
                continue
            operations = flat.take([n for n in (slope, rest) if n is not None])
            stages.append(
                Stage(field, operations, flat.number(slope), flat.number(rest))
            )
            unknown.remove(field)
            if slope is not None and not changed and not new.is_leaf:
                flat.known(new, field)
            break
        else:
            raise _Forbidden(reasons[0] if reasons else _circle(names, unknown))
    gates = flat.take(list(definition.gates.values()))
    found = {name: flat.numbers[node] for name, node in definition.gates.items()}
    return Plan(tuple(stages), gates, found)


def _circle(names: Sequence[str], unknown: Sequence[int]) -> str:
    *most, last = (repr(names[field]) for field in unknown)
    return (
        f"its state fields {', '.join(most)} and {last} read each other's values of "
        "the step before"
    )


def affine(
    make: Expressions, root: Node, variable: Node, name: str
) -> tuple[Node | None, Node | None]:
    """a and b of ``root`` = a ``variable`` + b, both free of it; None: zero.

    Raises:
        _Forbidden: it has no such form; the message names field and operation.
    """
    parts: dict[Node, tuple[Node | None, Node | None]] = {}
    zero = make.const(0.0)

    def combine(op: str, a: Node | None, b: Node | None) -> Node | None:
        if b is None:
            return a
        if a is None:
            return b if op == "add" else make.make("neg", b)
        return make.make(op, a, b)

    def scaled(op: str, part: Node | None, by: Node) -> Node | None:
        return None if part is None else make.make(op, part, by)

    for node in below([root]):
        slopes = [parts[a][0] is not None for a in node.args]
        if node is variable:
            parts[node] = (make.const(1.0), None)
            continue
        if not any(slopes):
            parts[node] = (None, node)
            continue
        (a, b), *more = (parts[arg] for arg in node.args)
        match node.op, slopes:
            case "copy", _:
                parts[node] = (a, b)
            case "neg", _:
                parts[node] = (combine("sub", None, a), combine("sub", None, b))
            case "add" | "sub", _:
                ((c, d),) = more
                parts[node] = (combine(node.op, a, c), combine(node.op, b, d))
            case (("mul" | "div"), [True, False]):
                by = node.args[1]
                parts[node] = (scaled(node.op, a, by), scaled(node.op, b, by))
            case "mul", [False, True]:
                by, (c, d) = node.args[0], more[0]
                parts[node] = (scaled("mul", c, by), scaled("mul", d, by))
            case "where", [False, *_]:
                yes, no = more
                parts[node] = (
                    make.make("where", node.args[0], yes[0] or zero, no[0] or zero),
                    make.make("where", node.args[0], yes[1] or zero, no[1] or zero),
                )
            case _:
                raise _Forbidden(
                    f"its state field {name!r} goes through {_described(node.op)}, so "
                    "that its new value is no affine function of the old one"
                )
    return parts[root]


def _described(op: str) -> str:
    return {
        "m": "a product inside the step",
        "norm": "row_norm",
        "mul": "a product with itself",
        "div": "a divisor",
        "where": "the condition of where",
        "max": "maximum",
        "min": "minimum",
        "normal_cdf": "the distribution function of gelu",
    }.get(op, op)


class _Flat:
    """Expressions one after the other, each value once."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self._count = 0
        self._new: list[Operation] = []

    def number(self, node: Node | None) -> int | None:
        """The number of a value that was taken."""
        return None if node is None else self.numbers[node]

    def known(self, node: Node, field: int) -> None:
        """From now on ``node`` is read from the states of ``field``."""
        self._append(node, Operation("new", (), field))

    def take(self, roots: Sequence[Node]) -> tuple[Operation, ...]:
        """What is missing to compute these nodes."""
        for root in roots:
            self._visit(root)
        taken, self._new = tuple(self._new), []
        return taken

    def _visit(self, node: Node) -> None:
        if node in self.numbers:
            return
        for arg in node.args:
            self._visit(arg)
        args = tuple(self.numbers[arg] for arg in node.args)
        if node.op == "norm":
            several = (Operation("norm", args, node.attribute.eps), node.attribute[:1])
            self._item(node, *several, node.attribute.value)
        elif node.op == "m":
            product, gate = node.attribute
            self._item(node, Operation("product", args, product), ("m", product), gate)
        else:
            self._append(node, Operation(node.op, args, node.attribute))

    def _item(self, node: Node, several: Operation, key: Any, place: int) -> None:
        """One of the values that an operation makes together."""
        if key not in self.numbers:
            self._append(key, several)
        self._append(node, Operation("item", (self.numbers[key],), place))

    def _append(self, key: Any, operation: Operation) -> None:
        self.numbers[key] = self._count
        self._count += 1
        self._new.append(operation)
