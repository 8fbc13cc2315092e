"""The derivative of a step: reverse mode on the graph of expressions.

From the gradients of the new state to those of the pre-activations, of the old state
(past the products) and of the parameters per unit.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from throughtime.kernels.expressions import Definition, Expressions, Node, below

_DENSITY = 1 / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Gradients:
    """A node per gradient, None where it is zero.

    x, h: of the gates; inner: of each product's gates; state: of the old state past the
    products; rows: of the parameters per unit.
    """

    x: tuple[Node | None, ...]
    h: tuple[Node | None, ...]
    inner: tuple[tuple[Node | None, ...], ...]
    state: tuple[Node | None, ...]
    rows: tuple[Node | None, ...]


def differentiate(definition: Definition) -> Gradients:
    """The gradients of a step."""
    make = definition.expressions
    total: dict[Node, Node] = {}
    products: set[int] = set()

    def add(node: Node, part: Node) -> None:
        known = total.get(node)
        total[node] = part if known is None else make.make("add", known, part)

    for index, node in enumerate(definition.state):
        add(node, make.leaf("d_state", index))
    order = below(definition.state)
    left = Counter(n.attribute.number for n in order if n.op == "norm")
    for node in reversed(order):
        if node.op == "norm":
            # Back through a row at once, when all of it has been met.
            left[node.attribute.number] -= 1
            if not left[node.attribute.number]:
                _through_norm(make, node, total, add)
        elif node not in total:
            continue
        elif node.op == "m":
            number = node.attribute[0]
            if number not in products:
                products.add(number)
                add(node.args[0], make.leaf("d_m", number))
        elif not node.is_leaf:
            _through(make, node, total[node], add)

    def of(kind: str, count: int) -> tuple[Node | None, ...]:
        return tuple(total.get(make.leaf(kind, k)) for k in range(count))

    inner = tuple(
        tuple(total.get(make.inner(source, p, k)) for k in range(gates))
        for p, (source, gates) in enumerate(definition.inner)
    )
    return Gradients(
        of("x", definition.x_gates),
        of("h", definition.h_gates),
        inner,
        of("state", len(definition.fields)),
        of("param", definition.rows),
    )


Add = Callable[[Node, Node], None]


def _through_norm(
    make: Expressions, node: Node, total: dict[Node, Node], add: Add
) -> None:
    """dv_i = rate (dy_i - mean(dy) - y_i mean(dy y)), means over the row."""
    _, _, eps = node.attribute
    rows = [make.norm(node.args, k, eps) for k in range(len(node.args))]
    if not any(row in total for row in rows):
        return
    slopes = [total.get(row, make.const(0.0)) for row in rows]
    for value, row in zip(node.args, rows, strict=True):
        add(value, make.norm_gradient(rows, slopes, row.attribute))


def _through(make: Expressions, node: Node, d: Node, add: Add) -> None:
    """Add to each argument what reaches it through ``node``."""
    m = make.make
    a, b, c = (*node.args, *node.args, *node.args)[:3]
    zero = make.const(0.0)
    match node.op:
        case "copy":
            add(a, d)
        case "neg":
            add(a, m("neg", d))
        case "exp":
            add(a, m("mul", d, node))
        case "expm1":
            add(a, m("mul", d, m("add", node, 1.0)))
        case "log":
            add(a, m("div", d, a))
        case "log1p":
            add(a, m("div", d, m("add", a, 1.0)))
        case "tanh":
            add(a, m("tanh_slope", d, node))
        case "sigmoid":
            add(a, m("sigmoid_slope", d, node))
        case "relu":
            add(a, m("where", m("gt", node, zero), d, zero))
        case "softplus":
            add(a, m("mul", d, m("sigmoid", a)))
        case "abs":
            add(a, m("mul", d, m("sign", a)))
        case "sqrt":
            add(a, m("div", m("mul", d, 0.5), node))
        case "sin":
            add(a, m("mul", d, m("cos", a)))
        case "cos":
            add(a, m("neg", m("mul", d, m("sin", a))))
        case "normal_cdf":
            bell = m("exp", m("mul", m("mul", a, a), -0.5))
            add(a, m("mul", d, m("mul", bell, _DENSITY)))
        case "add":
            add(a, d)
            add(b, d)
        case "sub":
            add(a, d)
            add(b, m("neg", d))
        case "mul":
            add(a, m("mul", d, b))
            add(b, m("mul", d, a))
        case "div":
            add(a, m("div", d, b))
            add(b, m("neg", m("div", m("mul", d, node), b)))
        case "max" | "min":
            # Equal values share the gradient, as in torch.
            over, under = (a, b) if node.op == "max" else (b, a)
            shared = m("where", m("eq", a, b), m("mul", d, 0.5), zero)
            add(a, m("where", m("gt", over, under), d, shared))
            add(b, m("where", m("gt", under, over), d, shared))
        case "pow":
            if b.number is None:
                add(b, m("mul", d, m("mul", node, m("log", a))))
                add(a, m("mul", d, m("mul", b, m("pow", a, m("sub", b, 1.0)))))
            else:
                slope = m("mul", m("pow", a, b.number - 1), b.number)
                add(a, m("mul", d, slope))
        case "where":
            add(b, m("where", a, d, zero))
            add(c, m("where", a, zero, d))
        case "sign" | "floor" | "gt" | "ge" | "eq" | "detach":
            pass  # flat
        case _:
            raise AssertionError(node.op)
