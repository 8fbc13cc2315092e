"""Pairs of operations that the core runs as one."""

from collections import Counter
from collections.abc import Sequence

from throughtime.kernels.expressions import Expressions, Node, below


def fuse(make: Expressions, roots: Sequence[Node]) -> dict[Node, Node]:
    """Every node below the roots in its fused form.

        a b + c -> fma,  c - a b -> fnma,  σ(a + b) and tanh(a + b) -> one operation

    where nothing else reads the inner one.
    """
    order = below(roots)
    uses = Counter(a for node in order for a in node.args)
    uses.update(roots)
    found: dict[Node, Node] = {}
    for node in order:
        found[node] = _fused(make, node, found, uses)
    return found


def _fused(
    make: Expressions, node: Node, found: dict[Node, Node], uses: Counter[Node]
) -> Node:
    def inside(arg: Node, op: str) -> bool:
        return arg.op == op and uses[arg] == 1

    if node.op == "add":
        for product, other in (node.args, node.args[::-1]):
            if inside(product, "mul"):
                a, b = (found[n] for n in product.args)
                return make.make("fma", a, b, found[other])
    if node.op == "sub" and inside(node.args[1], "mul"):
        a, b = (found[n] for n in node.args[1].args)
        return make.make("fnma", a, b, found[node.args[0]])
    if node.op in ("sigmoid", "tanh") and inside(node.args[0], "add"):
        a, b = (found[n] for n in node.args[0].args)
        return make.make(f"{node.op}_sum", a, b)
    return make.again(node, [found[n] for n in node.args])
