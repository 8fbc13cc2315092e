"""From the graph of a cell's step to the expressions that the kernels run.

Each torch function, operator or method that has a form in them stands in a table under
its name; what has none is named, with its line, and the cell runs on the loop.
"""

import copy
import linecache
import operator
from collections.abc import Callable
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

_SQRT_HALF = 0.70710678118654752440
_SELU = (1.0507009873554805, 1.6732632423543772)


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
    program = compile_step(definition, Variant(save=True, pure=False))
    reason = too_large(program) or _projection(definition, cell)
    if reason:
        return Lowered("", reason)
    key = _key(cell, definition)
    define(key, definition)
    _CELLS.setdefault(key, cell.description())
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
    target = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    name = _OTHER_NAMES.get(name, name)
    form = _FORMS.get(name)
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


# ---- the table

Form = Callable[..., Node]


def _same(op: str) -> Form:
    def form(m: Expressions, *args: Node | float) -> Node:
        if not all(isinstance(a, (Node, int, float)) for a in args):
            raise TypeError(op)
        return m.make(op, *args)

    return form


def _add(m: Expressions, a: Any, b: Any, *, alpha: float = 1) -> Node:
    return m.make("add", a, m.make("mul", b, alpha))


def _sub(m: Expressions, a: Any, b: Any, *, alpha: float = 1) -> Node:
    return m.make("sub", a, m.make("mul", b, alpha))


def _pow(m: Expressions, a: Any, b: Any) -> Node:
    simple = {2: ("mul", a, a), 0.5: ("sqrt", a), 1: ("mul", a, 1), -1: ("div", 1, a)}
    if not isinstance(b, Node) and b in simple:
        op, *args = simple[b]
        return m.make(op, *args)
    return m.make("pow", a, b)


def _softplus(m: Expressions, x: Any, beta: float = 1, threshold: float = 20) -> Node:
    scaled = m.make("mul", x, beta)
    soft = m.make("div", m.make("softplus", scaled), beta)
    if threshold >= 50:  # the difference is below the resolution of float64
        return soft
    return m.make("where", m.make("gt", scaled, threshold), x, soft)


def _gelu(m: Expressions, x: Any, *, approximate: str = "none") -> Node:
    if approximate == "none":
        return m.make("mul", x, m.make("normal_cdf", x))
    cube = m.make("mul", m.make("mul", x, x), x)
    inside = m.make("add", x, m.make("mul", cube, 0.044715))
    soft = m.make("tanh", m.make("mul", inside, 2 * _SQRT_HALF * 0.5641895835477563))
    return m.make("mul", m.make("mul", x, 0.5), m.make("add", soft, 1))


def _clamp(m: Expressions, x: Any, min: Any = None, max: Any = None) -> Node:
    # torch's gradient at a bound is that of x, unlike that of max and min.
    if min is not None:
        x = m.make("where", m.make("ge", x, min), x, min)
    if max is not None:
        x = m.make("where", m.make("ge", max, x), x, max)
    return x


def _hardtanh(
    m: Expressions, x: Any, min_val: float = -1.0, max_val: float = 1.0
) -> Node:
    # Here the gradient at a bound is 0.
    x = m.make("where", m.make("gt", x, min_val), x, min_val)
    return m.make("where", m.make("gt", max_val, x), x, max_val)


def _hardsigmoid(m: Expressions, x: Any) -> Node:
    return m.make("div", m.make("add", _hardtanh(m, x, -3, 3), 3), 6)


def _leaky_relu(m: Expressions, x: Any, negative_slope: Any = 0.01) -> Node:
    return m.make("where", m.make("gt", x, 0), x, m.make("mul", x, negative_slope))


def _elu(m: Expressions, x: Any, alpha: Any = 1.0) -> Node:
    below = m.make("mul", m.make("expm1", m.make("min", x, 0)), alpha)
    return m.make("where", m.make("gt", x, 0), x, below)


def _logsigmoid(m: Expressions, x: Any) -> Node:
    return m.make("neg", m.make("softplus", m.make("neg", x)))


def _lerp(m: Expressions, a: Any, b: Any, weight: Any) -> Node:
    return m.make("add", a, m.make("mul", weight, m.make("sub", b, a)))


def _addcmul(m: Expressions, a: Any, b: Any, c: Any, *, value: float = 1) -> Node:
    return m.make("add", a, m.make("mul", m.make("mul", b, c), value))


def _full_like(m: Expressions, x: Any, value: float) -> Node:
    return m.const(value)


_UNARY = (
    *("neg", "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "relu", "abs"),
    *("sqrt", "sin", "cos", "sign", "floor"),
)
_FORMS: dict[str, Form] = {
    **{name: _same(name) for name in _UNARY},
    **{name: _same(name) for name in ("mul", "div", "gt", "ge", "eq")},
    "add": _add,
    "sub": _sub,
    "rsub": lambda m, a, b, alpha=1: _sub(m, b, a, alpha=alpha),
    "maximum": _same("max"),
    "minimum": _same("min"),
    "max": _same("max"),
    "min": _same("min"),
    "lt": lambda m, a, b: m.make("gt", b, a),
    "le": lambda m, a, b: m.make("ge", b, a),
    "ne": lambda m, a, b: m.make("sub", 1, m.make("eq", a, b)),
    "pow": _pow,
    "where": _same("where"),
    "logical_and": _same("mul"),
    "logical_or": _same("max"),
    "logical_not": lambda m, a: m.make("eq", a, 0),
    "square": lambda m, a: m.make("mul", a, a),
    "reciprocal": lambda m, a: m.make("div", 1, a),
    "rsqrt": lambda m, a: m.make("div", 1, m.make("sqrt", a)),
    "erf": lambda m, a: m.make(
        "sub", m.make("mul", m.make("normal_cdf", m.make("div", a, _SQRT_HALF)), 2), 1
    ),
    "ndtr": _same("normal_cdf"),
    "remainder": lambda m, a, b: m.make(
        "sub", a, m.make("mul", b, m.make("floor", m.make("div", a, b)))
    ),
    "softplus": _softplus,
    "gelu": _gelu,
    "silu": lambda m, x: m.make("mul", x, m.make("sigmoid", x)),
    "mish": lambda m, x: m.make("mul", x, m.make("tanh", _softplus(m, x))),
    "softsign": lambda m, x: m.make("div", x, m.make("add", m.make("abs", x), 1)),
    "clamp": _clamp,
    "hardtanh": _hardtanh,
    "relu6": lambda m, x: _hardtanh(m, x, 0, 6),
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda m, x: m.make("mul", x, _hardsigmoid(m, x)),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": lambda m, x: m.make("mul", _elu(m, x, _SELU[1]), _SELU[0]),
    "celu": lambda m, x, alpha=1.0: (
        _elu(m, m.make("div", x, alpha), 1.0) if alpha == 1 else _celu(m, x, alpha)
    ),
    "logsigmoid": _logsigmoid,
    "tanhshrink": lambda m, x: m.make("sub", x, m.make("tanh", x)),
    "lerp": _lerp,
    "addcmul": _addcmul,
    "zeros_like": lambda m, x: m.const(0),
    "ones_like": lambda m, x: m.const(1),
    "full_like": _full_like,
    "clone": lambda m, x: m.make("copy", x),
    "contiguous": lambda m, x: m.make("copy", x),
}


def _celu(m: Expressions, x: Any, alpha: float) -> Node:
    low = m.make("expm1", m.make("div", m.make("min", x, 0), alpha))
    return m.make("where", m.make("gt", x, 0), x, m.make("mul", low, alpha))


_OTHER_NAMES = {
    "truediv": "div",
    "true_divide": "div",
    "divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "negative": "neg",
    "absolute": "abs",
    "clip": "clamp",
    "clamp_min": "clamp",
    "log_sigmoid": "logsigmoid",
    "greater": "gt",
    "less": "lt",
    "special_ndtr": "ndtr",
    "special_expit": "sigmoid",
    "expit": "sigmoid",
    "special_expm1": "expm1",
    "float_power": "pow",
    "and_": "logical_and",
    "or_": "logical_or",
    "bitwise_and": "logical_and",
    "bitwise_or": "logical_or",
    "__and__": "logical_and",
    "__or__": "logical_or",
    "invert": "logical_not",
    "iadd": "add",
    "isub": "sub",
    "imul": "mul",
    "itruediv": "div",
}
