"""From the two sentence markers of ARPA files to one token between lines, or none.

An ARPA file reads ``<s>``, which it never predicts, before every line and predicts
``</s>`` after it. A text here has one token, ``<eos>``, at the end of every line: it
ends one and begins the next. So both markers become one, with the probabilities of
``</s>`` and the followers of ``<s>``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from throughtime.models.ngram.arpa import BEGIN, END, UNKNOWN
from throughtime.models.ngram.tables import Ints, Level

BOUNDARY = "<eos>"


class Joined(NamedTuple):
    """A model without sentence markers.

    tokens: the vocabulary; ``<eos>`` and ``<unk>`` are in it.
    levels: orders 1..n.
    boundary: ``<eos>`` if lines are independent; None: one continuous stream.
    """

    tokens: list[str]
    levels: list[Level]
    boundary: int | None


def join_markers(tokens: Sequence[str], levels: Sequence[Level]) -> Joined:
    """The model of an ARPA file as one of texts with ``<eos>``.

    A file in which ``<eos>`` is a word like any other is of one stream, and stays as it
    is. ``<eos>`` and ``<unk>`` get probability 0 where the file has nothing like them.

    Args:
        tokens: the vocabulary, (V,).
        levels: orders 1..n.
    """
    names, tables = list(tokens), list(levels)
    boundary = None
    if BOUNDARY not in names and END in names:
        end = names.index(END)
        names[end] = BOUNDARY
        if BEGIN in names:
            begin = names.index(BEGIN)
            tables = _joined(tables, begin, end)
            del names[begin]
        boundary = names.index(BOUNDARY)
    for name in (BOUNDARY, UNKNOWN):
        if name not in names:
            names.append(name)
            tables = _with_word(tables)
    return Joined(names, tables, boundary)


def _joined(levels: Sequence[Level], begin: int, end: int) -> list[Level]:
    """Order by order; ``numbers`` leads from the old numbers of n-grams to the new."""
    first = levels[0]
    kept = np.delete(np.arange(len(first.words)), begin)
    numbers = np.empty(len(first.words), dtype=np.int64)
    numbers[kept] = np.arange(len(kept))
    numbers[begin] = numbers[end]
    words = numbers
    backoff = None
    if first.log_backoff is not None:
        # As a context the token is <s>; nothing follows </s>.
        backoff = np.array(first.log_backoff)
        backoff[end] = backoff[begin]
        backoff = backoff[kept]
    size = len(kept)
    starts = np.array([0, size])
    joined = [Level(np.arange(size), starts, first.log_p[kept], backoff)]
    for level in levels[1:]:
        contexts = np.repeat(np.arange(len(level.starts) - 1), np.diff(level.starts))
        contexts, last = numbers[contexts], words[level.words]
        order = np.lexsort((last, contexts))
        numbers = np.empty(len(order), dtype=np.int64)
        numbers[order] = np.arange(len(order))
        joined.append(_sorted(level, contexts[order], last[order], order, joined[-1]))
    return joined


def _sorted(
    level: Level, contexts: Ints, words: Ints, order: Ints, below: Level
) -> Level:
    counts = np.bincount(contexts, minlength=len(below.words))
    backoff = None if level.log_backoff is None else level.log_backoff[order]
    starts = np.concatenate([[0], np.cumsum(counts)])
    return Level(words, starts, level.log_p[order], backoff)


def _with_word(levels: Sequence[Level]) -> list[Level]:
    """One more word at the end of the vocabulary, of probability 0."""
    first, *others = levels
    size = len(first.words) + 1
    backoff = None
    if first.log_backoff is not None:
        backoff = np.append(first.log_backoff, 0.0)
    new = Level(
        np.arange(size), np.array([0, size]), np.append(first.log_p, -np.inf), backoff
    )
    if not others:
        return [new]
    second, *rest = others
    starts = np.append(second.starts, second.starts[-1])
    return [new, Level(second.words, starts, second.log_p, second.log_backoff), *rest]
