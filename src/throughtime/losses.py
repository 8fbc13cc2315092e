"""Losses over time: one number from outputs, targets and a mask.

    mean:  L = (Σ m_tb l_tb) / (Σ m_tb)        sum:  L = Σ m_tb l_tb

With T steps and one sequence the mean is L = (1/T) Σ_t l_t; the sum is T times as
large, and so are its gradients. m is the mask, 1 where a target exists.
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.checks import number
from throughtime.errors import InvalidShape, InvalidType, InvalidValue, unknown_name
from throughtime.vector_math import settle

settle()

REDUCTIONS = ("mean", "sum", "none")
# torch skips this target, by default -100; no target of ours is to be skipped silently.
NEVER = -(2**62)


class OwnLoss(Protocol):
    """What a model offers that computes its cross entropy itself.

    ``features_loss(features(inputs, state)[0], targets)`` is the number that
    ``cross_entropy(model(inputs, state)[0], targets)`` would be, but the model need not
    hold the scores of all classes for it.
    """

    def features(self, inputs: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """What the output layer reads, (T, B, H), and the new state."""
        ...

    def features_loss(
        self,
        features: Tensor,
        targets: Tensor,
        *,
        mask: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """``cross_entropy`` of the scores of these features."""
        ...


def own_loss(model: object) -> OwnLoss | None:
    """The model itself if it offers its own loss, else None.

    It does not if something else is asked for by calling it: the class is looked at, as
    a wrapper such as ``torch.compile`` makes hands attributes on; a subclass with
    another ``forward`` or ``next_log_probs`` needs a loss to match; and hooks on the
    model want it to be called.

    >>> own_loss(torch.nn.Linear(2, 3)) is None
    True
    """
    kind = type(model)
    if not hasattr(kind, "features") or not hasattr(kind, "features_loss"):
        return None
    names = [n for n in ("forward", "next_log_probs") if hasattr(kind, n)]
    matches = all(
        n not in vars(model)
        and issubclass(_owner(kind, "features_loss"), _owner(kind, n))
        for n in names
    )
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    if not matches or any(getattr(model, name, None) for name in hooks):
        return None
    return model  # pyright: ignore[reportReturnType]


def _owner(kind: type, name: str) -> type:
    """The class that ``kind`` has this attribute from."""
    return next(base for base in kind.__mro__ if name in vars(base))


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    *,
    mask: Tensor | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """l = -log softmax(logits)[target], in nats.

    With label smoothing ε the target is a distribution, 1 - ε on its class and ε spread
    evenly over all V (Szegedy et al., arXiv 1512.00567):

        l = -(1 - ε) log p_target - ε/V Σ_v log p_v

    Args:
        logits: (T, B, V), or any (..., V).
        targets: long, (T, B), or the same (...).
        mask: bool, the shape of targets; what logits and targets hold where it is False
            changes neither value nor gradient. Default: everything counts.
        ignore_index: targets of this value do not count, as if masked.
        label_smoothing: ε in [0, 1].
        reduction: ``mean`` over the targets that count (0 if there are none), ``sum``,
            or ``none``: one loss per target, 0 where masked.

    Raises:
        InvalidShape: shapes that do not fit.
        InvalidType: targets that are not long, a mask that is not bool, an
            ``ignore_index`` that is no int, or a ``label_smoothing`` that is no number.
        InvalidValue: unknown reduction, ``label_smoothing`` outside [0, 1], or a target
            outside [0, V) (on the CPU; other devices report it in their own way).

    >>> cross_entropy(torch.zeros(3, 2, 4), torch.zeros(3, 2, dtype=torch.long))
    tensor(1.3863)
    """
    check_targets(targets, logits.shape[:-1], mask, reduction)
    smoothing = number("label_smoothing", label_smoothing, minimum=0, maximum=1)
    mask = counting(targets, mask, ignore_index)
    if mask is not None:
        logits = logits.masked_fill(~mask.unsqueeze(-1), 0.0)
        targets = targets.masked_fill(~mask, 0)
    # torch's fused form, for speed; its mean of nothing would be NaN.
    fused = mask is None and targets.numel() > 0
    rows = logits.reshape(-1, logits.shape[-1])
    try:
        losses = F.cross_entropy(
            rows,
            targets.reshape(-1),
            reduction=reduction if fused else "none",
            ignore_index=NEVER,
            label_smoothing=smoothing,
        )
    except IndexError as error:
        counted = targets if mask is None else targets[mask]
        raise outside(counted, logits.shape[-1]) from error
    if fused and reduction != "none":
        return losses
    return _reduce(losses.view(targets.shape), mask, reduction)


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
        mask: bool, the same shape or its first dimensions; what outputs and targets
            hold where it is False changes neither value nor gradient.
        reduction: as in ``cross_entropy``.

    Raises:
        InvalidShape: shapes that do not fit.
        InvalidType: a mask that is not bool.
        InvalidValue: unknown reduction.

    >>> mse(torch.tensor([1.0, 5.0]), torch.zeros(2), mask=torch.tensor([True, False]))
    tensor(1.)
    """
    _check("targets", targets.shape, outputs.shape)
    _check_reduction(reduction)
    if mask is not None:
        _check_mask(mask, targets.shape[: mask.dim()])
        mask = mask.reshape(*mask.shape, *[1] * (targets.dim() - mask.dim()))
        mask = mask.expand(targets.shape)
        outputs = outputs.masked_fill(~mask, 0)
        targets = targets.masked_fill(~mask, 0)
    return _reduce((outputs - targets) ** 2, mask, reduction)


def check_targets(
    targets: Tensor, expected: torch.Size, mask: Tensor | None, reduction: str
) -> None:
    """Raise unless targets and mask have this shape and their types.

    Raises:
        InvalidShape: they do not.
        InvalidType: targets that are not long, or a mask that is not bool.
        InvalidValue: unknown reduction.
    """
    _check("targets", targets.shape, expected)
    if targets.dtype != torch.long:
        raise InvalidType(f"targets should be of dtype long, got: {targets.dtype}")
    _check_reduction(reduction)
    if mask is not None:
        _check_mask(mask, targets.shape)


def counting(
    targets: Tensor, mask: Tensor | None, ignore_index: int | None
) -> Tensor | None:
    """True where a target counts; None: all do.

    Raises:
        InvalidType: ``ignore_index`` is no int.

    >>> counting(torch.tensor([3, -100]), None, -100)
    tensor([ True, False])
    """
    if ignore_index is None:
        return mask
    if not isinstance(ignore_index, int) or isinstance(ignore_index, bool):
        raise InvalidType(
            f"ignore_index should be of type int, got: {type(ignore_index).__name__}"
        )
    kept = targets != ignore_index
    return kept if mask is None else kept & mask


def outside(targets: Tensor, classes: int) -> InvalidValue:
    """The error for targets that are not all in [0, V)."""
    return InvalidValue(
        f"targets must lie in [0, {classes}), got values from {int(targets.min())} to "
        f"{int(targets.max())}; mask= leaves entries out"
    )


def _check(name: str, shape: torch.Size, expected: torch.Size) -> None:
    if shape != expected:
        raise InvalidShape(
            f"{name} must have shape {tuple(expected)} like the outputs, "
            f"got {tuple(shape)}"
        )


def _check_mask(mask: Tensor, expected: torch.Size) -> None:
    _check("mask", mask.shape, expected)
    if mask.dtype != torch.bool:
        raise InvalidType(
            f"mask should be of dtype bool, got: {mask.dtype}; compare, as in mask != 0"
        )


def _check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise unknown_name("reduction", reduction, REDUCTIONS)


def _reduce(losses: Tensor, mask: Tensor | None, reduction: str) -> Tensor:
    if mask is not None:
        losses = losses * mask
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if mask is None:
        return losses.sum() / max(losses.numel(), 1)
    # A tensor, so that nothing waits for the device.
    return losses.sum() / mask.sum().clamp(min=1)
