"""Characters as tokens."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.data.vocabulary import (
    Vocabulary,
    as_blocks,
    as_list,
    check_kept,
    check_string,
    index_blocks,
)

UNKNOWN = "<unk>"


class Characters(Vocabulary):
    """One token per character, sorted, after one entry for unknown characters.

    Args:
        characters: the known characters.
    """

    unit = "char"

    def __init__(self, characters: Sequence[str]) -> None:
        self.tokens = [UNKNOWN, *characters]
        self.unknown_index = 0
        self._index = {c: i for i, c in enumerate(characters, start=1)}
        self.boundary_index = self._index.get("\n")
        # The last entry, 0, is that of all code points above those known.
        codes = [ord(c) for c in characters]
        self._by_code = np.zeros(max(codes, default=-1) + 2, dtype=np.int64)
        self._by_code[codes] = range(1, len(self.tokens))

    @classmethod
    def build(
        cls, blocks: Iterable[str], *, size: int | None, min_frequency: int
    ) -> Self:
        """The characters of a text, the most frequent ``size`` - 1 of them."""
        positive_int("min_frequency", min_frequency)
        if size is not None:
            positive_int("size", size)
        total = np.zeros(sys.maxunicode + 1, dtype=np.int64)
        for block in blocks:
            found = np.bincount(_codes(block))
            total[: len(found)] += found
        counts = Counter(
            {chr(code): int(total[code]) for code in np.flatnonzero(total)}
        )
        kept = sorted(counts, key=lambda c: (-counts[c], c))
        kept = [c for c in kept if counts[c] >= min_frequency]
        check_kept(kept, counts, min_frequency)
        return cls(sorted(kept if size is None else kept[: size - 1]))

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        characters = content["characters"]
        if not all(isinstance(c, str) and len(c) == 1 for c in characters):
            raise ValueError("characters should be strings of length 1")
        if len(set(characters)) < len(characters):
            raise ValueError("a character is there twice")
        return cls(characters)

    def content(self) -> dict[str, Any]:
        return {"characters": self.tokens[1:]}

    def encode_blocks(self, blocks: Iterable[str]) -> Iterator[Tensor]:
        for block in blocks:
            codes = _codes(check_string(block))
            yield torch.from_numpy(self._by_code.take(codes, mode="clip"))

    def count_characters(self, tokens: Tensor) -> int:
        return sum(len(part) for part in index_blocks(tokens, len(self)))

    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """The text; an unknown character becomes U+FFFD."""
        values = as_list(indices, len(self))
        return "".join(self.tokens[i] if i else "\ufffd" for i in values)

    def missing(self, text: str | Iterable[str]) -> list[str]:
        found: set[str] = set()
        for block in as_blocks(text):
            found.update(block)
        return sorted(found - set(self._index))


def _codes(text: str) -> NDArray[np.uint32]:
    """The code points of a text."""
    # Halves of surrogate pairs are characters like others here.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
