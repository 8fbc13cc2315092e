"""An output layer and its loss in one, which never holds all scores.

For N = T·B rows and a vocabulary of V words the scores h Wᵀ + b are the largest thing a
language model computes. Only the loss and the gradients are wanted of them, and those
can be had block by block.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime import kernels
from throughtime.checks import number
from throughtime.errors import InvalidShape
from throughtime.kernels.recurrence import DTYPES
from throughtime.layers.instrument import instrument
from throughtime.layers.native import transformed
from throughtime.layers.unroll import check_backend
from throughtime.losses import (
    NEVER,
    check_targets,
    counting,
    cross_entropy,
    outside,
)

# Looked up once, so that torch.compile meets a constant.
_CORE = kernels.missing() is None


def linear_cross_entropy(
    h: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    backend: str = "auto",
) -> Tensor:
    """l = -log softmax(W h + b)[target], in nats, without ever holding all scores.

    The same as ``losses.cross_entropy(F.linear(h, weight, bias), targets, ...)``. With
    reduction ``mean`` or ``sum`` the compiled core computes the gradients along with
    the loss; with ``none`` it computes the scores again for them.

    Args:
        h: (T, B, H), or any (..., H).
        weight: W, (V, H).
        targets: long, (T, B), or the same (...).
        bias: b, (V,).
        mask: bool, the shape of targets; what h and targets hold where it is False
            changes neither value nor gradient. Default: everything counts.
        ignore_index: targets of this value do not count, as if masked.
        label_smoothing: ε in [0, 1], see ``losses.cross_entropy``.
        reduction: ``mean`` over the targets that count (0 if there are none), ``sum``,
            or ``none``: one loss per target, 0 where masked.
        backend: ``auto``, ``native`` (the compiled core) or ``loop`` (plain torch).

    Raises:
        InvalidShape: shapes that do not fit.
        InvalidType: targets that are not long, a mask that is not bool, an
            ``ignore_index`` that is no int, or a ``label_smoothing`` that is no number.
        InvalidValue: unknown reduction or backend, ``label_smoothing`` outside [0, 1],
            or a target outside [0, V).

    >>> h, weight = torch.zeros(3, 2, 5), torch.randn(4, 5)
    >>> linear_cross_entropy(h, weight, torch.zeros(3, 2, dtype=torch.long))
    tensor(1.3863)
    """
    _check_shapes(h, weight, bias)
    check_targets(targets, h.shape[:-1], mask, reduction)
    smoothing = number("label_smoothing", label_smoothing, minimum=0, maximum=1)
    if not torch.compiler.is_compiling():  # what warns once cannot be traced
        check_backend(backend, ())
    mask = counting(targets, mask, ignore_index)
    parts = [h, weight] if bias is None else [h, weight, bias]
    if (
        backend == "loop"
        or weight.numel() == 0
        or targets.device.type != "cpu"
        or not _fits(parts)
    ):
        if mask is not None:
            # Behind the layer it would be too late: 0 times NaN is NaN.
            h = h.masked_fill(~mask.unsqueeze(-1), 0.0)
        logits = F.linear(h, weight, bias)
        return cross_entropy(
            logits, targets, mask=mask, label_smoothing=smoothing, reduction=reduction
        )
    if mask is not None:
        targets = targets.masked_fill(~mask, NEVER)
    loss = _call(
        h.reshape(-1, h.size(-1)),
        weight,
        bias,
        targets.reshape(-1),
        smoothing,
        reduction,
    )
    return loss.view(targets.shape) if reduction == "none" else loss


def _fits(tensors: Sequence[Tensor]) -> bool:
    """Whether the core is there and can take these tensors, here and now."""
    dtype = tensors[0].dtype
    return (
        _CORE
        and dtype in DTYPES
        and all(t.device.type == "cpu" and t.dtype == dtype for t in tensors)
        and not torch.is_autocast_enabled("cpu")
        and not transformed()
        and instrument() is None
    )


def _check_shapes(h: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if weight.dim() != 2:
        raise InvalidShape(f"weight must have shape (V, H), got {tuple(weight.shape)}")
    if h.dim() == 0 or h.size(-1) != weight.size(1):
        raise InvalidShape(
            f"h must have shape (..., {weight.size(1)}) like the rows of weight, "
            f"got {tuple(h.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise InvalidShape(
            f"bias must have shape {tuple(weight.shape[:1])} like the rows of weight, "
            f"got {tuple(bias.shape)}"
        )


# ---- the core, differentiable


@torch.library.custom_op("throughtime::output_loss", mutates_args=())
def output_loss(
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    reduction: str,
    wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The loss, and its gradients of h, weight and bias where wanted, else empty."""
    loss, gradients = _forward(h, weight, bias, targets, smoothing, reduction, wanted)
    a, b, c = (h.new_empty(0) if g is None else g for g in gradients)
    return loss, a, b, c


@output_loss.register_fake
def _(
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    reduction: str,
    wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a, b, c = (
        h.new_empty(t.shape if t is not None and want and reduction != "none" else (0,))
        for t, want in zip((h, weight, bias), wanted, strict=True)
    )
    return h.new_empty(targets.shape if reduction == "none" else ()), a, b, c


@torch.library.custom_op("throughtime::output_loss_backward", mutates_args=())
def output_loss_backward(
    grad: Tensor,
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    reduction: str,
    wanted: Sequence[bool],
) -> list[Tensor]:
    """Those gradients that are wanted, for a gradient of the loss."""
    gradients = _run(h, weight, bias, targets, smoothing, reduction, wanted, grad)[1]
    return [g for g in gradients if g is not None]


@output_loss_backward.register_fake
def _(
    grad: Tensor,
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    reduction: str,
    wanted: Sequence[bool],
) -> list[Tensor]:
    return [
        h.new_empty(t.shape)
        for t, want in zip((h, weight, bias), wanted, strict=True)
        if want and t is not None
    ]


def _run(
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    reduction: str,
    wanted: Sequence[bool],
    grad: Tensor | None = None,
) -> tuple[Tensor, list[Tensor | None]]:
    """The loss and its gradients, times ``grad`` (default 1), by the core."""
    ignored = targets == NEVER
    if ((targets < 0) & ~ignored | (targets >= weight.size(0))).any():
        raise outside(targets[~ignored], weight.size(0))
    count = max(targets.numel() - int(ignored.sum()), 1) if reduction == "mean" else 1
    row_weights = None
    if any(wanted):
        grad = h.new_ones(()) if grad is None else grad
        row_weights = (grad / count).expand(targets.shape)
    losses, gradients = kernels.output_loss(
        h, weight, bias, targets, smoothing, row_weights, wanted
    )
    return losses if reduction == "none" else losses.sum() / count, gradients


def _forward(
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    reduction: str,
    wanted: Sequence[bool],
) -> tuple[Tensor, list[Tensor | None]]:
    """``_run``, but for a loss per row the gradients are left to backward."""
    now = [want and reduction != "none" for want in wanted]
    return _run(h, weight, bias, targets, smoothing, reduction, now)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.smoothing, ctx.reduction, ctx.wanted = inputs
    ctx.save_for_backward(*tensors, *output[1:])


def _differentiate(
    ctx: Any, grad: Tensor, *_: Tensor | None
) -> tuple[Tensor | None, ...]:
    values: tuple[Any, ...] = (
        *ctx.saved_tensors[:4],
        ctx.smoothing,
        ctx.reduction,
    )
    if torch.is_grad_enabled():
        found = _by_torch(grad, *values)
    elif ctx.reduction == "none":
        left = iter(output_loss_backward(grad, *values, ctx.wanted))
        found = [next(left) if want else None for want in ctx.wanted]
    else:
        found = [grad * g for g in ctx.saved_tensors[4:]]
    return *_only(found, ctx.wanted), None, None, None, None


def _only(
    gradients: Sequence[Tensor | None], wanted: Sequence[bool]
) -> list[Tensor | None]:
    return [g if want else None for g, want in zip(gradients, wanted, strict=True)]


output_loss.register_autograd(_differentiate, setup_context=_keep)


class _Direct(torch.autograd.Function):
    """``output_loss`` without the way through torch's dispatcher and without a copy."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        *values, wanted = inputs
        loss, gradients = _forward(*inputs)
        ctx.save_for_backward(*values[:4])
        ctx.options, ctx.wanted = values[4:], wanted
        # Not among the saved tensors: backward gives them away.
        ctx.gradients = None if values[5] == "none" else gradients
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        values: tuple[Any, ...] = (*ctx.saved_tensors, *ctx.options)
        found, ctx.gradients = ctx.gradients, None
        if torch.is_grad_enabled():
            found = _by_torch(grad, *values)
        elif found is None:  # one loss per row, or backward comes a second time
            found = _run(*values, wanted=ctx.wanted, grad=grad)[1]
        elif float(grad) != 1:
            found = [None if g is None else g.mul_(grad) for g in found]
        return *_only(found, ctx.wanted), None, None, None, None


def _by_torch(
    grad: Tensor,
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    reduction: str,
) -> list[Tensor | None]:
    """The gradients as a formula that torch can differentiate again."""
    counts = targets != NEVER
    h = h.masked_fill(~counts.unsqueeze(-1), 0.0)
    dz = F.linear(h, weight, bias).softmax(-1) - smoothing / weight.size(0)
    hit = torch.full_like(dz[:, :1], 1 - smoothing)
    dz = dz.scatter_add(1, targets.masked_fill(~counts, 0).unsqueeze(-1), -hit)
    share = grad / counts.sum().clamp(min=1) if reduction == "mean" else grad
    dz = dz * (share * counts).unsqueeze(-1)
    return [dz @ weight, dz.t() @ h, None if bias is None else dz.sum(0)]


def _call(
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    reduction: str,
) -> Tensor:
    """``output_loss``, the shortest way."""
    wanted = [
        torch.is_grad_enabled() and t is not None and t.requires_grad
        for t in (h, weight, bias)
    ]
    values = (h, weight, bias, targets, smoothing, reduction, wanted)
    if torch.compiler.is_compiling():
        return output_loss(*values)[0]
    if not any(wanted):
        return _run(*values)[0]
    return _Direct.apply(*values)
