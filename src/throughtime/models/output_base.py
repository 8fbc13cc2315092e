"""What every output layer over a vocabulary offers: a loss, and all probabilities."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.losses import check_targets, outside


class Words(NamedTuple):
    """A row of weights and a bias for every word, z = h Wᵀ + b.

    weight: (V, H), possibly the embedding matrix.
    bias: (V,).
    """

    weight: Tensor
    bias: Tensor


class Output(nn.Module):
    """P(word | h) for every word of a vocabulary.

    Attributes:
        options: names of its options.
        needs_counts: it is built from how often each word occurs.
        reads_words: it reads ``Words`` that the model has; else it has weights of its
            own, and is given None.
    """

    options: ClassVar[Sequence[str]] = ()
    needs_counts: ClassVar[bool] = True
    reads_words: ClassVar[bool] = True

    def loss(
        self,
        h: Tensor,
        targets: Tensor,
        words: Words | None,
        *,
        mask: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """-log P(target | h), reduced as in ``losses.cross_entropy``.

        Args:
            h: (..., H).
            targets: long, (...).
            words: see ``reads_words``.
            mask: bool, (...), True where a target counts; default: everywhere.
            reduction: ``mean``, ``sum`` or ``none``.
        """
        raise NotImplementedError

    def scores(self, h: Tensor, words: Words | None) -> Tensor:
        """Numbers (..., V) whose softmax is P; log P itself where that is at hand."""
        return self.log_probs(h, words)

    def log_probs(self, h: Tensor, words: Words | None) -> Tensor:
        """log P(word | h) of all words, (..., V)."""
        raise NotImplementedError


class OwnOutput(Output):
    """An output with weights of its own, which says what rows of h cost.

    Attributes:
        vocabulary_size: V.
    """

    reads_words = False
    vocabulary_size: int

    def loss(
        self,
        h: Tensor,
        targets: Tensor,
        words: Words | None,
        *,
        mask: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """See ``Output.loss``."""
        del words
        size = self.vocabulary_size
        return loss_of_rows(self.row_loss, h, targets, size, mask, reduction)

    def row_loss(self, rows: Tensor, targets: Tensor, reduction: str) -> Tensor:
        """-log P(target | h) of rows (N, H) and targets (N,), ``sum`` or ``none``."""
        raise NotImplementedError


def check_range(targets: Tensor, vocabulary_size: int) -> None:
    """Raise unless all targets are in [0, V).

    Raises:
        InvalidValue: one is not.
    """
    if targets.numel() and bool(((targets < 0) | (targets >= vocabulary_size)).any()):
        raise outside(targets, vocabulary_size)


def loss_of_rows(
    row_loss: Callable[[Tensor, Tensor, str], Tensor],
    h: Tensor,
    targets: Tensor,
    vocabulary_size: int,
    mask: Tensor | None,
    reduction: str,
) -> Tensor:
    """A loss of rows (N, H) and targets (N,), for any shape, mask and reduction.

    Args:
        row_loss: ``row_loss(rows, targets, reduction)``, ``sum`` or ``none``.
        h: (..., H).
        targets: long, (...).
        vocabulary_size: V.
        mask: True where a target counts; other rows are never looked at.
        reduction: ``mean``, ``sum`` or ``none``.

    Raises:
        InvalidShape: targets or mask do not fit.
        InvalidType: targets that are not long, or a mask that is not bool.
        InvalidValue: unknown reduction, or a target outside [0, V).
    """
    check_targets(targets, h.shape[:-1], mask, reduction)
    if mask is None:
        rows, wanted = h.reshape(-1, h.size(-1)), targets.reshape(-1)
    else:
        rows, wanted = h[mask], targets[mask]
    check_range(wanted, vocabulary_size)
    if reduction == "none":
        each = row_loss(rows, wanted, "none")
        if mask is None:
            return each.view(targets.shape)
        return each.new_zeros(targets.shape).masked_scatter(mask, each)
    total = row_loss(rows, wanted, "sum")
    return total if reduction == "sum" else total / max(len(wanted), 1)


def checked_counts(output: str, counts: Any, vocabulary_size: int) -> Tensor:
    """How often each word occurs, as float64.

    Raises:
        InvalidShape: not (V,).
        InvalidType: no tensor.
        InvalidValue: missing, negative, not finite, or all zero.
    """
    if counts is None:
        raise InvalidValue(
            f"output {output!r} needs counts=, how often each token occurs in the "
            "training text: torch.bincount(tokens, minlength=vocabulary_size); a model "
            "whose state dict is loaded afterwards may be built with any, as torch.ones"
        )
    if not isinstance(counts, Tensor):
        raise InvalidType(
            f"counts should be a Tensor, got {type(counts).__name__}; "
            "wrap it in torch.tensor"
        )
    if counts.shape != (vocabulary_size,):
        raise InvalidShape(
            f"counts must have shape {(vocabulary_size,)}, one number per token, got "
            f"{tuple(counts.shape)}; torch.bincount has minlength="
        )
    counts = counts.double()
    if not bool(torch.isfinite(counts).all()) or counts.min() < 0 or counts.max() == 0:
        raise InvalidValue(
            "counts should be finite, not negative, and not all zero, got values from "
            f"{float(counts.min())} to {float(counts.max())}"
        )
    return counts


def by_frequency(counts: Tensor) -> Tensor:
    """The words (V,) from the most frequent to the rarest; equals by number.

    >>> by_frequency(torch.tensor([1, 5, 1, 7])).tolist()
    [3, 1, 0, 2]
    """
    return counts.argsort(descending=True, stable=True)
