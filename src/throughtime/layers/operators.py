"""The compiled core as two torch operators.

``throughtime::recurrence`` runs a layer forward, ``throughtime::recurrence_backward``
is its gradient; the gradient of that one differentiates the plain loop. So autograd of
any order works, and ``torch.compile`` sees two opaque operators, whatever the steps.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime import kernels
from throughtime.kernels import Inputs, Outputs
from throughtime.kernels.recurrence import outputs_like
from throughtime.layers import by_loop, tangent
from throughtime.layers.by_loop import named

# The fields of Inputs that are tensors come first.
TENSORS = tuple(Inputs._fields[: Inputs._fields.index("share")])


@torch.library.custom_op("throughtime::recurrence", mutates_args=())
def recurrence(
    x: Tensor,
    weight_ih: Tensor,
    h: Tensor,
    c: Tensor | None,
    weight_hh: Tensor | None,
    weight_mh: Tensor | None,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    bias_mh: Tensor | None,
    weight_hr: Tensor | None,
    extra: Tensor | None,
    lengths: Tensor | None,
    reset: Tensor | None,
    initial_h: Tensor | None,
    initial_c: Tensor | None,
    mask: Tensor | None,
    hold_h: Tensor | None,
    hold_c: Tensor | None,
    added_h: Tensor | None,
    added_c: Tensor | None,
    carry_gain: Tensor | None,
    packed: Tensor | None,
    share: Sequence[float],
    reverse: bool,
    cell: str,
    gates: bool,
    triton: bool,
    save: bool,
    recompute: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All steps of one layer and direction: the fields of ``kernels.Outputs``.

    With ``recompute``, steps of a segment or 0, nothing but the inputs and the states
    between segments waits for the gradient; these are ``saved``, unless that is taken
    by gates.
    """
    inputs = named(
        x, weight_ih, h, c, weight_hh, weight_mh, bias_ih, bias_hh, bias_mh, weight_hr,
        extra, lengths, reset, initial_h, initial_c, mask, hold_h, hold_c, added_h,
        added_c, carry_gain, packed, share, reverse, cell, gates,
        triton,
    )  # fmt: skip
    outputs = kernels.forward(inputs, save)
    h_steps, c_steps, h, c, saved = outputs
    if recompute and not gates:
        saved = kernels.border_states(inputs, outputs, recompute)
    return h_steps, c_steps, h, c, saved


@torch.library.custom_op("throughtime::recurrence_backward", mutates_args=())
def recurrence_backward(
    tensors: Sequence[Tensor],
    outputs: Sequence[Tensor],
    grads: Sequence[Tensor],
    given: Sequence[bool],
    wanted: Sequence[bool],
    share: Sequence[float],
    reverse: bool,
    cell: str,
    gates: bool,
    triton: bool,
    recompute: int,
) -> list[Tensor]:
    """Gradients of the tensors that are ``wanted``, in their order.

    Operators take no lists with None in them: ``tensors`` and ``grads`` (of the first
    four outputs) hold what there is, and ``given`` says what that is. With
    ``recompute`` the ``outputs`` are the states between segments alone.
    """
    every = _spread([*tensors, *grads], given)
    inputs = named(*every[: len(TENSORS)], share, reverse, cell, gates, triton)
    arriving = every[len(TENSORS) :]
    (found,) = backward_of([inputs], [outputs], [arriving], [wanted], recompute)
    return [g for g in found if g is not None]


def backward_of(
    layers: Sequence[Inputs],
    kept: Sequence[Sequence[Tensor]],
    grads: Sequence[tuple[Tensor | None, ...]],
    wanted: Sequence[Sequence[bool]],
    recompute: int,
) -> list[list[Tensor | None]]:
    """The gradients of one layer, or of two that do not depend on each other.

    Args:
        layers: their inputs.
        kept: the outputs of each, or with ``recompute`` its states between segments.
        grads: of the outputs of each.
        wanted: see ``wanted_of``.
        recompute: steps of a segment, or 0.
    """
    if recompute:
        borders = [states for (states,) in kept]
        return kernels.backward_by_segments(layers, borders, grads, wanted, recompute)
    outputs = [Outputs(*part) for part in kept]
    if len(layers) == 2:
        return kernels.backward_both(layers, outputs, grads, wanted)
    return [kernels.backward(layers[0], outputs[0], grads[0], wanted[0])]


def _spread(
    tensors: Sequence[Tensor | None], given: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """One entry per flag of ``given``: the next tensor, or None."""
    left = iter(tensors)
    return tuple(next(left) if there else None for there in given)


@recurrence.register_fake
def _(*values: Any) -> tuple[Tensor, ...]:
    inputs, save, recompute = named(*values), *values[-2:]
    outputs = outputs_like(inputs, save)
    if recompute and not inputs.gates:
        count = kernels.border_count(inputs, recompute)
        width = inputs.h.size(1) + (0 if inputs.c is None else inputs.c.size(1))
        shape = (count, inputs.h.size(0), width) if count else (0,)
        outputs = outputs._replace(saved=inputs.x.new_empty(shape))
    return tuple(outputs)


@recurrence_backward.register_fake
def _(
    tensors: Any, outputs: Any, grads: Any, given: Any, wanted: Any, *rest: Any
) -> list[Tensor]:
    every = _spread([*tensors, *grads], given)
    return [
        torch.empty_like(t, memory_format=torch.contiguous_format)
        for t, want in zip(every, wanted, strict=False)
        if want and t is not None
    ]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    recompute = inputs[-1]
    ctx.set_materialize_grads(False)
    kept = output[-1:] if recompute else output
    ctx.save_for_backward(*inputs[: len(TENSORS)], *kept)
    ctx.rest = inputs[len(TENSORS) :]


def _differentiate(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors[: len(TENSORS)]
    outputs = ctx.saved_tensors[len(TENSORS) :]
    wanted = wanted_of(tensors, ctx.needs_input_grad)
    rest = (*ctx.rest[:-2], ctx.rest[-1])  # all but ``save``
    found = gradients(tensors, outputs, grads, wanted, rest)
    return *found, *(None for _ in ctx.rest)


def wanted_of(tensors: Sequence[Tensor | None], needs: Sequence[bool]) -> list[bool]:
    """Which of the tensors get a gradient."""
    return [
        bool(need) and t is not None and t.is_floating_point()
        for need, t in zip(needs, tensors, strict=False)
    ]


def gradients(
    tensors: Sequence[Tensor | None],
    outputs: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    wanted: Sequence[bool],
    rest: Sequence[Any],
) -> list[Tensor | None]:
    """The gradients of ``recurrence``, one entry per tensor; they differentiate again.

    With recompute the ``outputs`` are the states between segments alone.
    """
    if grads[4] is not None and grads[4].dim() > 1:
        # Someone differentiates a gate: the loop knows how.
        found = by_loop.gradients(
            tensors, grads, wanted, rest, create_graph=torch.is_grad_enabled()
        )
    else:
        if tangent.is_linear():
            tensors = [None if t is None else t.detach() for t in tensors]
        every = (*tensors, *grads[:4])
        found = recurrence_backward(
            [t for t in tensors if t is not None],
            list(outputs),
            [g for g in grads[:4] if g is not None],
            [t is not None for t in every],
            list(wanted),
            *rest,
        )
    left = iter(found)
    return [next(left) if want else None for want in wanted]


recurrence.register_autograd(_differentiate, setup_context=_keep)


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    tensors, outputs, grads, given, wanted, *rest = inputs
    ctx.save_for_backward(*tensors, *grads)
    ctx.sizes = (len(tensors), len(outputs))
    ctx.given, ctx.wanted, ctx.rest = given, wanted, rest


def _differentiate_backward(
    ctx: Any, grad_found: Sequence[Tensor | None]
) -> tuple[Any, ...]:
    again = torch.is_grad_enabled()
    found = None if again else _tangents(ctx, grad_found)
    if found is not None:
        return found
    with torch.enable_grad():
        leaves = [by_loop.alias(t) for t in ctx.saved_tensors]
        every = _spread(leaves, ctx.given)
        found = by_loop.gradients(
            every[: len(TENSORS)],
            every[len(TENSORS) :],
            ctx.wanted,
            ctx.rest,
            create_graph=True,
        )
        pairs = [
            (f, g)
            for f, g in zip(found, grad_found, strict=True)
            if g is not None and f.requires_grad
        ]
        into = [i for i, t in enumerate(leaves) if t.requires_grad]
        second = torch.autograd.grad(
            [f for f, _ in pairs],
            [leaves[i] for i in into],
            [g for _, g in pairs],
            create_graph=again,
            allow_unused=True,
        )
    result: list[Tensor | None] = [None] * len(leaves)
    for i, gradient in zip(into, second, strict=True):
        result[i] = gradient
    return _second(ctx, result)


def _second(ctx: Any, result: Sequence[Tensor | None]) -> tuple[Any, ...]:
    """Gradients of ``tensors`` and ``grads`` as those of all arguments."""
    tensors, outputs = ctx.sizes
    rest = (None for _ in ctx.rest)
    parts = list(result[:tensors]), [None] * outputs, list(result[tensors:])
    return *parts, None, None, *rest


def _tangents(ctx: Any, grad_found: Sequence[Tensor | None]) -> tuple[Any, ...] | None:
    """The derivative by the incoming gradients alone, if that is all, by the core."""
    saved, count = ctx.saved_tensors, ctx.sizes[0]
    if any(t.requires_grad for t in saved[:count]):
        return None
    every = _spread(saved, ctx.given)
    inputs = named(*every[: len(TENSORS)], *ctx.rest)
    if not tangent.usable(inputs):
        return None
    names = [n for n, want in zip(TENSORS, ctx.wanted, strict=True) if want]
    pairs = zip(names, grad_found, strict=True)
    moved = tangent.tangents(inputs, {n: g for n, g in pairs if g is not None})
    asked = [
        m for m, g in zip(moved, every[len(TENSORS) :], strict=True) if g is not None
    ]
    return _second(ctx, [*(None for _ in range(count)), *asked])


recurrence_backward.register_autograd(
    _differentiate_backward, setup_context=_keep_backward
)
