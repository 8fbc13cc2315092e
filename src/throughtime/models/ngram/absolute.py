r"""Absolute discounting: every count gives the same amount to what was not seen.

    P_n(w | u) = max(c(u w) - D, 0) / c(u ·)  +  D N_1+(u ·) / c(u ·) P_{n-1}(w | u')

N_1+(u ·) is the number of different tokens that follow u. Per order, with n_k the
number of n-grams that occur k times, D = n_1 / (n_1 + 2 n_2).
Ney, Essen and Kneser, "On structuring probabilistic dependences in stochastic language
modelling", Computer Speech and Language 8, 1994.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from throughtime.checks import number
from throughtime.models.ngram.counts import Counts
from throughtime.models.ngram.estimates import Part, interpolated, spread, sums
from throughtime.models.ngram.tables import Floats, Ints, Level

# Where the formula has no answer.
FALLBACK_DISCOUNT = 0.5


@dataclass(frozen=True)
class AbsoluteDiscounting:
    """One discount per order.

    Attributes:
        discount: D of every order, in [0, 1]; None: by the formula.
    """

    discount: float | None = None

    def __post_init__(self) -> None:
        checked_discount(self.discount)

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        parts = (
            discounted(t.counts, t.starts, one_discount(t.counts, self.discount))
            for t in counts
        )
        return interpolated(counts, parts)


def checked_discount(discount: float | None) -> None:
    """None, or a number in [0, 1].

    Raises:
        InvalidType: no number.
        InvalidValue: out of the range.
    """
    if discount is not None:
        number("discount", discount, minimum=0, maximum=1)


def one_discount(counts: Ints, given: float | None = None) -> Floats:
    """D of one order unless it is given, for each of its n-grams.

    0.5 where no n-gram occurs once, or none twice.
    """
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    if given is None:
        given = once / (once + 2 * twice) if once and twice else FALLBACK_DISCOUNT
    return np.full(len(counts), given, dtype=np.float64)


def discounted(counts: Ints, starts: Ints, discount: Floats) -> Part:
    """Every count less its discount (N,), as shares of its context's total.

    The array of the discounts becomes that of the shares.
    """
    # In place where it can be: the arrays of a high order are most of the memory.
    discount = np.minimum(discount, counts, out=discount)
    total = sums(counts, starts)
    empty = total == 0
    some = np.maximum(total, 1, out=total)
    left = sums(discount, starts)
    left /= some
    left[empty] = 1.0
    share = np.subtract(counts, discount, out=discount)
    share /= spread(some, starts)
    return share, left
