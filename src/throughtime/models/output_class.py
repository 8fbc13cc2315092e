r"""The softmax in two steps: first the class of the word, then the word in it.

    P(w | h) = softmax(W_C h + b_C)_{c(w)} · softmax over class c(w) of (W h + b)_w

Goodman, "Classes for fast maximum entropy training", ICASSP 2001; in recurrent models
Mikolov et al., "Extensions of recurrent neural network language model", ICASSP 2011.
Every word is in one class. Words are put into classes by frequency, so that all classes
occur about equally often: a class of a few frequent words, a class of many rare ones.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.checks import positive_int
from throughtime.errors import InvalidValue
from throughtime.layers import linear_cross_entropy
from throughtime.models.output_base import (
    OwnOutput,
    Words,
    by_frequency,
    checked_counts,
)


class ClassOutput(OwnOutput):
    """P(class of the word | h) times P(word | class, h).

    Args:
        vocabulary_size: V.
        hidden_size: H, features of h.
        counts: how often each word occurs, (V,).
        classes: C; default: the root of V.
        init_range: weights start uniform in ± this.

    Raises:
        InvalidType: ``classes`` is no int.
        InvalidValue: it is not in [1, V], or counts are not usable.

    >>> output = ClassOutput(5, 3, torch.tensor([1, 6, 2, 3, 0]), classes=2)
    >>> output.members.tolist(), output.starts.tolist()
    ([1, 3, 2, 0, 4], [0, 1, 5])
    """

    options = ("classes",)
    members: Tensor
    place: Tensor
    starts: Tensor

    def __init__(
        self,
        vocabulary_size: int,
        hidden_size: int,
        counts: Any,
        *,
        classes: int | None = None,
        init_range: float = 0.1,
    ) -> None:
        super().__init__()
        counts = checked_counts("class", counts, vocabulary_size)
        if classes is None:
            classes = max(1, round(math.sqrt(vocabulary_size)))
        if positive_int("classes", classes) > vocabulary_size:
            raise InvalidValue(
                f"classes should be in [1, {vocabulary_size}], as none may be empty, "
                f"got {classes}"
            )
        self.vocabulary_size = vocabulary_size
        members = by_frequency(counts)
        place = torch.empty_like(members)
        place[members] = torch.arange(vocabulary_size)
        # The words class after class, the place of each there, where classes begin.
        self.register_buffer("members", members)
        self.register_buffer("place", place)
        self.register_buffer("starts", _equal_shares(counts[members], classes))

        def weight(rows: int) -> nn.Parameter:
            values = torch.empty(rows, hidden_size)
            return nn.Parameter(values.uniform_(-init_range, init_range))

        self.class_weight = weight(classes)
        self.class_bias = nn.Parameter(torch.zeros(classes))
        # Row i is that of word members[i], so that a class is a slice.
        self.word_weight = weight(vocabulary_size)
        self.word_bias = nn.Parameter(torch.zeros(vocabulary_size))

    def row_loss(self, rows: Tensor, targets: Tensor, reduction: str) -> Tensor:
        places = self.place[targets]
        classes = torch.bucketize(places, self.starts[1:], right=True)
        # Rows of one class side by side: one small product for each class.
        order = classes.argsort(stable=True)
        rows, classes = rows[order], classes[order]
        inside = places[order] - self.starts[classes]
        loss = linear_cross_entropy(
            rows, self.class_weight, classes, bias=self.class_bias, reduction=reduction
        )
        counts = classes.bincount(minlength=len(self.class_weight)).tolist()
        sizes = self._sizes()
        parts: list[Tensor] = []
        for h, wanted, weight, bias in zip(
            rows.split(counts),
            inside.split(counts),
            self.word_weight.split(sizes),
            self.word_bias.split(sizes),
            strict=True,
        ):
            if len(h):
                parts.append(
                    linear_cross_entropy(
                        h, weight, wanted, bias=bias, reduction=reduction
                    )
                )
        if reduction == "sum":
            return loss + torch.stack(parts).sum() if parts else loss
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        return (loss + torch.cat(parts) if parts else loss)[back]

    def log_probs(self, h: Tensor, words: Words | None) -> Tensor:
        """See ``Output.log_probs``."""
        first = F.log_softmax(F.linear(h, self.class_weight, self.class_bias), -1)
        scores = F.linear(h, self.word_weight, self.word_bias)
        parts = [
            first[..., c : c + 1] + F.log_softmax(part, -1)
            for c, part in enumerate(scores.split(self._sizes(), -1))
        ]
        return torch.cat(parts, -1).index_select(-1, self.place)

    def _sizes(self) -> list[int]:
        """Words in each class."""
        return self.starts.diff().tolist()


def _equal_shares(counts: Tensor, classes: int) -> Tensor:
    """Borders (C + 1,) that cut descending counts into parts of about equal sums.

    Each part takes its share of what the parts before it left over.
    """
    total = counts.cumsum(0)
    borders = [0]
    for left in range(classes, 0, -1):
        start = borders[-1]
        done = float(total[start - 1]) if start else 0.0
        goal = done + (float(total[-1]) - done) / left
        stop = int(torch.searchsorted(total, goal)) + 1
        # At least one word for this class and for each that follows.
        most = len(counts) - left + 1
        borders.append(max(start + 1, min(stop, most)) if left > 1 else len(counts))
    return torch.tensor(borders)
