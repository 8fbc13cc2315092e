r"""The terms of a gradient from δ and what the parameter was multiplied by.

The term of loss step j and occurrence k is one sum over the N rows of the batch,

    G[j, k] = Σ_n δ[j, k, n] ⊗ x[k, n],

so that the table (J, K, *shape) is never built: sums over j, k or a lag are products of
matrices, and ‖G[j, k]‖² = Σ_{n,m} (δ_n · δ_m)(x_n · x_m) of the Gram matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from throughtime.gradients.taps import Layout, Piece, Use


@dataclass(frozen=True)
class Factor:
    """What one piece of a parameter is multiplied by.

    Attributes:
        piece: a parameter, or a function of parameters such as a masked one.
        inputs: x (K, N, C), tokens (K, N), or None for a bias and what acts like one.
        shape: of the piece.
    """

    piece: Piece
    inputs: Tensor | None
    shape: torch.Size

    def outer(self, delta: Tensor, inputs: Tensor | None) -> Tensor:
        """Σ_n δ_n ⊗ x_n: (..., n, R), and (..., n, C) or (..., n), to (..., *shape)."""
        lead = delta.shape[:-2]
        if inputs is None:
            return delta.sum(-2).reshape((*lead, *self.shape))
        if inputs.is_floating_point():
            return delta.transpose(-1, -2) @ inputs
        rows = inputs.unsqueeze(-1).expand(delta.shape)
        return delta.new_zeros((*lead, *self.shape)).scatter_add_(-2, rows, delta)

    def gram(self) -> Tensor | None:
        """x_n · x_m at every step, (K, N, N) in float64; None: all ones."""
        x = self.inputs
        if x is None:
            return None
        if x.is_floating_point():
            x = x.double()
            return x @ x.transpose(-1, -2)
        return (x.unsqueeze(-1) == x.unsqueeze(-2)).double()


@dataclass(frozen=True)
class Place:
    """A use with its δ, (J, K, N, R), and its factors; K = 1 where it has no time."""

    name: str
    timed: bool
    delta: Tensor
    factors: tuple[Factor, ...]


def place(use: Use, delta: Tensor, layouts: Sequence[Layout]) -> Place:
    """``use`` with the gradient (J, ...) with respect to its probe, time in front."""
    inputs, timed = use.inputs, True
    if use.at:
        inputs = _stacked(inputs, len(use.at))
    else:
        time = time_dim(use.probe.shape[:-1], layouts)
        timed = time is not None
        if time is None:
            delta, inputs = delta.unsqueeze(1), inputs.unsqueeze(0)
        else:
            delta, inputs = delta.movedim(time + 1, 1), inputs.movedim(time, 0)
    loss_steps, steps = delta.shape[:2]
    width = delta[0, 0].numel() if use.kind == "value" else delta.size(-1)
    delta = delta.reshape(loss_steps, steps, -1, width)
    if inputs is not None:
        last = () if use.kind == "lookup" else inputs.shape[-1:]
        inputs = inputs.reshape(steps, -1, *last)
    factors = tuple(
        Factor(piece, None if number else inputs, piece.fixed.shape)
        for number, piece in enumerate(use.pieces)
        if piece is not None
    )
    return Place(use.layer, timed, delta, factors)


def _stacked(inputs: dict[int, Any], steps: int) -> Tensor | None:
    """What was recorded step by step; a step without the product has zeros."""
    like = next(iter(inputs.values()))
    if like is None:
        return None
    return torch.stack([inputs.get(t, torch.zeros_like(like)) for t in range(steps)])


def time_dim(shape: torch.Size, layouts: Sequence[Layout]) -> int | None:
    """Which dimension of a product's result is time, None if none is for certain."""
    for steps, batch, batch_first, batched in layouts:
        if not batched and tuple(shape) == (steps,):
            return 0
        if batched and batch_first and tuple(shape[:2]) == (batch, steps):
            return 1
        if batched and not batch_first and tuple(shape[:2]) == (steps, batch):
            return 0
    return None
