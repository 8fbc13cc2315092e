"""Counts of all n-grams of a text up to an order, as sorted arrays.

An n-gram is numbered by its place in the sorted table of its order, and the key of a
longer one is (number of its first n-1 tokens) * V + last token. So every key fits in 64
bits, and a look-up is a binary search.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The n-grams of one order.

    Attributes:
        keys: sorted keys, one per distinct n-gram.
        counts: how often each occurs in the text.
        context: number of each n-gram's first n-1 tokens in the order below.
        suffix: number of each n-gram's last n-1 tokens in the order below.
    """

    keys: Ints
    counts: Ints
    context: Ints
    suffix: Ints


def count_ngrams(tokens: Ints, order: int, vocabulary_size: int) -> list[Order]:
    """Tables of the n-grams of orders 1..``order`` of one continuous text."""
    tables: list[Order] = []
    # Number, in the table below, of the n-gram that starts at each position. The empty
    # n-gram has the number 0.
    numbers = np.zeros(len(tokens) + 1, dtype=np.int64)
    for n in range(1, order + 1):
        last = tokens[n - 1 :]
        contexts, suffixes = numbers[: len(last)], numbers[1 : len(last) + 1]
        keys, first, numbers, counts = np.unique(
            contexts * vocabulary_size + last,
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        tables.append(Order(keys, counts, contexts[first], suffixes[first]))
    return tables


def find(table: Order, contexts: Ints, tokens: Ints, vocabulary_size: int) -> Ints:
    """Numbers of the n-grams (context, token); -1 where there is none.

    A context of -1 gives a negative key, which no table has. No table is empty.
    """
    wanted = contexts * vocabulary_size + tokens
    places = np.searchsorted(table.keys, wanted)
    places = np.minimum(places, len(table.keys) - 1)
    return np.where(table.keys[places] == wanted, places, -1)
