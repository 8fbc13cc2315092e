r"""How deep a recurrent network is, read off the graph of its cell's step.

Two lengths are counted along a path: **nonlinear transformations** and, on their own,
**matrix products**. A nonlinear transformation is a function of one number that is not
affine, such as tanh, however it is written: x·σ(x) and an ELU with its branches count
one. What brings several numbers together counts none: sums, the products by which
gates act, maxima, and the common factor of a normalised row.

- **feedforward depth** d_f: the longest path from x_t to the output h_t of the last
  layer within one step. A read-out behind the layer comes on top;
- **recurrent depth** d_r: the longest path from a state to the same state one step
  later, the most over all states (h, c, ...) of all layers;
- **unrolled**: the longest path from any x_s to any output h_t over T steps, also back
  and forth between the directions of a bidirectional stack. It grows in proportion to
  T: this is how deep backpropagation through time is.

These are the measures of Zhang, Wu, Che, Lin, Memisevic, Salakhutdinov and Bengio,
"Architectural complexity measures of recurrent neural networks", arXiv 1602.08210.
They define d_r as the growth of the longest path per step in the limit, and count units
as nodes. That limit is more than d_r here only where the longest way changes
between states from step to step; ``unrolled`` has it in any case.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from throughtime.cells import Cell
from throughtime.cells.tracing import trace
from throughtime.checks import positive_int
from throughtime.errors import InvalidCell, InvalidType
from throughtime.kernels.expressions import Node, below
from throughtime.layers import Recurrent
from throughtime.layers.lowering import NotLowered, lower

_NO_PATH = -math.inf
# Affine in one argument while the others are constants.
_AFFINE = {"add", "sub", "neg", "copy", "detach"}


class _Step(NamedTuple):
    """The longest paths through one step of one layer in one direction.

    from_input: from x_t to each new field of the state.
    from_state: [new][old], from each old field to each new one.
    """

    from_input: tuple[float, ...]
    from_state: tuple[tuple[float, ...], ...]


# Layers, and in each of them directions.
_Stack = tuple[tuple[_Step, ...], ...]


@dataclass(frozen=True)
class Depth:
    """Depths of a cell or a stack; made by ``depth``. A path that is not there has 0.

    Attributes:
        feedforward: d_f in nonlinear transformations.
        recurrent: d_r in nonlinear transformations.
        feedforward_products: d_f in matrix products.
        recurrent_products: d_r in matrix products.
    """

    feedforward: int
    recurrent: int
    feedforward_products: int
    recurrent_products: int
    _nonlinear: _Stack = field(repr=False)
    _products: _Stack = field(repr=False)
    _residual: bool = field(repr=False)

    def unrolled(self, steps: int) -> int:
        """Nonlinear transformations on the longest path over ``steps`` steps.

        Raises:
            InvalidType: ``steps`` is no int.
            InvalidValue: it is not positive.

        >>> import throughtime as tt
        >>> rnn = depth(tt.RNN(3, 4, num_layers=2))
        >>> [rnn.unrolled(steps) for steps in (1, 10, 100)]
        [2, 11, 101]
        """
        return _longest(self._nonlinear, positive_int("steps", steps), self._residual)

    def unrolled_products(self, steps: int) -> int:
        """Matrix products on the longest path over ``steps`` steps.

        Raises:
            InvalidType: ``steps`` is no int.
            InvalidValue: it is not positive.
        """
        return _longest(self._products, positive_int("steps", steps), self._residual)


def depth(layer: Cell | Recurrent) -> Depth:
    """Feedforward and recurrent depth of a cell, or of a stack of layers.

    Args:
        layer: a cell, or a layer such as ``tt.LSTM`` or ``tt.Recurrent``.

    Raises:
        InvalidType: neither a cell nor a layer of this package.
        InvalidCell: the step of the cell cannot be read as a graph; the message names
            the operation and its line.

    >>> import throughtime as tt
    >>> depth(tt.cells.Elman(3, 4))
    Depth(feedforward=1, recurrent=1, feedforward_products=1, recurrent_products=1)
    >>> before, after = (tt.cells.GRU(3, 4, reset_after=r) for r in (False, True))
    >>> depth(before).recurrent, depth(before).recurrent_products
    (2, 2)
    >>> depth(after).recurrent, depth(after).recurrent_products
    (2, 1)
    """
    if isinstance(layer, Cell):
        cells, directions, residual = (layer,), 1, False
    elif isinstance(layer, Recurrent):
        cells, directions = layer.cells, layer.num_directions
        residual = layer.residual
    else:
        raise InvalidType(
            "layer should be a cell or a recurrent layer of throughtime, got: "
            f"{type(layer).__name__}; load the weights of a torch.nn layer into its "
            "namesake, tt.RNN, tt.LSTM or tt.GRU"
        )
    both = [_steps(cell) for cell in cells]
    nonlinear, products = (
        tuple(
            tuple(pair[kind] for pair in both[first : first + directions])
            for first in range(0, len(both), directions)
        )
        for kind in range(2)
    )
    return Depth(
        feedforward=_longest(nonlinear, 1, residual),
        recurrent=_recurrent(nonlinear),
        feedforward_products=_longest(products, 1, residual),
        recurrent_products=_recurrent(products),
        _nonlinear=nonlinear,
        _products=products,
        _residual=residual,
    )


def _recurrent(stack: _Stack) -> int:
    return _counted(
        step.from_state[k][k]
        for directions in stack
        for step in directions
        for k in range(len(step.from_state))
    )


def _longest(stack: _Stack, steps: int, residual: bool) -> int:
    """The longest path from any input to any output of the last layer."""
    entering: list[float] = [0] * steps
    for number, directions in enumerate(stack):
        ways = [_over_time(directions[0], entering)]
        if len(directions) == 2:
            ways.append(_over_time(directions[1], entering[::-1])[::-1])
        if residual and number > 0:
            ways.append(entering)
        entering = [max(found) for found in zip(*ways, strict=True)]
    return _counted(entering)


def _over_time(step: _Step, entering: list[float]) -> list[float]:
    """The longest path to h of each step, from those to each input."""
    state = [_NO_PATH] * len(step.from_input)
    found = []
    for x in entering:
        state = [
            max(x + own, *(s + way for s, way in zip(state, ways, strict=True)))
            for own, ways in zip(step.from_input, step.from_state, strict=True)
        ]
        found.append(state[0])
    return found


def _counted(lengths: Iterable[float]) -> int:
    longest = max(lengths)
    return 0 if longest == _NO_PATH else int(longest)


# ---- one step


def _steps(cell: Cell) -> tuple[_Step, _Step]:
    """The step of a cell by nonlinear transformations and by matrix products."""
    try:
        definition = lower(cell, trace(cell))
    except NotLowered as error:
        raise InvalidCell(f"the depth of {cell.name!r} is not known: {error}") from None
    order = below(definition.state)
    bends = _bends(order)
    projection = int(cell.output_size != cell.hidden_size)  # one more product, to h
    nonlinear, products = [], []
    for origin in ("x", *range(len(definition.fields))):
        bent = _paths(order, origin, bends=bends)
        multiplied = _paths(order, origin, product=1)
        nonlinear.append([bent[node] for node in definition.state])
        products.append([multiplied[node] for node in definition.state])
        products[-1][0] += projection
    return _step(nonlinear), _step(products)


def _step(by_origin: list[list[float]]) -> _Step:
    from_input, *from_state = by_origin
    return _Step(tuple(from_input), tuple(zip(*from_state, strict=True)))


def _paths(
    order: list[Node],
    origin: str | int,
    *,
    bends: dict[Node, tuple[Node | None, int]] | None = None,
    product: int = 0,
) -> dict[Node, float]:
    """The longest path from the input ("x") or an old field to every node."""
    found: dict[Node, float] = {}
    for node in order:
        base, bend = (node, 0) if bends is None else bends[node]
        if base is None:
            found[node] = _NO_PATH
        elif base is not node:
            found[node] = found[base] + bend
        elif node.is_leaf:
            found[node] = _start(node, origin, product)
        else:
            own = product if node.op == "m" else 0
            found[node] = own + max(found[a] for a in node.args)
    return found


def _start(node: Node, origin: str | int, product: int) -> float:
    """Where paths begin: gates of x_t and of h_{t-1} have a product behind them."""
    if node.op == "x" and origin == "x":
        return product
    if node.op == "h" and origin == 0:
        return product
    if node.op == "state" and node.attribute == origin:
        return 0
    return _NO_PATH


def _bends(order: list[Node]) -> dict[Node, tuple[Node | None, int]]:
    """The one number that each node is a function of, and whether it bends it.

    A node that brings several numbers together is a number of its own, and so is what
    a matrix product or a normalised row gives. None: it depends on none, a constant or
    a parameter.
    """
    found: dict[Node, tuple[Node | None, int]] = {}
    for node in order:
        bases = {found[a][0] for a in node.args} - {None}
        if node.op in ("const", "param"):
            found[node] = None, 0
        elif node.is_leaf or node.op in ("m", "norm") or len(bases) > 1:
            found[node] = node, 0
        elif not bases:
            found[node] = None, 0
        else:
            (base,) = bases
            bent = max(found[a][1] for a in node.args) or int(not _affine(node, found))
            found[node] = base, bent
    return found


def _affine(node: Node, found: dict[Node, tuple[Node | None, int]]) -> bool:
    """Whether the operation is affine in the one number, if its arguments are."""
    constant = [found[a][0] is None for a in node.args]
    if node.op == "mul":
        return any(constant)
    if node.op == "div":
        return constant[1]
    if node.op == "where":
        return constant[0]
    return node.op in _AFFINE
