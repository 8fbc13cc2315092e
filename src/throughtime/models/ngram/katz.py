r"""Katz back-off: small counts are discounted, what they give goes to the unseen.

    P(w | u) = d(c) c(u w) / c(u ·)      if c(u w) > 0
             = α(u) P(w | u')            if not

By the Good-Turing estimate, with n_r the number of n-grams that occur r times and
r* = (r + 1) n_{r+1} / n_r,

    d(r) = (r* / r - (k+1) n_{k+1} / n_1) / (1 - (k+1) n_{k+1} / n_1)   for r <= k

and d(r) = 1 above k = 5. α(u) makes the sum 1. Of order 1, tokens without a count share
what is left alike.
Katz, "Estimation of probabilities from sparse data for the language model component of
a speech recognizer", IEEE Transactions on Acoustics, Speech and Signal Processing 35,
1987.

Where the formulas have no answer: k is the largest, up to the one given, for which
every d(r) is in (0, 1]. A context whose followers all occur more than k times is taken
to have occurred once more, with something unseen. Where every token followed, there is
nothing to give to, and no discount.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from throughtime.checks import positive_int
from throughtime.models.ngram.counts import Counts
from throughtime.models.ngram.estimates import log, spread, sums
from throughtime.models.ngram.tables import Floats, Ints, Level


@dataclass(frozen=True)
class Katz:
    """Good-Turing discounts.

    Attributes:
        k: the largest count that is discounted.
    """

    k: int = 5

    def __post_init__(self) -> None:
        positive_int("k", self.k)

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        size = len(counts[0].words)
        one = counts[0]
        p, left = _discounted(one, self.k, size)
        unseen = one.counts == 0
        if unseen.any():
            p = np.where(unseen, left[0] / unseen.sum(), p)
        levels = [Level(one.words, one.starts, log(p))]
        # Order 1 has every token, so nothing is left to it.
        followers, left = np.array([size]), np.zeros(1)
        for below, table in zip(counts, counts[1:], strict=False):
            p_below, left_below, followers_below = p, left, followers
            p, left = _discounted(table, self.k, size)
            followers = np.diff(table.starts)
            # P(not a follower of u | u'): other followers of u', and none of them. The
            # sum 1 - Σ P would lose what is small.
            others = 1 - left_below[below.suffix]
            others -= sums(p_below[table.suffix], table.starts)
            others[followers == followers_below[below.suffix]] = 0.0
            unseen = np.maximum(others, 0) + left_below[below.suffix]
            # Where nothing is unseen the weight is never read.
            unseen = np.where(unseen > 0, unseen, 1.0)
            levels[-1] = replace(levels[-1], log_backoff=log(left / unseen))
            levels.append(Level(table.words, table.starts, log(p)))
        return levels


def _discounted(table: Counts, k: int, size: int) -> tuple[Floats, Floats]:
    """d(c) c / c(u ·) of each n-gram, and what is left in each context."""
    counts = table.counts
    discount = good_turing_discounts(counts, k)
    k = len(discount) - 2
    kept = counts * discount[np.minimum(counts, k + 1)]
    total = sums(counts, table.starts)
    kinds = sums((counts > 0).astype(np.int64), table.starts)
    everything = kinds == size
    kept = np.where(spread(everything, table.starts), counts, kept)
    held = sums(counts - kept, table.starts)
    nothing_held = (held <= 0) & ~everything
    held[nothing_held] = 1.0
    total = total + nothing_held
    return kept / spread(total, table.starts), held / total


def good_turing_discounts(counts: Ints, k: int) -> Floats:
    """(0, d(1), ..., d(k), 1), for the largest k up to the one given that works."""
    n = np.bincount(np.minimum(counts, k + 2), minlength=k + 3).astype(np.float64)
    for last in range(k, 0, -1):
        if n[1 : last + 2].min() == 0:
            continue
        r = np.arange(1, last + 1)
        cut = (last + 1) * n[last + 1] / n[1]
        if cut >= 1:
            continue
        d = ((r + 1) * n[r + 1] / n[r] / r - cut) / (1 - cut)
        if d.min() > 0 and d.max() <= 1:
            return np.array([0.0, *d, 1.0])
    return np.array([0.0, 1.0])
