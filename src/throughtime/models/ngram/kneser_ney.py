r"""Kneser-Ney: an n-gram is as likely as it is found in different places.

    P_n(w | u) = max(c(u w) - D(c(u w)), 0) / c(u ·)  +  γ(u) P_{n-1}(w | u')
    γ(u) = Σ_w min(D(c(u w)), c(u w)) / c(u ·)

At the highest order c counts occurrences; below, it counts the different tokens that
precede (continuation counts), except of n-grams that begin a line, which nothing
precedes. Per order, with n_k the number of n-grams of count k and
Y = n_1 / (n_1 + 2 n_2):

    one discount       D = Y
    modified           D_k = k - (k + 1) Y n_{k+1} / n_k  for counts 1, 2 and 3 or more

Kneser and Ney, "Improved backing-off for m-gram language modeling", ICASSP 1995; the
interpolated and modified forms: Chen and Goodman, "An empirical study of smoothing
techniques for language modeling", Harvard TR-10-98, 1998.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from throughtime.models.ngram.absolute import (
    checked_discount,
    discounted,
    one_discount,
)
from throughtime.models.ngram.counts import Counts
from throughtime.models.ngram.estimates import begins_with, interpolated
from throughtime.models.ngram.tables import Floats, Ints, Level

# Where the formula has no answer: what KenLM's --discount_fallback uses.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class ModifiedKneserNey:
    """Three discounts per order."""

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        adjusted = kneser_ney_counts(counts, boundary)
        parts = (
            discounted(c, table.starts, discounts(c)[np.minimum(c, 3)])
            for c, table in zip(adjusted, counts, strict=True)
        )
        return interpolated(counts, parts)


@dataclass(frozen=True)
class KneserNey:
    """One discount per order.

    Attributes:
        discount: D of every order, in [0, 1]; None: Y of each.
    """

    discount: float | None = None

    def __post_init__(self) -> None:
        checked_discount(self.discount)

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        adjusted = kneser_ney_counts(counts, boundary)
        parts = (
            discounted(c, table.starts, one_discount(c, self.discount))
            for c, table in zip(adjusted, counts, strict=True)
        )
        return interpolated(counts, parts)


def kneser_ney_counts(counts: Sequence[Counts], boundary: int | None) -> list[Ints]:
    """How many different tokens precede; occurrences where nothing can."""
    adjusted: list[Ints] = []
    first = begins_with(counts, boundary)
    for table, above, is_first in zip(counts, counts[1:], first, strict=False):
        before = np.bincount(above.suffix, minlength=len(table.words))
        before = before.astype(table.counts.dtype)
        adjusted.append(np.where(is_first, table.counts, before))
    return [*adjusted, counts[-1].counts]


def discounts(counts: Ints) -> Floats:
    """D_1, D_2, D_3+ from the counts of one order, as (0, D_1, D_2, D_3+).

    A text that is small, or has few kinds of tokens, can have an n_k of 0 or a D_k that
    is not positive. Such an order takes 0.5, 1, 1.5.
    """
    n = [0, *(int((counts == k).sum()) for k in range(1, 5))]
    if min(n[1:]) == 0:
        return np.array([0.0, *FALLBACK_DISCOUNTS])
    y = n[1] / (n[1] + 2 * n[2])
    values = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
    if min(values) <= 0:
        values = FALLBACK_DISCOUNTS
    return np.array([0.0, *values])
