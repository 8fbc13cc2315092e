r"""Which word of a target stands for a word of a source, without any order.

    P(t_1..t_n | s_1..s_m) ∝ Π_j Σ_i p(t_j | s_i)

IBM model 1 (Brown et al., 1993, https://aclanthology.org/J93-2003): p by expectation
maximisation from pairs of sentences. Here without the empty source word.
"""

from collections.abc import Sequence

import numpy as np

from throughtime.checks import positive_int
from throughtime.errors import DataError

# Pairs of words to learn from; more sentences change little and cost much.
MOST_CELLS = 20_000_000


class WordTable:
    """The best target word of each source word.

    Args:
        pairs: sentences as words, source and target.
        iterations: of expectation maximisation.

    Raises:
        DataError: no pair has words on both sides.

    >>> pairs = [(["das", "haus"], ["the", "house"]), (["das"], ["the"])]
    >>> WordTable(pairs).translate(["haus", "das", "hier"])
    ['house', 'the', 'hier']
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Sequence[str], Sequence[str]]],
        iterations: int = 5,
    ) -> None:
        positive_int("iterations", iterations)
        pairs = _as_many_as_fit(pairs)
        if not pairs:
            raise DataError("no pair has words on both sides; give some")
        sources = {
            w: i for i, w in enumerate(dict.fromkeys(w for s, _ in pairs for w in s))
        }
        targets = {
            w: i for i, w in enumerate(dict.fromkeys(w for _, t in pairs for w in t))
        }
        # A cell for each word of a source beside each of its target.
        cells, columns = [], []
        place = 0
        for source, target in pairs:
            s = np.array([sources[w] for w in source])
            t = np.array([targets[w] for w in target])
            cells.append((s[None, :] * len(targets) + t[:, None]).ravel())
            columns.append(np.repeat(np.arange(place, place + len(t)), len(s)))
            place += len(t)
        kinds, cell = np.unique(np.concatenate(cells), return_inverse=True)
        column = np.concatenate(columns)
        left, right = kinds // len(targets), kinds % len(targets)
        p = np.ones(len(kinds))
        for _ in range(iterations):
            share = p[cell]
            share /= np.bincount(column, share)[column]
            counts = np.bincount(cell, share)
            p = counts / np.bincount(left, counts)[left]
        # The last entry of each source word is its best; among equals the first seen.
        order = np.lexsort((-right, p, left))
        last = np.flatnonzero(np.diff(left[order], append=-1))
        words, said = list(sources), list(targets)
        self.best = {words[left[i]]: said[right[i]] for i in order[last]}

    def translate(self, words: Sequence[str]) -> list[str]:
        """The best word for each one; unknown ones as they are."""
        return [self.best.get(word, word) for word in words]


def _as_many_as_fit(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]],
) -> list[tuple[Sequence[str], Sequence[str]]]:
    kept, cells = [], 0
    for source, target in pairs:
        cells += len(source) * len(target)
        if cells > MOST_CELLS:
            break
        if source and target:
            kept.append((source, target))
    return kept
