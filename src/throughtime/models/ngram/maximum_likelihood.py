"""Maximum likelihood: relative frequencies, and nothing for what was not seen.

    P(w | u) = c(u w) / c(u ·)

Where u never occurred (or nothing follows it), the longest end of u that did counts in
its place, so that every distribution sums to 1. A token that never followed u has
probability 0, and a text that holds it log P = -inf.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from throughtime.models.ngram.absolute import discounted
from throughtime.models.ngram.counts import Counts
from throughtime.models.ngram.estimates import interpolated
from throughtime.models.ngram.tables import Level


@dataclass(frozen=True)
class MaximumLikelihood:
    """Counts without any discount."""

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        parts = (
            discounted(t.counts, t.starts, np.zeros(len(t.counts))) for t in counts
        )
        return interpolated(counts, parts)
