"""What a declaration refuses, with the rule and the line; what it accepts."""

import pytest
import torch

import throughtime as tt
from throughtime.cells import PerUnit
from throughtime.errors import InvalidCell


def plain(a_x, a_h, state):
    return {"h": torch.tanh(a_x[0] + a_h[0])}


def two_fields(a_x, a_h, state):
    return {"h": torch.tanh(a_x[0] + a_h[0]), "c": state.c + a_x[0]}


def with_u(a_x, a_h, state, u):
    return {"h": torch.tanh(a_x[0] + u * a_h[0])}


def with_inner(a_x, a_h, state, inner):
    return {"h": torch.tanh(a_x[0] + inner(state.h + a_h[0])[0])}


def asks_twice(a_x, a_h, state, inner):
    return {"h": inner(inner(a_x[0])[0] + a_h[0])[0]}


def asks_never(a_x, a_h, state, inner):
    return {"h": a_x[0] + a_h[0]}


def constant(a_x, a_h, state):
    return {"h": torch.tanh(a_x[0] + a_h[0]) if a_x[0] is None else torch.ones(2, 5)}


def from_outside(a_x, a_h, state):
    return {"h": torch.tanh(a_x[0] + a_h[0]) * torch.ones(5)}


@pytest.mark.parametrize(
    ("step", "options", "says"),
    [
        (plain, {"gates": 0}, "gates must be a positive number"),
        (plain, {"gates": (1, -1)}, "gates must be a positive number"),
        (plain, {"gates": 1.5}, "gates must be a positive number"),
        (plain, {"gates": 1, "state": ("c",)}, "state must name the field h"),
        (plain, {"gates": 1, "state": ("h", "h")}, "by different Python names"),
        (plain, {"gates": 1, "state": ("h", "class")}, "by different Python names"),
        (plain, {"gates": 1, "inner": (0,)}, "inner must hold a positive number"),
        (plain, {"gates": 1, "inner": (1,)}, r"must take \(a_x, a_h, state, inner\)"),
        (with_u, {"gates": 1}, r"must take \(a_x, a_h, state\)"),
        (with_u, {"gates": 1, "parameters": {"u": 3.0}}, "by a PerUnit"),
        (with_u, {"gates": 1, "parameters": {"bias": PerUnit()}}, "every cell has"),
        (two_fields, {"gates": 1, "state": ("h",)}, "undeclared state"),
        (plain, {"gates": 1, "state": ("h", "c")}, r"state misses \['c'\]"),
        (plain, {"gates": 2}, r"a_x\[1\] is never used"),
        (asks_twice, {"gates": 1, "inner": (1,)}, "more products than inner"),
        (asks_never, {"gates": 1, "inner": (1,)}, "which asks for 0"),
        (constant, {"gates": 1}, "does not depend on anything"),
        (from_outside, {"gates": 1}, "from outside the step"),
    ],
)
def test_broken_rules(step, options, says):
    with pytest.raises(InvalidCell, match=says) as caught:
        tt.cell(**options)(step)(3, 4)
    code = step.__code__
    lines = range(code.co_firstlineno, code.co_firstlineno + 3)
    assert any(f"line {n} of {__file__}" in str(caught.value) for n in lines)


def test_a_lambda_is_a_step_too():
    kind = tt.cell(gates=1)(lambda a_x, a_h, state: {"h": a_x[0] * a_h[0]})
    assert kind(3, 4).step(torch.ones(2, 3)).h.shape == (2, 4)


def test_one_product_may_be_declared_by_its_number():
    cell = tt.cell(gates=1, inner=1)(with_inner)(3, 4)
    assert cell.inner == (1,)
    assert cell.get_parameter("weight_mh").shape == (4, 4)
