"""Characters as tokens."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from throughtime.checks import positive_int
from throughtime.data.vocabulary import Vocabulary, as_list, as_tensor

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

    @classmethod
    def build(cls, text: str, *, size: int | None, min_frequency: int) -> Self:
        """The characters of ``text``, the most frequent ``size`` - 1 of them."""
        positive_int("min_frequency", min_frequency)
        if size is not None:
            positive_int("size", size)
        counts = Counter(text)
        kept = sorted(counts, key=lambda c: (-counts[c], c))
        kept = [c for c in kept if counts[c] >= min_frequency]
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

    def encode(self, text: str) -> Tensor:
        return as_tensor([self._index.get(c, 0) for c in text])

    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """The text; an unknown character becomes U+FFFD."""
        values = as_list(indices, len(self))
        return "".join(self.tokens[i] if i else "\ufffd" for i in values)

    def missing(self, text: str) -> list[str]:
        return sorted(set(text) - set(self._index))
