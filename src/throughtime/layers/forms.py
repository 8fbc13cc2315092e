"""The forms of torch's pointwise functions, operators and methods in the kernels.

A table by name; what is not in it runs on the loop.
"""

from collections.abc import Callable
from typing import Any

from throughtime.kernels.expressions import Expressions, Node

_SQRT_HALF = 0.70710678118654752440
_SELU = (1.0507009873554805, 1.6732632423543772)

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


def _cast(m: Expressions, x: Any, *kind: Any) -> Node:
    """To the dtype of another value: conditions are numbers here already."""
    if len(kind) != 1 or not (isinstance(kind[0], Node) or kind[0] is _DTYPE):
        raise TypeError("to")
    return m.make("copy", x)


def _attribute(m: Expressions, x: Any, name: str) -> Any:
    if name != "dtype":
        raise TypeError(name)
    return _DTYPE


_DTYPE = object()  # that of all values


_UNARY = (
    *("neg", "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "relu", "abs"),
    *("sqrt", "sin", "cos", "sign", "floor"),
)
FORMS: dict[str, Form] = {
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
    "detach": lambda m, x: m.make("detach", x),
    "to": _cast,
    "type": _cast,
    "type_as": _cast,
    "getattr": _attribute,
    "contiguous": lambda m, x: m.make("copy", x),
}


def _celu(m: Expressions, x: Any, alpha: float) -> Node:
    low = m.make("expm1", m.make("div", m.make("min", x, 0), alpha))
    return m.make("where", m.make("gt", x, 0), x, m.make("mul", low, alpha))


OTHER_NAMES = {
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
