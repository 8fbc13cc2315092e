"""From the graph of a cell's step to the expressions that the kernels run.

Each torch function, operator or method that has a form in them stands in a table under
its name; what has none is named, with its line, and the cell runs on the loop.
"""

import copy
import linecache
import operator
from hashlib import sha256
from typing import Any, NamedTuple

from torch import fx

from throughtime.cells import LSTM, Cell, row_norm
from throughtime.cells.tracing import Traced, product, trace
from throughtime.errors import InvalidCell, ThroughtimeError
from throughtime.kernels import Definition, Variant, define
from throughtime.kernels.encoding import too_large
from throughtime.kernels.expressions import Expressions, Node, below
from throughtime.kernels.program import compile_step
from throughtime.layers.forms import FORMS, OTHER_NAMES


class NotLowered(ThroughtimeError):
    """An operation of a step has no form in the kernels."""


class Lowered(NamedTuple):
    """A cell for the kernels: the key of its definition; or "", and why."""

    key: str
    reason: str = ""


# By key: the cell itself, for what the kernels have no rule for.
_CELLS: dict[str, Cell] = {}


def lowered(cell: Cell) -> Lowered:
    """The key under which the kernels know the step of a cell; made once per cell."""
    known = cell.__dict__.get("_lowered")
    # A cell may come from another process, whose keys nobody has defined here.
    if known is None or not (known.reason or known.key in _CELLS):
        known = _define(cell)
        cell.__dict__["_lowered"] = known
    return known


def _define(cell: Cell) -> Lowered:
    try:
        definition = lower(cell, trace(cell))
    except (NotLowered, InvalidCell) as error:
        return Lowered("", str(error))
    key = _key(cell, definition)
    if key not in _CELLS:
        program = compile_step(definition, Variant(save=True, pure=False))
        reason = too_large(program) or _projection(definition, cell)
        if reason:
            return Lowered("", reason)
        define(key, definition)
        _CELLS[key] = cell.description()
    return Lowered(key)


def _key(cell: Cell, definition: Definition) -> str:
    """The same for cells with the same step, whatever their sizes."""
    order = below([*definition.state, *definition.gates.values()])
    number = {node: k for k, node in enumerate(order)}
    nodes = [(n.op, [number[a] for a in n.args], repr(n.attribute)) for n in order]
    ends = [number[node] for node in definition.state]
    gates = [(name, number[node]) for name, node in definition.gates.items()]
    counts = definition.x_gates, definition.h_gates, definition.fields, definition.rows
    extras = [(n, e.rows, e.scalar) for n, e in cell.parameters_per_unit.items()]
    projected = cell.output_size if cell.output_size != cell.hidden_size else 0
    text = repr((nodes, ends, gates, counts, extras, projected))
    return f"{type(cell).__name__} {sha256(text.encode()).hexdigest()[:20]}"


def _projection(definition: Definition, cell: Cell) -> str:
    """Why a cell whose h is not as wide as the rest has no form."""
    if cell.output_size == cell.hidden_size:
        return ""
    old = definition.expressions.leaf("state", 0)
    if definition.inner or old in below(definition.state):
        return "a projected h can only enter the recurrent product"
    return ""


def cell_of(key: str, input_size: int, hidden_size: int) -> Cell:
    """A cell without parameters, for the loop."""
    cell = copy.copy(_CELLS[key])
    cell.input_size, cell.hidden_size = input_size, hidden_size
    return cell


def lower(cell: Cell, traced: Traced) -> Definition:
    """The expressions of a traced step.

    Raises:
        NotLowered: an operation has no form; the message names it and its line.
    """
    for method in ("advance", "input_part", "recurrent_part", "step"):
        own = getattr(type(cell), method)
        if own not in (getattr(Cell, method), getattr(LSTM, method)):
            raise NotLowered(
                f"{type(cell).__name__} replaces {method}, which the kernels "
                "cannot read; put what it does into pointwise or prepare"
            )
    make = Expressions()
    leaves: dict[str, Node] = {}
    for kind, count in (("x", cell.input_gates), ("h", cell.recurrent_gates)):
        leaves |= {f"{kind}_{k}": make.leaf(kind, k) for k in range(count)}
    for number, name in enumerate(cell.State._fields):
        leaves[f"state_{name}"] = make.leaf("state", number)
    rows = 0
    for name, extra in cell.parameters_per_unit.items():
        names = [f"{name}_{k}" for k in range(extra.rows)] or [name]
        leaves |= {n: make.leaf("param", rows + k) for k, n in enumerate(names)}
        rows += len(names)
    found: dict[fx.Node, Any] = {}
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            found[node] = leaves[str(node.target)]
        elif node.op != "output":
            found[node] = _lowered(make, cell, node, found)
    state = tuple(_single(found[node]) for node in traced.state.values())
    inner = tuple(
        (_single(found[node]), gates)
        for node, gates in zip(traced.products, cell.inner, strict=True)
    )
    gates = {name: _single(found[node]) for name, node in traced.gates.items()}
    return Definition(
        make,
        cell.input_gates,
        cell.recurrent_gates,
        tuple(cell.State._fields),
        rows,
        state,
        inner,
        gates,
    )


def _single(value: Any) -> Node:
    assert isinstance(value, Node)
    return value


def _lowered(
    make: Expressions, cell: Cell, node: fx.Node, found: dict[fx.Node, Any]
) -> Any:
    def value(argument: Any) -> Any:
        return found[argument] if isinstance(argument, fx.Node) else argument

    args = [value(a) for a in node.args]
    kwargs = {k: value(v) for k, v in node.kwargs.items()}
    if node.target is row_norm:
        eps = kwargs.get("eps", 1e-5)
        return [make.norm(args, k, eps) for k in range(len(args))]
    if node.target is product:
        source, number = args
        return [make.inner(source, number, k) for k in range(cell.inner[number])]
    if node.target is operator.getitem and isinstance(args[0], list):
        return args[0][args[1]]
    if kwargs.pop("inplace", False):
        raise NotLowered(f"an operation in place {_where(node)} has no form")
    target = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    name = OTHER_NAMES.get(name, name)
    form = FORMS.get(name)
    if form is None:
        raise NotLowered(f"{name or target} {_where(node)} has no form in the kernels")
    try:
        return form(make, *args, **kwargs)
    except (TypeError, ValueError, AttributeError) as error:
        raise NotLowered(
            f"{name} {_where(node)} has no form in the kernels with these arguments"
        ) from error


def _where(node: fx.Node) -> str:
    line = node.meta.get("line")
    if line is None:
        return ""
    return f'(line {line[1]} of {line[0]}: "{linecache.getline(*line).strip()}")'
