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
from throughtime.layers import by_loop
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
    recompute: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All steps of one layer and direction: the fields of ``kernels.Outputs``.

    With ``recompute`` nothing but the inputs waits for the gradient.
    """
    inputs = named(
        x, weight_ih, h, c, weight_hh, weight_mh, bias_ih, bias_hh, bias_mh, weight_hr,
        extra, lengths, reset, initial_h, initial_c, mask, hold_h, hold_c, added_h,
        added_c, carry_gain, packed, share, reverse, cell, gates,
        triton,
    )  # fmt: skip
    h_steps, c_steps, h, c, saved = kernels.forward(inputs, save)
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
) -> list[Tensor]:
    """Gradients of the tensors that are ``wanted``, in their order.

    Operators take no lists with None in them: ``tensors`` and ``grads`` (of the first
    four outputs) hold what there is, and ``given`` says what that is. Without
    ``outputs`` they are computed again.
    """
    every = _spread([*tensors, *grads], given)
    inputs = named(*every[: len(TENSORS)], share, reverse, cell, gates, triton)
    saved = Outputs(*outputs) if outputs else None
    found = kernels.backward(inputs, saved, every[len(TENSORS) :], wanted)
    return [g for g in found if g is not None]


def _spread(
    tensors: Sequence[Tensor | None], given: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """One entry per flag of ``given``: the next tensor, or None."""
    left = iter(tensors)
    return tuple(next(left) if there else None for there in given)


@recurrence.register_fake
def _(*values: Any) -> tuple[Tensor, ...]:
    return tuple(outputs_like(named(*values), values[-2]))


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
    ctx.save_for_backward(*inputs[: len(TENSORS)], *(() if recompute else output))
    ctx.rest = inputs[len(TENSORS) :]


def _differentiate(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors[: len(TENSORS)]
    outputs = ctx.saved_tensors[len(TENSORS) :]
    wanted = wanted_of(tensors, ctx.needs_input_grad)
    found = gradients(tensors, outputs, grads, wanted, ctx.rest[:-2])
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

    Without ``outputs`` they are computed again.
    """
    if grads[4] is not None and grads[4].dim() > 1:
        # Someone differentiates a gate: the loop knows how.
        found = by_loop.gradients(
            tensors, grads, wanted, rest, create_graph=torch.is_grad_enabled()
        )
    else:
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
    tensors, outputs = ctx.sizes
    return (
        result[:tensors],
        [None] * outputs,
        result[tensors:],
        None,
        None,
        *(None for _ in ctx.rest),
    )


recurrence_backward.register_autograd(
    _differentiate_backward, setup_context=_keep_backward
)
