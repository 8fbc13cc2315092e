"""The R-operator of a layer: how its outputs change with its inputs and weights.

``recurrence_backward`` is linear in the gradients it is given, and its derivative by
them is J v, the tangent of the layer in a direction v. Whoever needs nothing else of
it, a Gauss-Newton product above all, builds the graph inside ``linear_in_gradients``;
then the tangent runs in the compiled core, as a dual step (``kernels.dual``).
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from throughtime import kernels
from throughtime.errors import InvalidCell
from throughtime.kernels import Inputs, Variant
from throughtime.kernels.definitions import definition_of
from throughtime.kernels.dual import dual
from throughtime.kernels.encoding import too_large
from throughtime.kernels.program import compile_step
from throughtime.layers.loop import valid_mask

_LINEAR = ContextVar("linear_in_gradients", default=False)
# Key of a cell -> key of its dual step; "" where it has none.
_DUAL: dict[str, str] = {}


@contextmanager
def linear_in_gradients() -> Generator[None]:
    """Gradients computed with a graph inside are constants but for what they came from.

    ``torch.autograd.grad(y, x, u, create_graph=True)`` inside gives a z that may be
    differentiated by u, but not by anything else where it passed a recurrent layer.

    >>> import throughtime as tt
    >>> gru = tt.GRU(2, 3)
    >>> y, _ = gru(torch.zeros(4, 1, 2))
    >>> u = torch.zeros_like(y, requires_grad=True)
    >>> points = list(gru.parameters())
    >>> with linear_in_gradients():
    ...     z = torch.autograd.grad(y, points, u, create_graph=True)
    >>> (moved,) = torch.autograd.grad(z, u, [torch.ones_like(p) for p in points])
    >>> moved.shape
    torch.Size([4, 1, 3])
    """
    token = _LINEAR.set(True)
    try:
        yield
    finally:
        _LINEAR.reset(token)


def is_linear() -> bool:
    """Whether we are inside ``linear_in_gradients``."""
    return _LINEAR.get()


def dual_key(key: str) -> str:
    """The key of the dual step of a cell; empty if the core has none."""
    if key not in _DUAL:
        _DUAL[key] = _define(key)
    return _DUAL[key]


def _define(key: str) -> str:
    definition = definition_of(key)
    assert definition is not None
    try:
        made = dual(definition)
    except InvalidCell:
        return ""
    if too_large(compile_step(made, Variant(save=False, pure=False))):
        return ""
    kernels.define(f"dual {key}", made)
    return f"dual {key}"


def usable(inputs: Inputs) -> bool:
    """Whether the core can compute the tangent.

    A gain on the gradient makes that another one than the derivative of the outputs,
    and a projected h is no unit of the step.
    """
    return (
        inputs.x.device.type == "cpu"
        and inputs.weight_hr is None
        and inputs.carry_gain is None
        and bool(dual_key(inputs.cell))
    )


def tangents(inputs: Inputs, given: dict[str, Tensor]) -> list[Tensor]:
    """J v.

    Args:
        inputs: of the layer.
        given: v, by field of ``inputs``; zero where there is none.

    Returns:
        The tangents of h_steps, c_steps, h and c.
    """
    done = kernels.forward(dual_inputs(inputs, given), False)
    width = inputs.h.size(1)
    count = 0 if inputs.c is None else inputs.c.size(1)
    steps, final = done.c_steps, done.c
    if inputs.lengths is not None and inputs.packed is None:
        valid = valid_mask(inputs.lengths, steps.size(0)).unsqueeze(-1)
        steps = torch.where(valid, steps, 0.0)
    # Beside h: the other fields, dh, and the tangents of those fields.
    return [
        steps[..., count : count + width],
        steps[..., count + width :] if count else steps.new_empty(0),
        final[:, count : count + width],
        final[:, count + width :] if count else final.new_empty(0),
    ]


def dual_inputs(inputs: Inputs, given: dict[str, Tensor]) -> Inputs:
    """What the dual step reads."""

    def tangent(name: str) -> Tensor | None:
        value = getattr(inputs, name)
        if value is None:
            return None
        found = given.get(name)
        return torch.zeros_like(value) if found is None else found

    def both(name: str, dim: int = 0) -> Tensor | None:
        value = getattr(inputs, name)
        return None if value is None else torch.cat([value, _sure(tangent(name))], dim)

    def beside(h: str, c: str) -> Tensor | None:
        """The fields c, dh, dc of the dual state."""
        parts = [getattr(inputs, c), tangent(h), tangent(c)]
        there = [part for part in parts if part is not None]
        return torch.cat(there, -1) if there else None

    def masks(h: Tensor | None, c: Tensor | None) -> Tensor | None:
        """A mask per field of c, dh, dc: those of c, h, c."""
        if h is None and c is None:
            return None
        like = _sure(c if h is None else h)
        if h is None:
            h = like.new_zeros(*like.shape[:-1], inputs.h.size(1))
        if c is None and inputs.c is not None:
            c = like.new_zeros(*like.shape[:-1], inputs.c.size(1))
        return torch.cat([h] if c is None else [c, h, c], -1)

    x, weight_ih = inputs.x, inputs.weight_ih
    moved = tangent("x") if "x" in given else None
    rows = both("weight_ih")
    if moved is not None:
        # [x, dx] and block triangular weights.
        x = torch.cat([x, moved], -1)
        lower = torch.cat([torch.zeros_like(weight_ih), weight_ih])
        rows = torch.cat([_sure(rows), lower], -1)
    weight_mh, bias_mh = _products(inputs, tangent)
    share = [*inputs.share]
    return Inputs(
        x,
        _sure(rows),
        inputs.h,
        beside("h", "c"),
        both("weight_hh"),
        weight_mh,
        both("bias_ih"),
        both("bias_hh"),
        bias_mh,
        None,
        both("extra"),
        inputs.lengths,
        inputs.reset,
        inputs.initial_h,
        beside("initial_h", "initial_c") if inputs.initial_h is not None else None,
        inputs.mask,
        inputs.hold_h,
        masks(inputs.hold_h, inputs.hold_c),
        inputs.added_h,
        _added(inputs, tangent),
        None,
        inputs.packed,
        [*share, *share],
        inputs.reverse,
        dual_key(inputs.cell),
    )


def _sure(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def _products(inputs: Inputs, tangent: Any) -> tuple[Tensor | None, Tensor | None]:
    """Weights and biases of the products inside the dual step."""
    definition = definition_of(inputs.cell)
    assert definition is not None
    size, at = inputs.hidden_size, 0
    weights = [] if inputs.weight_hh is None else [inputs.weight_hh]
    has_bias = inputs.bias_mh is not None
    biases = [w.new_zeros(w.size(0)) for w in weights]
    dw, db = tangent("weight_mh"), tangent("bias_mh")
    for _, gates in definition.inner:
        rows = slice(at, at + gates * size)
        at += gates * size
        own = _sure(inputs.weight_mh)[rows]
        weights += [own, dw[rows], own]
        if has_bias:
            biases += [
                _sure(inputs.bias_mh)[rows],
                db[rows],
                torch.zeros_like(db[rows]),
            ]
    if not weights:
        return None, None
    return torch.cat(weights), torch.cat(biases) if has_bias else None


def _added(inputs: Inputs, tangent: Any) -> Tensor | None:
    """What is added to the fields c, dh, dc."""
    parts = [(inputs.added_c, inputs.c), (tangent("added_h"), inputs.h)]
    parts.append((tangent("added_c"), inputs.c))
    some = next((value for value, _ in parts if value is not None), None)
    if some is None:
        return None
    filled = [
        some.new_zeros(*some.shape[:-1], like.size(1)) if value is None else value
        for value, like in parts
        if like is not None
    ]
    return torch.cat(filled, -1)
