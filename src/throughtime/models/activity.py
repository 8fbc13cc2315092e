r"""Penalties on hidden states that are large or change quickly.

    AR = α mean (m ⊙ h_t)²              TAR = β mean (h_t - h_{t+1})²

Merity, McCann and Socher, "Revisiting activation regularization for language RNNs",
arXiv 1708.01009; part of the AWD-LSTM (arXiv 1708.02182). m is the dropout mask of the
output, h_t is before it. The means are over all steps, sequences and units, or over
pairs of steps; a penalty belongs to the loss of training alone.
"""

import torch
from torch import Tensor


def activity_penalty(
    dropped: Tensor,
    h: Tensor,
    *,
    activation: float,
    temporal: float,
    mask: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """AR + TAR of one window, to be added to the loss of its targets.

    Args:
        dropped: m ⊙ h_t, (T, B, H).
        h: h_t, (T, B, H).
        activation: α.
        temporal: β.
        mask: bool, (T, B); steps where it is False count for nothing, and so do the
            pairs they are in.
        reduction: ``mean``, or ``sum``: times the targets that count, as is the loss.

    >>> h = torch.tensor([1.0, 3.0]).reshape(2, 1, 1)
    >>> activity_penalty(h, h, activation=2.0, temporal=1.0)
    tensor(14.)
    """
    counted = h.new_ones(h.shape[:2]) if mask is None else mask.to(h.dtype)
    if mask is not None:
        dropped = dropped.masked_fill(~mask.unsqueeze(-1), 0.0)
        h = h.masked_fill(~mask.unsqueeze(-1), 0.0)
    pairs = counted[1:] * counted[:-1]
    changes = (h[1:] - h[:-1]) * pairs.unsqueeze(-1)
    units = h.size(-1)
    size = (dropped**2).sum() / (units * counted.sum()).clamp(min=1)
    change = (changes**2).sum() / (units * pairs.sum()).clamp(min=1)
    penalty = activation * size + temporal * change
    return penalty * counted.sum() if reduction == "sum" else penalty


def joined(dropped: Tensor, h: Tensor) -> Tensor:
    """Both as one tensor of features, (T, B, 2 H), which windows may cut in time."""
    return torch.cat([dropped, h], -1)


def parted(features: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of ``joined``."""
    dropped, h = features.chunk(2, -1)
    return dropped, h
