r"""Additive smoothing: as if every n-gram had been seen δ times more.

    P(w | u) = (c(u w) + δ) / (c(u ·) + δ V)

for the n - 1 tokens u; 1/V where u never occurred. Shorter contexts are not looked at:
where fewer than n - 1 tokens were read, P = 1/V too, unless they begin an independent
line, so that there can be no more.
δ = 1: Laplace; others: Lidstone, "Note on the general case of the Bayes-Laplace formula
for inductive or a posteriori probabilities", 1920.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from throughtime.checks import number
from throughtime.models.ngram.counts import Counts
from throughtime.models.ngram.estimates import (
    Part,
    begins_with,
    interpolated,
    spread,
    sums,
)
from throughtime.models.ngram.tables import Ints, Level


@dataclass(frozen=True)
class Additive:
    """δ more of everything.

    Attributes:
        delta: δ > 0.
    """

    delta: float = 1.0

    def __post_init__(self) -> None:
        number("delta", self.delta, minimum=0, exclude_minimum=True)

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        whole = begins_with(counts, boundary)
        whole[-1] = np.ones_like(whole[-1])
        parts = (
            # What is not a whole context counts nothing, which leaves 1/V.
            self._part(np.where(is_whole, t.counts, 0), t.starts, len(counts[0].words))
            for is_whole, t in zip(whole, counts, strict=True)
        )
        return interpolated(counts, parts)

    def _part(self, counts: Ints, starts: Ints, size: int) -> Part:
        total = sums(counts, starts)
        divisor = total + self.delta * size
        return counts / spread(divisor, starts), self.delta * size / divisor
