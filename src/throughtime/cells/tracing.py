"""The graph of a cell's step: its pointwise operations, recorded once.

The step is run twice before it is believed. Once on small real tensors, to see what it
returns and whether it writes in place; once on symbols (``torch.fx``), which cannot
take a branch, so that the record holds for every input. What breaks a rule is an error
that shows the line and the rule.
"""

import dis
import linecache
import sys
import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, fx
from torch.overrides import TorchFunctionMode

from throughtime.errors import InvalidCell, ThroughtimeError

if TYPE_CHECKING:
    from throughtime.cells.base import Cell

_HERE = __file__
_TORCH = torch.__path__[0]
# Sizes of the trial: all different, so that a wrong shape cannot pass.
_BATCH, _HIDDEN = 2, 5


class Traced(NamedTuple):
    """A step as a graph.

    graph: placeholders ``x_k``, ``h_k``, ``state_<field>`` and parameters per unit
        ``<name>`` or ``<name>_<row>``, then calls; a node's line is in
        ``meta["line"]``.
    state: the node of each new field.
    gates: the node of each named gate.
    products: the node that enters each product inside the step.
    """

    graph: fx.Graph
    state: dict[str, fx.Node]
    gates: dict[str, fx.Node]
    products: list[fx.Node]


def product(m: Tensor, number: int) -> Any:
    """Stands for product ``number`` inside the step; its items are the gates."""
    raise NotImplementedError


def trace(cell: "Cell") -> Traced:
    """The graph of ``cell.pointwise``.

    Raises:
        InvalidCell: the step breaks a rule.
    """
    _try(cell)
    tracer = _Tracer()
    tracer.graph = graph = fx.Graph(tracer_cls=_Tracer)

    def leaf(name: str) -> fx.Proxy:
        return tracer.create_proxy("placeholder", name, (), {})

    a_x = [leaf(f"x_{k}") for k in range(cell.input_gates)]
    a_h = [leaf(f"h_{k}") for k in range(cell.recurrent_gates)]
    state = cell.State(*(leaf(f"state_{field}") for field in cell.State._fields))
    weights: dict[str, Any] = {}
    for name, extra in cell.parameters_per_unit.items():
        rows = [leaf(f"{name}_{k}") for k in range(extra.rows)]
        weights[name] = rows or leaf(name)
    products: list[fx.Node] = []

    def inner(m: Any) -> list[Any]:
        number = len(products)
        if number == len(cell.inner):
            raise fault(cell, _MORE_PRODUCTS, _line_here())
        if not isinstance(m, fx.Proxy):
            raise fault(cell, "what goes into inner must be computed", _line_here())
        products.append(m.node)
        made: Any = tracer.create_proxy("call_function", product, (m, number), {})
        return [made[k] for k in range(cell.inner[number])]

    new, gates = _run(cell, a_x, a_h, state, weights, inner)
    if len(products) < len(cell.inner):
        raise fault(
            cell,
            f"inner={cell.inner} declares {len(cell.inner)} product(s) inside the "
            f"step, which asks for {len(products)}",
        )
    fields = dict(zip(cell.State._fields, new, strict=True))
    for kind, values in (("state", fields), ("gate", gates)):
        for name, value in values.items():
            if not isinstance(value, fx.Proxy):
                raise fault(
                    cell,
                    f"{kind} {name!r} does not depend on anything; every value must "
                    "be computed from a_x, a_h, the state or a parameter",
                )
    found = {name: value.node for name, value in fields.items()}
    named = {name: value.node for name, value in gates.items()}
    graph.output((*found.values(), *named.values(), *products))
    graph.eliminate_dead_code()
    _refuse_unused(cell, graph)
    return Traced(graph, found, named, products)


def _refuse_unused(cell: "Cell", graph: fx.Graph) -> None:
    for node in graph.nodes:
        kind, _, number = node.name.partition("_")
        if node.op == "placeholder" and kind in ("x", "h") and not node.users:
            count = cell.input_gates if kind == "x" else cell.recurrent_gates
            raise fault(
                cell,
                f"wrong number of gates: {count} are declared for a_{kind}, but "
                f"a_{kind}[{number}] is never used; gates=(of a_x, of a_h) sets both",
            )


# ---- the trial on real tensors


def _try(cell: "Cell") -> None:
    def number(*shape: int) -> Tensor:
        return torch.full(shape, 0.5, dtype=torch.float64)

    a_x = [number(_BATCH, _HIDDEN) for _ in range(cell.input_gates)]
    a_h = [number(_BATCH, _HIDDEN) for _ in range(cell.recurrent_gates)]
    fields = cell.State._fields
    state = cell.State(*(number(_BATCH, _HIDDEN) for _ in fields))
    weights = {
        name: number(*extra.shape(_HIDDEN))
        for name, extra in cell.parameters_per_unit.items()
    }
    left = list(cell.inner)

    def inner(m: Tensor) -> list[Tensor]:
        if not left:
            raise fault(cell, _MORE_PRODUCTS, _line_here())
        return [number(*m.shape) for _ in range(left.pop(0))]

    with _NoWriting(cell), torch.no_grad():
        new, gates = _run(cell, a_x, a_h, state, weights, inner)
    named = [*zip(fields, new, strict=True), *gates.items()]
    for name, value in named:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if got != (_BATCH, _HIDDEN):
            raise fault(
                cell,
                f"{name!r} must have the shape of a gate, (B, H) = "
                f"({_BATCH}, {_HIDDEN}) in this trial, got {got}; the step works unit "
                "by unit and keeps shapes",
            )


class _NoWriting(TorchFunctionMode):
    """Refuses operations in place."""

    def __init__(self, cell: "Cell") -> None:
        self._cell = cell

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        own = name.endswith("_") and not name.endswith("__")
        augmented = name.startswith("__i") and name not in ("__index__", "__invert__")
        asked = bool((kwargs or {}).get("inplace"))
        if own or augmented or asked or name == "__setitem__":
            raise fault(
                self._cell,
                f"{name} works in place; a step makes new tensors: write y = x + 1, "
                "not x += 1, and torch.sigmoid(x), not x.sigmoid_()",
                _line_here(),
            )
        return func(*args, **(kwargs or {}))


# ---- symbols


class _Tracer(fx.Tracer):
    """Records calls with their lines; refuses what depends on values."""

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        node.meta["line"] = _line_here()
        return node

    def create_arg(self, a: Any) -> Any:
        """Numbers from outside become constants; other tensors have no place."""
        if isinstance(a, Tensor):
            if a.requires_grad or a.numel() != 1:
                raise _Outside(tuple(a.shape))
            return float(a)
        return super().create_arg(a)

    def to_bool(self, obj: fx.Proxy) -> bool:
        raise _Branch

    def iter(self, obj: fx.Proxy) -> Any:
        raise _Iteration


class _Branch(Exception):
    pass


class _Iteration(Exception):
    pass


class _Outside(Exception):
    pass


# ---- running the step, and what can go wrong in it


def _run(
    cell: "Cell", a_x: Any, a_h: Any, state: Any, weights: Any, inner: Any
) -> tuple[Any, dict[str, Any]]:
    """The new state, in the order of its fields, and the gates."""
    try:
        new, gates = cell.pointwise(a_x, a_h, state, weights, inner)
    except ThroughtimeError:
        raise
    except Exception as error:
        raise fault(cell, *_explained(cell, error)) from error
    fields = cell.State._fields
    if len(new) != len(fields):
        raise fault(cell, f"the state has fields {fields}, got {len(new)} values")
    return new, dict(gates)


_MORE_PRODUCTS = (
    "the step asks for more products than inner declares; give inner one number of "
    "gates per call"
)


def _explained(cell: "Cell", error: Exception) -> tuple[str, tuple[str, int] | None]:
    line = _line_of(error)
    fields = ", ".join(cell.State._fields)
    text = str(error) or type(error).__name__
    if isinstance(error, _Branch) or text.startswith("Boolean value of Tensor"):
        return (
            "a branch that depends on values; all units take the same step: use "
            "torch.where(condition, a, b)",
            line,
        )
    if isinstance(error, _Outside):
        return (
            f"a tensor of shape {error.args[0]} from outside the step; what is learned "
            "or differs between units is a parameter: parameters={name: PerUnit(...)}",
            line,
        )
    if isinstance(error, _Iteration):
        return "a gate is one tensor, over which a step cannot iterate", line
    if isinstance(error, AttributeError) and cell.State.__name__ in text:
        return f"undeclared state: {text}; the declared fields are {fields}", line
    if isinstance(error, (ValueError, IndexError)):
        return (
            f"{text}; declared are {cell.input_gates} gate(s) for a_x and "
            f"{cell.recurrent_gates} for a_h",
            line,
        )
    return f"{type(error).__name__}: {text}", line


def fault(cell: "Cell", rule: str, line: tuple[str, int] | None = None) -> InvalidCell:
    """The error for a broken rule, with the line if it is known."""
    name = getattr(cell, "name", type(cell).__name__)
    line = line or _line_of_return(getattr(type(cell), "function", cell.pointwise))
    where = ""
    if line is not None:
        text = linecache.getline(*line).strip()
        where = f' at line {line[1]} of {line[0]}: "{text}"'
    return InvalidCell(f"cell {name!r}{where}: {rule}")


def _own(filename: str) -> bool:
    return filename != _HERE and not filename.startswith(_TORCH)


def _line_here() -> tuple[str, int] | None:
    """File and line of the innermost frame that is neither torch nor this file."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code.co_filename
        if _own(code) and not code.endswith("parts.py"):
            return code, frame.f_lineno
        frame = frame.f_back
    return None


def _line_of_return(function: Any) -> tuple[str, int] | None:
    """The last return of a function: what is wrong with a result shows there."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    found = line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        line = instruction.starts_line or line
        if instruction.opname.startswith("RETURN_"):
            found = line
    return code.co_filename, found


def _line_of(error: BaseException) -> tuple[str, int] | None:
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        if _own(frame.filename) and frame.lineno is not None:
            return frame.filename, frame.lineno
    return None
