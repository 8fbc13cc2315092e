"""What a step keeps for its backward pass, and what that pass computes again.

A kept number is written once and read once, past the caches of a long sequence; some
operations are cheaper than that, others are not.
"""

from collections.abc import Collection, Iterable

from throughtime.kernels.expressions import Node

# In units of one number written and read again: measured on one machine, rounded.
_COST = {
    **dict.fromkeys(("exp", "expm1", "sigmoid", "tanh", "softplus", "div"), 0.35),
    **dict.fromkeys(("sqrt", "log1p", "sigmoid_sum", "tanh_sum"), 0.35),
    **dict.fromkeys(("log", "pow", "sin", "cos", "normal_cdf"), 1.2),
}
_CHEAP = 0.05
# Read in the backward pass in any case.
_FREE = ("state", "param", "const")
# Known only where they were made.
_FIXED = ("x", "h", "m", "norm")


def choose(
    needed: Collection[Node], known: Collection[Node], forced: Iterable[Node] = ()
) -> list[Node]:
    """The nodes to keep so that the rest of ``needed`` can be computed again.

    Args:
        needed: forward nodes that the derivative reads.
        known: forward nodes that are there anyway.
        forced: nodes to keep in any case, first in the result.
    """
    fixed = list(dict.fromkeys(forced))
    free = {*known}
    kept = {n for n in needed if n not in free and n.op not in _FREE}
    best = _cost(needed, kept | {*fixed}, free)
    better = True
    while better:
        better = False
        for node in _near(needed, free):
            for trial in _moves(node, kept, needed, free | {*fixed}):
                cost = _cost(needed, trial | {*fixed}, free)
                if cost < best - 1e-9:
                    kept, best, better = trial, cost, True
    rest = [n for n in _near(needed, free) if n in kept and n not in fixed]
    return [*fixed, *rest]


def _moves(
    node: Node, kept: set[Node], needed: Collection[Node], free: set[Node]
) -> list[set[Node]]:
    if node in kept:
        return [kept - {node}]
    # Keep it, and then nothing that is cheaper computed again from it.
    more = kept | {node}
    for other in [n for n in kept if n is not node]:
        if _cost(needed, more - {other}, free) < _cost(needed, more, free):
            more = more - {other}
    return [more]


def _visited(
    needed: Collection[Node], kept: Collection[Node], free: Collection[Node]
) -> tuple[dict[Node, None], bool]:
    """Nodes reached from ``needed``, not below kept or free ones; all computable."""
    seen: dict[Node, None] = {}
    possible = True
    stack = list(needed)
    while stack:
        node = stack.pop()
        if node in seen or node in free or node.op in _FREE:
            continue
        seen[node] = None
        if node in kept:
            continue
        if node.op in _FIXED:
            possible = False
            continue
        stack += node.args
    return seen, possible


def _cost(
    needed: Collection[Node], kept: Collection[Node], free: Collection[Node]
) -> float:
    seen, possible = _visited(needed, kept, free)
    if not possible:
        return float("inf")
    again = (_COST.get(n.op, _CHEAP) for n in seen if n not in kept)
    return len(kept) + sum(again)


def _near(needed: Collection[Node], free: Collection[Node]) -> list[Node]:
    """Every node that keeping could be about, in a fixed order."""
    seen: dict[Node, None] = {}
    stack = list(needed)
    while stack:
        node = stack.pop(0)
        if node in seen or node in free or node.op in _FREE:
            continue
        seen[node] = None
        if node.op not in _FIXED:
            stack += node.args
    return list(seen)
