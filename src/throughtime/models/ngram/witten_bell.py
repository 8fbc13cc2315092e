r"""Witten-Bell: as much for new tokens as there were different ones.

    P_n(w | u) = (c(u w) + N_1+(u ·) P_{n-1}(w | u')) / (c(u ·) + N_1+(u ·))

N_1+(u ·) is the number of different tokens that follow u.
Witten and Bell, "The zero-frequency problem: estimating the probabilities of novel
events in adaptive text compression", IEEE Transactions on Information Theory 37, 1991;
interpolated as in Chen and Goodman, 1998.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from throughtime.models.ngram.counts import Counts
from throughtime.models.ngram.estimates import Part, interpolated, spread, sums
from throughtime.models.ngram.tables import Level


@dataclass(frozen=True)
class WittenBell:
    """No options."""

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        return interpolated(counts, map(_part, counts))


def _part(table: Counts) -> Part:
    kinds = sums((table.counts > 0).astype(np.int64), table.starts)
    total = sums(table.counts, table.starts) + kinds
    some = np.maximum(total, 1)
    share = table.counts / spread(some, table.starts)
    return share, np.where(total > 0, kinds / some, 1.0)
