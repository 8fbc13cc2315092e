"""How much room an n-gram model takes, order by order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from throughtime.models.ngram.tables import Level


@dataclass(frozen=True)
class OrderStorage:
    """One order.

    Attributes:
        order: n.
        ngrams: different n-grams in the table.
        contexts: different (n-1)-grams that something follows.
        bytes: of the arrays in memory.
    """

    order: int
    ngrams: int
    contexts: int
    bytes: int


def storage(levels: Sequence[Level]) -> list[OrderStorage]:
    """What each order takes, from 1 up.

    >>> unigrams = Level(np.arange(3), np.array([0, 3]), np.log([0.5, 0.3, 0.2]))
    >>> storage([unigrams])
    [OrderStorage(order=1, ngrams=3, contexts=1, bytes=64)]
    """
    return [_order(n, level) for n, level in enumerate(levels, start=1)]


def _order(n: int, level: Level) -> OrderStorage:
    arrays = (level.words, level.starts, level.log_p, level.log_backoff)
    used = sum(array.nbytes for array in arrays if array is not None)
    contexts = int((np.diff(level.starts) > 0).sum())
    return OrderStorage(n, len(level.words), contexts, used)
