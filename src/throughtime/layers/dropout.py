r"""The ways to drop things in a recurrent network.

``drop``
    between layers, fresh for every element, as in torch: mask / (1 - p).
``drop`` with ``variational=True``
    one mask for all steps (Gal and Ghahramani, arXiv 1512.05287; "locked dropout").
``recurrent_mask``
    one mask for all steps on h_{t-1} where it enters the recurrent product (the same
    paper).
``zoneout``
    each unit keeps its old value with probability z at each step; in eval mode the
    expectation z s_{t-1} + (1 - z) s_t (Krueger et al., arXiv 1606.01305).
``drop_weight``
    DropConnect: one mask on a weight matrix for the whole sequence (Wan et al., 2013;
    "weight-drop" of Merity, Keskar and Socher, arXiv 1708.02182).

Masks come from torch's global generator, as all dropout in torch.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.cells import Cell


def drop(x: Tensor, p: float, training: bool, *, variational: bool = False) -> Tensor:
    """Dropout of a sequence (T, B, I).

    >>> x = drop(torch.ones(5, 2, 4), 0.5, True, variational=True)
    >>> bool((x == x[0]).all())
    True
    """
    if not training or p == 0:
        return x
    if not variational:
        return F.dropout(x, p, True)
    return x * F.dropout(torch.ones_like(x[:1]), p, True)


def drop_weight(weight: Tensor, p: float, training: bool) -> Tensor:
    """A weight matrix with elements dropped, scaled by 1 / (1 - p)."""
    return F.dropout(weight, p, True) if training and p > 0 else weight


def recurrent_mask(cell: Cell, x: Tensor, p: float, training: bool) -> Tensor | None:
    """One mask (B, H) for all steps of ``x`` (T, B, I), or None."""
    if not training or p == 0:
        return None
    return F.dropout(x.new_ones((x.size(1), cell.output_size)), p, True)


def zoneout(
    cell: Cell, x: Tensor, rates: Mapping[str, float], training: bool
) -> dict[str, Tensor | float] | None:
    """What each state field keeps: masks (T, B, H) in training, else the rates."""
    sizes = cell.state_sizes
    rates = {f: rate for f, rate in rates.items() if rate > 0 and f in sizes}
    if not rates:
        return None
    if not training:
        return dict(rates)
    return {
        field: torch.rand(*x.shape[:2], sizes[field], device=x.device) < rate
        for field, rate in rates.items()
    }
