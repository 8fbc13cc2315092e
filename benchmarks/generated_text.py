"""Text of any size that resembles the Penn Treebank, with a larger vocabulary.

A walk through the training text that jumps, before every token, to another place with
the same last two tokens (most often), the same last token, or to any place at all. So
frequent n-grams stay frequent and new ones come up, as in a real text. Every unknown
word gets a name, drawn from a long-tailed distribution.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

SAME_TWO, SAME_ONE = 0.7, 0.28
NAMES, EXPONENT = 500_000, 1.1
WALKS = 200  # side by side


def write_text(path: Path, source: list[str], megabytes: float, seed: int = 0) -> None:
    """Write lines of words, ``<eos>`` of the source as line ends."""
    generator = np.random.default_rng(seed)
    kinds, text = np.unique(np.array(source, dtype=object), return_inverse=True)
    places = Places(text)
    at = generator.integers(0, len(text), WALKS)
    names = (1.0 + np.arange(NAMES)) ** -EXPONENT
    names = np.cumsum(names / names.sum())
    unknown = int(np.searchsorted(kinds, "<unk>"))
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes * 1e6:
            columns = []
            for _ in range(1000):
                at = places.jump(at, generator)
                columns.append(text[at])
            found = np.stack(columns, axis=1).ravel()
            words = kinds[found]
            new = np.flatnonzero(found == unknown)
            drawn = np.searchsorted(names, generator.random(len(new)))
            words[new] = [f"name{i}" for i in drawn.tolist()]
            lines = " ".join(words.tolist()).split("<eos>")
            lines = [line.strip() for line in lines]
            written += file.write("".join(f"{line}\n" for line in lines if line))


class Places:
    """Positions of a text sorted by the last two, and by the last token."""

    def __init__(self, text: Ints) -> None:
        before = np.concatenate([text[-1:], text[:-1]])
        self._groups = [
            _grouped(np.unique(key, return_inverse=True)[1])
            for key in (before * (text.max() + 1) + text, text)
        ]
        self._length = len(text)

    def jump(self, at: Ints, generator: np.random.Generator) -> Ints:
        """The position after another one like ``at``."""
        kind = generator.random(len(at))
        chance = generator.random(len(at))
        to = (chance * self._length).astype(np.int64)
        for limit, group in ((1.0, 1), (SAME_TWO / (SAME_TWO + SAME_ONE), 0)):
            chosen = kind < limit * (SAME_TWO + SAME_ONE)
            sorted_, starts, numbers = self._groups[group]
            first = starts[numbers[at[chosen]]]
            size = starts[numbers[at[chosen]] + 1] - first
            to[chosen] = sorted_[first + (chance[chosen] * size).astype(np.int64)]
        return (to + 1) % self._length


def _grouped(numbers: Ints) -> tuple[Ints, Ints, Ints]:
    starts = np.concatenate([[0], np.cumsum(np.bincount(numbers))])
    return np.argsort(numbers, kind="stable"), starts, numbers
