r"""The adaptive softmax: frequent words first, rare ones behind a gate.

    P(w | h) = softmax(H h)_w                                     a frequent word
    P(w | h) = softmax(H h)_{group i} · softmax(W_i P_i h)_w      a word of group i

Grave et al., "Efficient softmax approximation for GPUs", arXiv 1609.04309. The head H
(with a bias) has a row for each of the most frequent words and one for every group of
rarer ones; group i is read after a projection P_i to H / div_value^i features. The same
function as ``torch.nn.AdaptiveLogSoftmaxWithLoss(head_bias=True)``.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidType, InvalidValue
from throughtime.layers import linear_cross_entropy
from throughtime.models.output_base import (
    OwnOutput,
    Words,
    by_frequency,
    checked_counts,
)


class AdaptiveOutput(OwnOutput):
    """Frequent words in one softmax, rare ones in groups of less capacity.

    Args:
        vocabulary_size: V.
        hidden_size: H, features of h.
        counts: how often each word occurs, (V,).
        cutoffs: ranks by frequency where the groups begin, ascending, in (0, V);
            default: ``default_cutoffs``, as many as H allows.
        div_value: how much narrower each group is than the one before.
        init_range: weights start uniform in ± this.

    Raises:
        InvalidType: cutoffs that are no ints.
        InvalidValue: cutoffs that are not ascending in (0, V), a group without
            features, or counts that are not usable.

    >>> output = AdaptiveOutput(6, 8, torch.tensor([9, 1, 5, 2, 1, 1]), cutoffs=[2])
    >>> output.head_weight.shape, output.tail_weights[0].shape
    (torch.Size([3, 8]), torch.Size([4, 2]))
    """

    options = ("cutoffs", "div_value")
    rank: Tensor

    def __init__(
        self,
        vocabulary_size: int,
        hidden_size: int,
        counts: Any,
        *,
        cutoffs: Sequence[int] | None = None,
        div_value: float = 4.0,
        init_range: float = 0.1,
    ) -> None:
        super().__init__()
        counts = checked_counts("adaptive", counts, vocabulary_size)
        number("div_value", div_value, minimum=1)
        if cutoffs is None:
            found = default_cutoffs(vocabulary_size)
            cutoffs = [c for i, c in enumerate(found, 1) if hidden_size >= div_value**i]
        self.cutoffs = _checked_cutoffs(cutoffs, vocabulary_size)
        self.vocabulary_size = vocabulary_size
        rank = torch.empty(vocabulary_size, dtype=torch.long)
        rank[by_frequency(counts)] = torch.arange(vocabulary_size)
        self.register_buffer("rank", rank)
        first, borders = self.cutoffs[0], [*self.cutoffs, vocabulary_size]

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-init_range, init_range))

        self.head_weight = weight(first + len(self.cutoffs), hidden_size)
        self.head_bias = nn.Parameter(torch.zeros(first + len(self.cutoffs)))
        self.projections, self.tail_weights = nn.ParameterList(), nn.ParameterList()
        for i, (start, stop) in enumerate(
            zip(borders[:-1], borders[1:], strict=True), start=1
        ):
            features = int(hidden_size / div_value**i)
            if features == 0:
                raise InvalidValue(
                    f"output 'adaptive': group {i} would have no features, "
                    f"{hidden_size} / {div_value:g}^{i} < 1; use fewer cutoffs, or a "
                    "smaller div_value"
                )
            self.projections.append(weight(features, hidden_size))
            self.tail_weights.append(weight(stop - start, features))

    def row_loss(self, rows: Tensor, targets: Tensor, reduction: str) -> Tensor:
        ranks = self.rank[targets]
        borders = torch.tensor(self.cutoffs, device=ranks.device)
        group = torch.bucketize(ranks, borders, right=True)
        first = self.cutoffs[0]
        heads = torch.where(group == 0, ranks, first + group - 1)
        loss = linear_cross_entropy(
            rows, self.head_weight, heads, bias=self.head_bias, reduction=reduction
        )
        for i, start in enumerate(self.cutoffs):
            inside = (group == i + 1).nonzero().squeeze(1)
            part = linear_cross_entropy(
                F.linear(rows[inside], self.projections[i]),
                self.tail_weights[i],
                ranks[inside] - start,
                reduction=reduction,
            )
            none = reduction == "none"
            loss = loss.index_add(0, inside, part) if none else loss + part
        return loss

    def log_probs(self, h: Tensor, words: Words | None) -> Tensor:
        """See ``Output.log_probs``."""
        head = F.log_softmax(F.linear(h, self.head_weight, self.head_bias), -1)
        first = self.cutoffs[0]
        parts = [head[..., :first]]
        for i, (into, weight) in enumerate(
            zip(self.projections, self.tail_weights, strict=True), start=first
        ):
            tail = F.log_softmax(F.linear(F.linear(h, into), weight), -1)
            parts.append(head[..., i : i + 1] + tail)
        return torch.cat(parts, -1).index_select(-1, self.rank)


def default_cutoffs(vocabulary_size: int) -> list[int]:
    """V^(2/3) words in the head; groups that begin at 1, 8, 64, ... times as many.

    The last group has at least half of all words.

    >>> default_cutoffs(33278), default_cutoffs(5)
    ([1035, 8280], [2])
    """
    first = max(1, min(vocabulary_size // 2, round(vocabulary_size ** (2 / 3))))
    found = [first]
    while 8 * found[-1] <= vocabulary_size // 2:
        found.append(8 * found[-1])
    return found


def _checked_cutoffs(cutoffs: Any, vocabulary_size: int) -> list[int]:
    if not isinstance(cutoffs, (list, tuple)):
        raise InvalidType(
            f"cutoffs should be a list of ints, got {type(cutoffs).__name__}"
        )
    found = [positive_int("a cutoff", cutoff) for cutoff in cutoffs]
    ascending = all(a < b for a, b in zip(found[:-1], found[1:], strict=True))
    if not found or not ascending or found[-1] >= vocabulary_size:
        raise InvalidValue(
            f"cutoffs should be ascending numbers in (0, {vocabulary_size}), at least "
            f"one, got {found}"
        )
    return found
