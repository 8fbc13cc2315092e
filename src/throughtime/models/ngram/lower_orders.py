"""What the lower orders say of the n-grams of a table, and whether all sums are 1."""

from collections.abc import Iterator, Sequence

import numpy as np

from throughtime.models.ngram.estimates import spread, sums
from throughtime.models.ngram.tables import Floats, Ints, Level, find, score, spell


def suffixes(levels: Sequence[Level]) -> Iterator[Ints]:
    """For orders 2..n: number of each n-gram's last n-1 tokens in the order below.

    -1 where they are not in the table.
    """
    numbers = np.zeros(0, dtype=np.int64)
    for n in range(2, len(levels) + 1):
        below, level = levels[n - 2], levels[n - 1]
        if n == 2:
            # All tokens are in order 1, numbered as they are.
            numbers = level.words
        else:
            contexts = spread(numbers, level.starts)
            numbers = find(below.words, below.starts, contexts, level.words)
        yield numbers


def lower_log_p(levels: Sequence[Level], order: int, suffix: Ints) -> Floats:
    """log P(w | u') of every n-gram u w of an order > 1, by the orders below it."""
    result = levels[order - 2].log_p[suffix].astype(np.float64)
    missing = np.flatnonzero(suffix < 0)
    if len(missing):
        text = spell(levels[:order], missing).T
        result[missing] = score(levels[: order - 1], text[1:])[-1]
    return result


def totals(levels: Sequence[Level]) -> list[Floats]:
    """Σ_w P(w | u) of every context u, per order, given that the order below sums to 1.

    >>> one = Level(np.arange(2), np.array([0, 2]), np.log([0.5, 0.5]), np.zeros(2))
    >>> two = Level(np.array([1]), np.array([0, 1, 1]), np.log([0.8]))
    >>> totals([one, two])[1].round(9)
    array([1.3, 1. ])
    """
    result = [sums(np.exp(levels[0].log_p), levels[0].starts)]
    for n, suffix in enumerate(suffixes(levels), start=2):
        below, level = levels[n - 2], levels[n - 1]
        assert below.log_backoff is not None
        unseen = 1 - sums(np.exp(lower_log_p(levels, n, suffix)), level.starts)
        explicit = sums(np.exp(level.log_p), level.starts)
        result.append(explicit + np.exp(below.log_backoff) * np.maximum(unseen, 0))
    return result
