"""The arithmetic of one step of a cell as a graph of expressions.

A node is an operation on numbers of one unit; the same node is made only once, so that
equal expressions are the same object. Leaves are what a step reads:

==============  ========================================================
``x``, k        gate k of the input part a_x
``h``, k        gate k of the recurrent part a_h
``state``, f    field f of the old state
``param``, r    row r of the parameters per unit
``const``, c    a number
``d_state``, f  gradient of the new state's field f
``d_m``, p      gradient of what entered product p
``saved``, s    slot s of what the forward pass kept
``new``, f      field f of the new state, in the backward pass
==============  ========================================================

``m`` (p, k) is gate k of product p inside the step, whose argument is what enters it.
``norm`` is one value of a row normalised together with the others and ``norm_gradient``
its derivative; these three alone need the other units of the row. ``detach`` is its
argument without a gradient.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

LEAVES = ("x", "h", "state", "param", "const", "d_state", "d_m", "saved", "new")

# Operation -> number of arguments, as in native/src/throughtime.h.
OPERATIONS = {
    "copy": 1,
    "neg": 1,
    "exp": 1,
    "expm1": 1,
    "log": 1,
    "log1p": 1,
    "tanh": 1,
    "sigmoid": 1,
    "relu": 1,
    "softplus": 1,
    "abs": 1,
    "sqrt": 1,
    "sin": 1,
    "cos": 1,
    "normal_cdf": 1,
    "sign": 1,
    "floor": 1,
    "add": 2,
    "sub": 2,
    "mul": 2,
    "div": 2,
    "max": 2,
    "min": 2,
    "gt": 2,
    "ge": 2,
    "eq": 2,
    "pow": 2,
    "where": 3,
    # Of the derivative: d s (1 - s) and d (1 - t²).
    "sigmoid_slope": 2,
    "tanh_slope": 2,
    # Made from pairs of the above: a b + c, c - a b, σ(a + b), tanh(a + b).
    "fma": 3,
    "fnma": 3,
    "sigmoid_sum": 2,
    "tanh_sum": 2,
}

_FOLD: dict[str, Callable[..., float]] = {
    "neg": lambda a: -a,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
}


@dataclass(frozen=True, eq=False)
class Node:
    """One expression: compared by identity, as equal ones are the same object."""

    op: str
    args: tuple["Node", ...] = ()
    attribute: Any = None

    @property
    def is_leaf(self) -> bool:
        """Whether the step reads it instead of computing it."""
        return self.op in LEAVES

    @property
    def number(self) -> float | None:
        """The value of a constant."""
        return self.attribute if self.op == "const" else None


class Row(NamedTuple):
    """Value ``value`` of the normalised row ``number``."""

    number: int
    value: int
    eps: float


class Expressions:
    """Makes nodes, each only once, and simplifies what is plain to see."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Node] = {}
        self._rows: dict[tuple[Any, ...], int] = {}

    def leaf(self, kind: str, attribute: Any) -> Node:
        """The leaf of this kind and number."""
        return self._node(kind, (), attribute)

    def const(self, value: float) -> Node:
        """A number."""
        return self._node("const", (), float(value))

    def inner(self, source: Node, product: int, gate: int) -> Node:
        """A gate of a product inside the step."""
        return self._node("m", (source,), (product, gate))

    def norm(self, values: Sequence[Node], value: int, eps: float) -> Node:
        """One of the values, normalised together with the others."""
        key = (*(id(v) for v in values), eps)
        number = self._rows.setdefault(key, len(self._rows))
        return self._node("norm", tuple(values), Row(number, value, eps))

    def norm_gradient(
        self, rows: Sequence[Node], slopes: Sequence[Node], row: Row
    ) -> Node:
        """The gradient of a value, from the normalised values and their slopes."""
        return self._node("norm_gradient", (*rows, *slopes), row)

    def again(self, node: Node, args: Sequence[Node]) -> Node:
        """The same operation on other arguments."""
        if all(a is b for a, b in zip(node.args, args, strict=True)):
            return node
        return self._node(node.op, tuple(args), node.attribute)

    def make(self, op: str, *args: Node | float, attribute: Any = None) -> Node:
        """The operation ``op`` on nodes or numbers."""
        nodes = tuple(a if isinstance(a, Node) else self.const(a) for a in args)
        return self._simple(op, nodes) or self._node(op, nodes, attribute)

    def _node(self, op: str, args: tuple[Node, ...], attribute: Any) -> Node:
        key = (op, *(id(a) for a in args), attribute)
        if op == "const":
            key = (op, repr(attribute))  # 0.0 and -0.0 differ
        if key not in self._made:
            self._made[key] = Node(op, args, attribute)
        return self._made[key]

    def _simple(self, op: str, args: tuple[Node, ...]) -> Node | None:
        values = [a.number for a in args]
        known = [v for v in values if v is not None]
        if len(known) == len(values) and op in _FOLD:
            try:
                return self.const(_FOLD[op](*known))
            except (ValueError, ArithmeticError):
                return None
        if op == "mul" and 1.0 in values:
            return args[1 - values.index(1.0)]
        if op == "mul" and -1.0 in values:
            return self.make("neg", args[1 - values.index(-1.0)])
        if op == "div" and values[1] == 1.0:
            return args[0]
        if op in ("add", "sub") and values[1] == 0.0:
            return args[0]
        if op == "add" and values[0] == 0.0:
            return args[1]
        if op == "neg" and args[0].op == "neg":
            return args[0].args[0]
        if op == "add" and args[1].op == "neg":
            return self.make("sub", args[0], args[1].args[0])
        if op == "sub" and args[1].op == "neg":
            return self.make("add", args[0], args[1].args[0])
        return None


@dataclass(frozen=True)
class Definition:
    """The step of a cell.

    x_gates, h_gates: gates of a_x and of a_h.
    fields: names of the state's fields, h first.
    rows: rows of the parameters per unit.
    state: the new value of each field.
    inner: per product inside the step what enters it, and its gates.
    gates: named values.
    """

    expressions: Expressions
    x_gates: int
    h_gates: int
    fields: tuple[str, ...]
    rows: int
    state: tuple[Node, ...]
    inner: tuple[tuple[Node, int], ...] = ()
    gates: dict[str, Node] = field(default_factory=dict)


def below(roots: Iterable[Node]) -> list[Node]:
    """All nodes that the roots are computed from, arguments before their users."""
    order: list[Node] = []
    seen: set[Node] = set()
    for root in roots:
        stack: list[tuple[Node, bool]] = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                stack += [(a, False) for a in reversed(node.args) if a not in seen]
    return order
