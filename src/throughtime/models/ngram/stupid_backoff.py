r"""Stupid back-off: relative frequencies, and a constant for every step down.

    S(w | u) = c(u w) / c(u ·)      if c(u w) > 0
             = α S(w | u')          if not;      S(w) = c(w) / N

These are scores, no probabilities: they do not sum to 1. For perplexity and sampling
they are divided by Z(u) = Σ_w S(w | u), which keeps the form of a back-off model:

    P(w | u) = S(w | u) / Z(u)  or  (α Z(u') / Z(u)) P(w | u')
    Z(u) = 1 + α (Z(u') - Σ_{w after u} S(w | u'))

Tokens of the vocabulary that never occur get α / V each, and S(w) is then divided by
its sum, so that no text is impossible.
Brants, Popat, Xu, Och and Dean, "Large language models in machine translation",
EMNLP 2007, with α = 0.4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from throughtime.checks import number
from throughtime.models.ngram.counts import Counts
from throughtime.models.ngram.estimates import log, spread, sums
from throughtime.models.ngram.tables import Floats, Ints, Level, look_up, score


@dataclass(frozen=True)
class StupidBackoff:
    """A constant factor.

    Attributes:
        alpha: α, in (0, 1].
    """

    alpha: float = 0.4

    def __post_init__(self) -> None:
        number("alpha", self.alpha, minimum=0, maximum=1, exclude_minimum=True)

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        one = counts[0]
        size = len(one.words)
        s = np.where(one.counts > 0, one.counts / one.counts.sum(), self.alpha / size)
        s /= s.sum()
        z = np.ones(1)
        levels = [Level(one.words, one.starts, log(s))]
        for below, table in zip(counts, counts[1:], strict=False):
            s_below, z_below = s, z[below.suffix]
            total = sums(table.counts, table.starts)
            s = table.counts / spread(np.maximum(total, 1), table.starts)
            unseen = z_below - sums(s_below[table.suffix], table.starts)
            z = (total > 0) + self.alpha * unseen
            levels[-1] = replace(levels[-1], log_backoff=log(self.alpha * z_below / z))
            p = s / spread(z, table.starts)
            levels.append(Level(table.words, table.starts, log(p)))
        return levels


def raw_scores(
    levels: Sequence[Level], text: Ints, *, alpha: float, boundary: int | None
) -> Floats:
    """log S of each token of a text (N,), from the levels of ``StupidBackoff``.

    Z is taken out again: log Z(u) = Σ_j (log α - log b(u_j)) over the ends u_j of u.
    """
    raw = score(levels, text)
    # The first order has no context.
    longer = islice(look_up(levels, text), 1, None)
    for below, (contexts, _) in zip(levels, longer, strict=False):
        assert below.log_backoff is not None
        raw -= np.where(contexts >= 0, below.log_backoff[contexts], 0.0)
    place = np.arange(len(text))
    begin = np.zeros_like(place)
    if boundary is not None:
        # The last boundary before each token; its own end of line is not before it.
        ends = np.where(text == boundary, place, 0)
        begin[1:] = np.maximum.accumulate(ends)[:-1]
    steps = np.minimum(place - begin, len(levels) - 1)
    return raw + steps * math.log(alpha)
