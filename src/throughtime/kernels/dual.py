r"""The step of a cell together with its derivative in one direction.

Forward mode on the graph of expressions. The state of the dual step is the state and,
after it, its tangent; with W the recurrent weights and V their tangents

    a_h  = W h            da_h = V h + W dh

so that the recurrent weights are block triangular. The core multiplies h only by one
matrix, [W; V]; dh goes through a product inside the step, whose matrix is W again.
A product M s inside the step becomes [M; dM] s and M ds likewise.
"""

import math

from throughtime.errors import InvalidCell
from throughtime.kernels.expressions import Definition, Expressions, Node, below

_DENSITY = 1 / math.sqrt(2 * math.pi)


def dual(definition: Definition) -> Definition:
    """The dual step.

    Its gates of a_x, its parameters per unit and the fields of its state are those of
    the step, followed by as many tangents. The gates of a_h and of product p inside the
    step are those of the step and then what the tangents of the weights make of the
    same argument. Product 0 is W dh, if there is a recurrent part; two products
    follow per product of the step: of s and of ds.

    Raises:
        InvalidCell: a row of the step is normalised, which has no dual form here.

    >>> make = Expressions()
    >>> h = make.make("tanh", make.make("add", make.leaf("x", 0), make.leaf("h", 0)))
    >>> found = dual(Definition(make, 1, 1, ("h",), 0, (h,)))
    >>> found.fields, found.x_gates, found.h_gates, [g for _, g in found.inner]
    (('h', 'd_h'), 2, 2, [1])
    """
    if any(node.op == "norm" for node in below(definition.state)):
        raise InvalidCell("a step with a normalised row has no dual step")
    return _Dual(definition).definition()


class _Dual:
    def __init__(self, definition: Definition) -> None:
        self.old, self.make = definition, Expressions()
        # Each old node and its value; and its tangent, None where that is zero.
        self.value: dict[Node, Node] = {}
        self.tangent: dict[Node, Node | None] = {}
        self.first = 1 if definition.h_gates else 0

    def definition(self) -> Definition:
        old, make = self.old, self.make
        for node in below([*old.state, *(source for source, _ in old.inner)]):
            if node.is_leaf:
                self._leaf(node)
            elif node.op == "m":
                self._product(node)
            else:
                args = [self.value[a] for a in node.args]
                self.value[node] = make.make(node.op, *args, attribute=node.attribute)
                self.tangent[node] = self._through(node)
        zero = make.const(0.0)
        inner: list[tuple[Node, int]] = []
        if old.h_gates:
            inner.append((make.leaf("state", len(old.fields)), old.h_gates))
        for source, gates in old.inner:
            inner.append((self.value[source], 2 * gates))
            inner.append((self.tangent[source] or zero, gates))
        return Definition(
            make,
            2 * old.x_gates,
            2 * old.h_gates,
            (*old.fields, *(f"d_{name}" for name in old.fields)),
            2 * old.rows,
            (
                *(self.value[node] for node in old.state),
                *(self.tangent[node] or zero for node in old.state),
            ),
            tuple(inner),
        )

    def _leaf(self, node: Node) -> None:
        make, kind, number = self.make, node.op, node.attribute
        self.value[node] = make.leaf(kind, number)
        counts = {
            "x": self.old.x_gates,
            "h": self.old.h_gates,
            "state": len(self.old.fields),
            "param": self.old.rows,
        }
        self.tangent[node] = None  # of a number
        if kind in counts:
            tangent = make.leaf(kind, number + counts[kind])
            if kind == "h":
                dh = make.leaf("state", len(self.old.fields))
                tangent = make.make("add", tangent, make.inner(dh, 0, number))
            self.tangent[node] = tangent

    def _product(self, node: Node) -> None:
        make, (number, gate) = self.make, node.attribute
        (source,) = node.args
        place, gates = self.first + 2 * number, self.old.inner[number][1]
        value, tangent = self.value[source], self.tangent[source] or make.const(0.0)
        self.value[node] = make.inner(value, place, gate)
        self.tangent[node] = make.make(
            "add",
            make.inner(value, place, gates + gate),
            make.inner(tangent, place + 1, gate),
        )

    def _through(self, node: Node) -> Node | None:
        """The tangent of a node from those of its arguments."""
        m, y = self.make.make, self.value[node]
        values = [self.value[a] for a in node.args]
        tangents = [self.tangent[a] for a in node.args]
        a, b = (*values, *values)[:2]
        da, db, dc = (*tangents, None, None)[:3]
        zero = self.make.const(0.0)

        def times(d: Node | None, factor: Node) -> Node | None:
            return None if d is None else m("mul", d, factor)

        def plus(left: Node | None, right: Node | None) -> Node | None:
            if left is None or right is None:
                return left or right
            return m("add", left, right)

        def minus(d: Node | None) -> Node | None:
            return None if d is None else m("neg", d)

        if all(d is None for d in tangents):
            return None
        match node.op:
            case "add":
                return plus(da, db)
            case "sub":
                return plus(da, minus(db))
            case "mul":
                return plus(times(da, b), times(db, a))
            case "div":
                quotient = times(db, y)
                top = plus(da, minus(quotient))
                return None if top is None else m("div", top, b)
            case "max" | "min":
                over, under = (a, b) if node.op == "max" else (b, a)
                left, right = da or zero, db or zero
                half = m("mul", m("add", left, right), 0.5)
                chosen = m("where", m("gt", over, under), left, right)
                return m("where", m("eq", a, b), half, chosen)
            case "where":
                return m("where", a, db or zero, dc or zero)
            case "pow":
                slope = m("mul", m("pow", a, m("sub", b, 1.0)), b)
                left = times(da, slope)
                right = None if db is None else m("mul", db, m("mul", y, m("log", a)))
                return plus(left, right)
            case "sign" | "floor" | "gt" | "ge" | "eq" | "detach":
                return None
        assert da is not None
        match node.op:
            case "copy":
                return da
            case "neg":
                return m("neg", da)
            case "exp":
                return m("mul", da, y)
            case "expm1":
                return m("mul", da, m("add", y, 1.0))
            case "log":
                return m("div", da, a)
            case "log1p":
                return m("div", da, m("add", a, 1.0))
            case "tanh":
                return m("mul", da, m("sub", 1.0, m("mul", y, y)))
            case "sigmoid":
                return m("mul", da, m("mul", y, m("sub", 1.0, y)))
            case "relu":
                return m("where", m("gt", y, zero), da, zero)
            case "softplus":
                return m("mul", da, m("sigmoid", a))
            case "abs":
                return m("mul", da, m("sign", a))
            case "sqrt":
                return m("div", m("mul", da, 0.5), y)
            case "sin":
                return m("mul", da, m("cos", a))
            case "cos":
                return m("neg", m("mul", da, m("sin", a)))
            case "normal_cdf":
                bell = m("exp", m("mul", m("mul", a, a), -0.5))
                return m("mul", da, m("mul", bell, _DENSITY))
            case _:
                raise AssertionError(node.op)
