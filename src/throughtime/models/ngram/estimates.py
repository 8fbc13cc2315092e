r"""What the estimators of n-gram models share.

Most of them mix every order with the one below:

    P_n(w | u) = share(u w) + left(u) P_{n-1}(w | u')      P_0 = 1 / V

u' is u without its first token; the shares of u's followers and left(u) sum to 1. That
is the back-off form of ``tables.py``, with p(u w) the whole right side and
b(u) = left(u).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from throughtime.models.ngram.counts import Counts
from throughtime.models.ngram.tables import Floats, Ints, Level

# Share of each n-gram (N,), and what is left in each context (C,) for the order below.
Part = tuple[Floats, Floats]


class Estimator(Protocol):
    """A way to get probabilities from counts."""

    def levels(
        self, counts: Sequence[Counts], *, boundary: int | None = None
    ) -> list[Level]:
        """The model in back-off form; ``boundary`` is that of ``count_ngrams``."""
        ...


def interpolated(counts: Sequence[Counts], parts: Iterable[Part]) -> list[Level]:
    """The equation above: one part per order, from 1 up."""
    levels: list[Level] = []
    p = np.array([1 / len(counts[0].words)])
    parts = iter(parts)
    for table in counts:
        # Not by zip, which would keep the shares until it makes the next ones.
        share, left = next(parts)
        if levels:
            levels[-1] = replace(levels[-1], log_backoff=log(left))
        below = spread(left, table.starts)
        below *= p[table.suffix]
        p = np.add(share, below, out=below)
        del share, below
        levels.append(Level(table.words, table.starts, log(p)))
    return levels


def log(values: Floats) -> Floats:
    """Natural logarithms; -inf for 0, which is no mistake here."""
    with np.errstate(divide="ignore"):
        return np.log(values)


def sums(values: NDArray[Any], starts: Ints) -> NDArray[Any]:
    """Sum over the followers of every context, (C,), exact for integers."""
    kind = np.float64 if values.dtype.kind == "f" else np.int64
    total = np.zeros(len(starts) - 1, dtype=kind)
    # reduceat gives nonsense for an empty slice.
    some = np.flatnonzero(starts[1:] > starts[:-1])
    if len(some):
        total[some] = np.add.reduceat(values, starts[some], dtype=kind)
    return total


def spread(values: NDArray[Any], starts: Ints) -> NDArray[Any]:
    """The value of its context for every n-gram, (N,)."""
    return np.repeat(values, np.diff(starts))


def begins_with(
    counts: Sequence[Counts], boundary: int | None
) -> list[NDArray[np.bool_]]:
    """Where the n-grams of each order begin with the boundary of lines.

    Of order 1 none does: there the boundary is the end of a line.
    """
    size = len(counts[0].words)
    first = [np.zeros(size, dtype=np.bool_)]
    above = np.arange(size) == (-1 if boundary is None else boundary)
    for table in counts[1:]:
        above = spread(above, table.starts)
        first.append(above)
    return first
