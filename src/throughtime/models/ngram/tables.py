r"""The tables of an n-gram model in back-off form, and how they are read.

    P(w | u) = p(u w)            if the n-gram u w is in the table of its order
             = b(u) P(w | u')    if not; b(u) = 1 where u itself is in no table

u' is u without its first token. Every smoothing of this package can be written like
this, interpolated ones too, and so are ARPA files. All V tokens are in the table of
order 1.

The n-grams of one order are numbered from 0, sorted by (number of the first n-1 tokens
in the order below, last token). So the followers of a context are a slice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Level:
    """The n-grams of one order; N of them, C contexts (n-grams of the order below).

    Attributes:
        words: last token of each n-gram, (N,).
        starts: the followers of context c are numbered starts[c] to starts[c + 1] - 1,
            (C + 1,); of order 1, whose one context is empty, [0, V].
        log_p: log p(u w) in nats, (N,); -inf for 0.
        log_backoff: log b(u w), the n-gram as the context of the next order, (N,); None
            at the highest order.
    """

    words: Ints
    starts: Ints
    log_p: Floats
    log_backoff: Floats | None = None


def find(words: Ints, starts: Ints, contexts: Ints, wanted: Ints) -> Ints:
    """Numbers of the n-grams (context, token), (N,); -1 where there is none.

    By bisection of the followers of each context, all at once. A context of -1 has
    none.
    """
    known = np.flatnonzero(contexts >= 0)
    low, high = starts[contexts[known]], starts[contexts[known] + 1]
    target = wanted[known]
    found = np.full(len(contexts), -1, dtype=np.int64)
    stop = high
    # What is still searched: positions into `known`, fewer in every round.
    open_ = np.flatnonzero(low < high)
    low, high = low.astype(np.int64), high.astype(np.int64)
    while len(open_):
        middle = (low[open_] + high[open_]) >> 1
        below = words[middle] < target[open_]
        low[open_[below]] = middle[below] + 1
        high[open_[~below]] = middle[~below]
        open_ = open_[low[open_] < high[open_]]
    inside = np.flatnonzero(low < stop)
    hit = inside[words[low[inside]] == target[inside]]
    found[known[hit]] = low[hit]
    return found


def look_up(levels: Sequence[Level], text: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Where every order's n-grams of a text are in the tables.

    Args:
        levels: orders 1..n.
        text: (N,) or (N, B), without a past.

    Yields:
        Per order, for every position: the number of the context before it in the order
        below, and of the n-gram that ends at it; -1 for what is in no table. Of order 1
        every context is 0.
    """
    contexts = np.zeros(text.shape, dtype=np.int64)
    for level in levels:
        found = find(level.words, level.starts, contexts.ravel(), text.ravel())
        found = found.reshape(text.shape)
        yield contexts, found
        # What ends at t - 1 is the context of the next order at t.
        contexts = np.full_like(found, -1)
        contexts[1:] = found[:-1]


def score(levels: Sequence[Level], text: Ints) -> Floats:
    """log P of each token of ``text`` given those before it in its column, float64."""
    total = np.zeros(text.shape)
    below: Level | None = None
    for level, (contexts, found) in zip(levels, look_up(levels, text), strict=True):
        if below is not None:
            assert below.log_backoff is not None
            total += np.where(contexts >= 0, below.log_backoff[contexts], 0.0)
        total = np.where(found >= 0, level.log_p[found], total)
        below = level
    return total


def distributions(levels: Sequence[Level], history: Ints, steps: int) -> Floats:
    """log P(· | history up to there) after each of the last steps, (steps, B, V).

    Args:
        levels: orders 1..n.
        history: tokens (N, B), N >= steps; those before the last ``steps`` are context.
        steps: how many positions to answer for.
    """
    batch = history.shape[1]
    size = len(levels[0].words)
    rows = np.empty((steps * batch, size))
    rows[:] = levels[0].log_p
    below = levels[0]
    numbers = [
        found[len(history) - steps :].ravel()
        for _, found in look_up(levels[:-1], history)
    ]
    for level, contexts in zip(levels[1:], numbers, strict=True):
        known = np.flatnonzero(contexts >= 0)
        assert below.log_backoff is not None
        rows[known] += below.log_backoff[contexts[known], None]
        first = level.starts[contexts[known]].astype(np.int64)
        count = level.starts[contexts[known] + 1].astype(np.int64) - first
        # The followers of all contexts, one slice behind the other.
        ends = np.cumsum(count)
        places = np.arange(count.sum()) + np.repeat(first - (ends - count), count)
        rows[np.repeat(known, count), level.words[places]] = level.log_p[places]
        below = level
    return rows.reshape(steps, batch, size)
