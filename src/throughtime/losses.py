"""Losses over time: one number from outputs, targets and a mask.

    mean:  L = (Σ m_tb l_tb) / (Σ m_tb)        sum:  L = Σ m_tb l_tb

With T steps and one sequence the mean is L = (1/T) Σ_t l_t; the sum is T times as
large, and so are its gradients. m is the mask, 1 where a target exists.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.errors import InvalidShape, unknown_name

REDUCTIONS = ("mean", "sum", "none")


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    mask: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l = -log softmax(logits)[target], in nats.

    Args:
        logits: (T, B, V), or any (..., V).
        targets: long, (T, B), or the same (...).
        mask: bool, the shape of targets; what logits and targets hold where it is False
            changes neither value nor gradient. Default: everything counts.
        reduction: ``mean`` over the targets that count (0 if there are none), ``sum``,
            or ``none``: one loss per target, 0 where masked.

    Raises:
        InvalidShape: shapes that do not fit.
        InvalidValue: unknown reduction.

    >>> cross_entropy(torch.zeros(3, 2, 4), torch.zeros(3, 2, dtype=torch.long))
    tensor(1.3863)
    """
    _check(logits.shape[:-1], targets, mask, reduction)
    if mask is not None:
        logits = logits.masked_fill(~mask.unsqueeze(-1), 0.0)
        targets = targets.masked_fill(~mask, 0)
    if mask is None and reduction != "none":
        # torch's fused form, for speed.
        return F.cross_entropy(
            logits.flatten(0, -2), targets.flatten(), reduction=reduction
        )
    losses = F.cross_entropy(
        logits.flatten(0, -2), targets.flatten(), reduction="none"
    ).view(targets.shape)
    return _reduce(losses, mask, reduction)


def mse(
    outputs: Tensor,
    targets: Tensor,
    *,
    mask: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """l = (output - target)², element by element.

    Args:
        outputs: any shape.
        targets: the same shape.
        mask: bool, the same shape or its first dimensions.
        reduction: as in ``cross_entropy``.

    Raises:
        InvalidShape: shapes that do not fit.
        InvalidValue: unknown reduction.

    >>> mse(torch.tensor([1.0, 5.0]), torch.zeros(2), mask=torch.tensor([True, False]))
    tensor(1.)
    """
    if mask is not None:
        mask = mask.reshape(*mask.shape, *[1] * (targets.dim() - mask.dim()))
        mask = mask.expand(targets.shape)
        outputs, targets = (
            outputs.masked_fill(~mask, 0.0),
            targets.masked_fill(~mask, 0),
        )
    _check(outputs.shape, targets, mask, reduction)
    return _reduce((outputs - targets) ** 2, mask, reduction)


def _check(
    shape: torch.Size, targets: Tensor, mask: Tensor | None, reduction: str
) -> None:
    if reduction not in REDUCTIONS:
        raise unknown_name("reduction", reduction, REDUCTIONS)
    for name, part in (("targets", targets), ("mask", mask)):
        if part is not None and part.shape != shape:
            raise InvalidShape(
                f"{name} must have shape {tuple(shape)} like the outputs, "
                f"got {tuple(part.shape)}"
            )


def _reduce(losses: Tensor, mask: Tensor | None, reduction: str) -> Tensor:
    if mask is not None:
        losses = losses * mask
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    count = losses.numel() if mask is None else int(mask.sum())
    return losses.sum() / max(count, 1)
