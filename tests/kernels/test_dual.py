"""The dual step of every operation against forward mode by torch, in float64."""

import pytest
import torch

from throughtime.errors import InvalidCell
from throughtime.kernels.dual import dual
from throughtime.kernels.expressions import OPERATIONS, Definition, Expressions, below

TORCH = {
    "copy": lambda a: a,
    "neg": torch.neg,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": torch.nn.functional.softplus,
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "sin": torch.sin,
    "cos": torch.cos,
    "normal_cdf": torch.special.ndtr,
    "sign": torch.sign,
    "floor": torch.floor,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "max": torch.maximum,
    "min": torch.minimum,
    "gt": torch.gt,
    "ge": torch.ge,
    "eq": torch.eq,
    "pow": torch.pow,
    "where": lambda a, b, c: torch.where(a > 0, b, c),
}
# Made from others when a step is compiled, or by its derivative.
LATER = {"sigmoid_slope", "tanh_slope", "fma", "fnma", "sigmoid_sum", "tanh_sum"}


def value(node, leaves):
    """A node's value from those of x and of the state."""
    found = {}
    for each in below([node]):
        if each.op == "const":
            found[each] = torch.tensor(each.attribute, dtype=torch.float64)
        elif each.is_leaf:
            found[each] = leaves[each.op][each.attribute]
        else:
            found[each] = TORCH[each.op](*(found[a] for a in each.args)).double()
    return found[node]


def step(op, count):
    """h' = op(x_0, h, x_1) / h, or with fewer arguments."""
    make = Expressions()
    arguments = [make.leaf("x", 0), make.leaf("state", 0), make.leaf("x", 1)][:count]
    if op == "where":
        arguments[0] = make.make("gt", arguments[0], arguments[1])
    made = make.make("div", make.make(op, *arguments), make.leaf("state", 0))
    return Definition(make, 2, 0, ("h",), 0, (made,))


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op not in LATER])
def test_of_every_operation(op):
    definition = step(op, OPERATIONS[op])
    random = torch.Generator().manual_seed(0)
    x = 0.2 + torch.rand(2, 50, generator=random, dtype=torch.float64)
    h = 0.2 + torch.rand(1, 50, generator=random, dtype=torch.float64)
    if op in ("max", "min", "eq"):
        x[0, :10] = h[0, :10]
    dx, dh = torch.randn(3, 50, generator=random, dtype=torch.float64).split([2, 1])

    def forward(x, h):
        return value(definition.state[0], {"x": x, "state": h})

    truth, moved = torch.func.jvp(forward, (x, h), (dx, dh))
    made = dual(definition)
    assert (made.x_gates, made.fields) == (4, ("h", "d_h"))
    leaves = {"x": torch.cat([x, dx]), "state": torch.cat([h, dh])}
    found = [value(node, leaves) for node in made.state]
    torch.testing.assert_close(found[0], truth, rtol=1e-14, atol=0)
    torch.testing.assert_close(found[1], moved, rtol=1e-12, atol=1e-14)


def test_products_are_block_triangular():
    """Leaves of the products: W h, V h and W dh; M s, dM s and M ds."""
    make = Expressions()
    source = make.make("mul", make.leaf("h", 0), make.leaf("param", 0))
    made = make.make("tanh", make.inner(source, 0, 0))
    definition = Definition(make, 0, 1, ("h",), 1, (made,), ((source, 1),))
    found = dual(definition)
    assert (found.h_gates, found.rows) == (2, 2)
    assert [gates for _, gates in found.inner] == [1, 2, 1]
    assert found.inner[0][0].op == "state"
    assert found.inner[0][0].attribute == 1


def test_a_normalised_row_has_none():
    make = Expressions()
    row = make.norm([make.leaf("x", 0)], 0, 1e-5)
    with pytest.raises(InvalidCell, match="normalised row"):
        dual(Definition(make, 1, 0, ("h",), 0, (row,)))
