r"""Counts of all n-grams of a text up to an order, as sorted arrays.

The n-grams of an order are numbered as in ``tables.py``, sorted by (number of the first
n-1 tokens, last token). So the positions of the text, once sorted by the n-gram that
begins there, need for order n+1 only to be sorted within each n-gram, by one more
token. That is done in stretches of whole n-grams that stay in cache; a stretch is
sorted as plain 64-bit integers (n-gram, token, place), which numpy does many times
faster than finding a permutation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]

# Positions sorted at once: few enough to stay in cache.
STRETCH = 1 << 16


@dataclass(frozen=True)
class Counts:
    """The n-grams of one order; N of them, C contexts (n-grams of the order below).

    Attributes:
        words: last token of each n-gram, (N,).
        starts: the followers of context c are numbered starts[c] to starts[c + 1] - 1,
            (C + 1,); of order 1, whose one context is empty, [0, V].
        counts: occurrences of each, (N,). All V tokens are in the table of order 1,
            those that never occur with a count of 0.
        suffix: number of each n-gram's last n-1 tokens in the order below, (N,); of
            order 1 zeros.
    """

    words: Ints
    starts: Ints
    counts: Ints
    suffix: Ints


def count_ngrams(
    tokens: Ints, order: int, vocabulary_size: int, *, boundary: int | None = None
) -> list[Counts]:
    """Tables of the n-grams of orders 1..``order``; empty ones above the text's length.

    Args:
        tokens: the text (N,), every token in [0, V).
        order: of the longest n-grams.
        vocabulary_size: V.
        boundary: the token that ends each line, for lines that are independent of each
            other: every line is read after one boundary, and nothing crosses it. An
            n-gram may then begin with the boundary, or end with it, but not hold it in
            its middle; that of order 1 counts line ends. None: one continuous text.

    >>> one, two = count_ngrams(np.array([0, 1, 0, 1, 0, 2]), 2, vocabulary_size=3)
    >>> one.counts, two.words, two.starts, two.counts
    (array([3, 2, 1], dtype=int32), array([1, 2, 0], dtype=int32), \
array([0, 2, 3, 3], dtype=int32), array([2, 1, 2], dtype=int32))
    """
    text = with_boundary(tokens, boundary)
    tables = count_positions(text, order, vocabulary_size, boundary=boundary)
    if boundary is not None:
        # The boundary before the first line ends none.
        tables[0].counts[boundary] -= 1
    return tables


def with_boundary(tokens: Ints, boundary: int | None) -> Ints:
    """The text as it is read: after a boundary, if there is one."""
    if boundary is None:
        return tokens
    return np.concatenate([np.array([boundary], tokens.dtype), tokens])


def integers_up_to(largest: int) -> type[np.signedinteger]:
    """The smaller of int32 and int64 that holds a number."""
    return np.int32 if largest <= np.iinfo(np.int32).max else np.int64


def count_positions(
    text: Ints,
    order: int,
    vocabulary_size: int,
    *,
    boundary: int | None = None,
    uncounted: int = 0,
) -> list[Counts]:
    """Tables of the n-grams that begin at the positions of a text.

    Args:
        text: (N,), after its first boundary if there is one.
        order: of the longest n-grams.
        vocabulary_size: V.
        boundary: the token that no n-gram may hold in its middle.
        uncounted: n-grams that begin at this many last positions are in the tables, but
            do not add to the counts.
    """
    integers = integers_up_to(max(len(text), vocabulary_size))
    text = text.astype(integers, copy=False)
    counted = len(text) - uncounted
    words = np.arange(vocabulary_size, dtype=integers)
    counts = np.bincount(text[:counted], minlength=vocabulary_size).astype(integers)
    starts = np.array([0, vocabulary_size], integers)
    tables = [Counts(words, starts, counts, np.zeros_like(words))]
    if order == 1:
        return tables
    # Positions sorted by the n-gram that begins there, and the number of that n-gram.
    positions = np.arange(len(text), dtype=integers)
    _sort_by_next(positions, np.zeros_like(positions), text, 0, vocabulary_size)
    numbers = text[positions]
    for n in range(2, order + 1):
        number_at = np.empty(len(text), integers)
        number_at[positions] = numbers
        # No n-gram goes over the end, or holds the boundary in its middle.
        over = np.flatnonzero(positions > len(text) - n)
        positions, numbers = np.delete(positions, over), np.delete(numbers, over)
        if boundary is not None and n > 2:
            kept = (words != boundary)[numbers]
            positions, numbers = positions[kept], numbers[kept]
        contexts = len(words)
        is_first = _sort_by_next(positions, numbers, text, n - 1, vocabulary_size)
        first = np.flatnonzero(is_first).astype(integers)
        at_first = positions[first]
        words = text[at_first + (n - 1)]
        suffix = number_at[at_first + 1]
        followers = np.bincount(numbers[first], minlength=contexts)
        starts = np.zeros(contexts + 1, integers)
        np.cumsum(followers, out=starts[1:])
        del number_at, at_first, followers
        counts = np.diff(first, append=integers(len(positions)))
        numbers = np.cumsum(is_first, dtype=integers)
        numbers -= 1
        if uncounted:
            outside = numbers[positions >= counted]
            np.subtract.at(counts, outside, 1)
        tables.append(Counts(words, starts, counts, suffix))
    return tables


def _sort_by_next(
    positions: Ints, numbers: Ints, text: Ints, offset: int, vocabulary_size: int
) -> NDArray[np.bool_]:
    """Sort positions, within equal numbers, by the token ``offset`` further, in place.

    Returns:
        Where the first position of each (number, token) is.
    """
    is_first = np.ones(len(positions), dtype=np.bool_)
    token_bits = (vocabulary_size - 1).bit_length()
    edges = _edges(numbers)
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        here = positions[start:stop]
        place_bits = int(stop - start - 1).bit_length()
        keys = numbers[start:stop].astype(np.int64)
        keys -= keys[:1]
        keys <<= token_bits
        keys |= text[here + offset]
        keys <<= place_bits
        keys |= np.arange(stop - start)
        keys.sort()
        positions[start:stop] = here[keys & ((1 << place_bits) - 1)]
        keys >>= place_bits
        np.not_equal(keys[1:], keys[:-1], out=is_first[start + 1 : stop])
    return is_first


def _edges(numbers: Ints) -> list[int]:
    """Where the stretches begin and end: no number is in two of them.

    Each has at most STRETCH positions, or one number.
    """
    every = numbers[::STRETCH]
    sides = [np.searchsorted(numbers, every, side) for side in ("left", "right")]
    edges = np.unique(np.concatenate([[0], *sides, [len(numbers)]]))
    return edges.astype(int).tolist()
