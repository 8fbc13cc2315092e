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

BLOCK = 1 << 15


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

    By bisection of the followers of each context. A context of -1 has none.

    Args:
        words: of a ``Level``, any integer type that holds all V tokens.
        starts: of the same ``Level``.
        contexts: numbers in the order below, (N,).
        wanted: tokens in [0, V), (N,).
    """
    found = np.full(len(contexts), -1, dtype=np.int64)
    # In blocks, whose intermediate results stay in the cache.
    for begin in range(0, len(contexts), BLOCK):
        block = slice(begin, begin + BLOCK)
        _find_block(words, starts, contexts[block], wanted[block], found[block])
    return found


def _find_block(
    words: Ints, starts: Ints, contexts: Ints, wanted: Ints, found: Ints
) -> None:
    known = np.flatnonzero(contexts >= 0)
    numbers = contexts[known]
    low = starts[numbers].astype(np.int64)
    count = starts[numbers + 1].astype(np.int64) - low
    # The most followers first, by the bits of their count: every round of the
    # bisection is then a slice from the first on.
    bits = np.frexp(count.astype(np.float64))[1].astype(np.int8)
    order = np.argsort(-bits, kind="stable")
    at_least = np.cumsum(np.bincount(bits, minlength=2)[::-1])[::-1]
    order = order[: at_least[1]]
    known, low, count = known[order], low[order], count[order]
    last = low + count - 1
    target = wanted[known].astype(words.dtype)
    # The first round leaves 2^(bits - 1) places to each, and each further one half.
    half = np.left_shift(np.int64(1), bits[order].astype(np.int64) - 1)
    low += (words[low + half - 1] < target) * (count - half + 1)
    for power in range(len(at_least) - 3, -1, -1):
        part = slice(0, at_least[power + 2])
        step = 1 << power
        low[part] += (words[low[part] + (step - 1)] < target[part]) * step
    # Behind the last follower where all are smaller.
    hit = words[np.minimum(low, last)] == target
    found[known[hit]] = low[hit]


def spell(levels: Sequence[Level], numbers: Ints) -> Ints:
    """The tokens of the n-grams ``numbers`` (N,) of the last of the levels, (N, n).

    Args:
        levels: orders 1..n.
        numbers: in the table of order n.
    """
    tokens = np.empty((len(numbers), len(levels)), dtype=np.int64)
    for place in range(len(levels) - 1, -1, -1):
        words, starts = levels[place].words, levels[place].starts
        tokens[:, place] = words[numbers]
        # In the type of the table, which searchsorted would copy otherwise.
        inside = numbers.astype(starts.dtype)
        numbers = np.searchsorted(starts, inside, side="right") - 1
    return tokens


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
    for n, level in enumerate(levels, start=1):
        if n == 1:
            # All tokens are in order 1, each under its own number.
            found = text.astype(np.int64)
        else:
            flat = find(level.words, level.starts, contexts.ravel(), text.ravel())
            found = flat.reshape(text.shape)
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
