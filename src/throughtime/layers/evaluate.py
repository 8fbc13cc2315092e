"""The operations of a step by torch, on tensors of any shape that ends in H."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.cells import row_norm
from throughtime.layers.affine import Operation

# A leaf, or the gates of a product inside the step, from what else it depends on.
Leaf = Callable[..., Any]


def evaluate(
    operations: Sequence[Operation], values: list[Any], leaf: Leaf, like: Tensor
) -> None:
    """Compute operations and put them behind the values so far.

    Args:
        operations: in order, each of which reads values before it.
        values: by number; grows.
        leaf: called as ``leaf(name, attribute, *arguments)`` for what is not pointwise.
        like: for the type of constants.
    """
    for name, numbers, attribute in operations:
        args = [values[number] for number in numbers]
        if name == "const":
            # Not a number: some functions of torch take tensors only.
            value = torch.full((), attribute, dtype=like.dtype, device=like.device)
        elif name == "item":
            value = args[0][attribute]
        elif name == "norm":
            value = row_norm(*torch.broadcast_tensors(*args), eps=attribute)
        elif name in _FUNCTIONS:
            value = _FUNCTIONS[name](*args)
        else:
            value = leaf(name, attribute, *args)
        values.append(value)


def _where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(condition != 0, yes, no)


def _gt(a: Tensor, b: Tensor) -> Tensor:
    return (a > b).to(a.dtype)


def _ge(a: Tensor, b: Tensor) -> Tensor:
    return (a >= b).to(a.dtype)


def _eq(a: Tensor, b: Tensor) -> Tensor:
    return (a == b).to(a.dtype)


def _softplus(x: Tensor) -> Tensor:
    # Without the threshold of F.softplus.
    return -F.logsigmoid(-x)


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "copy": torch.clone,
    "detach": torch.detach,
    "neg": torch.neg,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": _softplus,
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
    "gt": _gt,
    "ge": _ge,
    "eq": _eq,
    "pow": torch.pow,
    "where": _where,
}
