"""Words as tokens, in the convention of the Penn Treebank language-model files."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from throughtime.checks import positive_int
from throughtime.data.vocabulary import (
    Vocabulary,
    as_list,
    as_tensor,
    check_text,
    read_tokenizer,
    tokens_in_order,
)
from throughtime.errors import InvalidValue

UNKNOWN, END = "<unk>", "<eos>"


class Words(Vocabulary):
    """One token per run of non-space characters, and ``<eos>`` for the end of a line.

    A ``<unk>`` in the text is the unknown token itself, an ``<eos>`` the end of a line.
    Entries are ordered by frequency, then alphabetically.

    Args:
        tokenizer: a ``tokenizers.Tokenizer`` with a word-level model.
    """

    unit = "word"

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.tokens = tokens_in_order(tokenizer)
        self.unknown_index = self.tokens.index(UNKNOWN)
        self.boundary_index = self.tokens.index(END)
        self._known = set(self.tokens)

    @classmethod
    def build(cls, text: str, *, size: int | None, min_frequency: int) -> Self:
        """The words of ``text``, the most frequent ``size`` of them."""
        from tokenizers import Tokenizer, models, pre_tokenizers

        positive_int("min_frequency", min_frequency)
        if size is not None and positive_int("size", size) < 2:
            raise InvalidValue(
                f"size must be at least 2, for {UNKNOWN} and {END}, got {size}"
            )
        counts = Counter(_with_ends(text).split())
        # Both special tokens are entries in any case.
        special = {token: counts.pop(token, 0) for token in (END, UNKNOWN)}
        kept = sorted(counts, key=lambda word: (-counts[word], word))
        kept = [word for word in kept if counts[word] >= min_frequency]
        if size is not None:
            kept = kept[: size - len(special)]
        counts.update(special)
        entries = sorted([*kept, *special], key=lambda word: (-counts[word], word))
        tokenizer = Tokenizer(
            models.WordLevel({word: i for i, word in enumerate(entries)}, UNKNOWN)
        )
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return cls(tokenizer)

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        return cls(read_tokenizer(content["tokenizer"]))

    def content(self) -> dict[str, Any]:
        return {"tokenizer": json.loads(self._tokenizer.to_str())}

    def encode(self, text: str) -> Tensor:
        return as_tensor(self._tokenizer.encode(_with_ends(check_text(text))).ids)

    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """Words joined by spaces; ``<eos>`` becomes a newline."""
        lines: list[list[str]] = [[]]
        for i in as_list(indices, len(self)):
            if i == self.boundary_index:
                lines.append([])
            else:
                lines[-1].append(self.tokens[i])
        return "\n".join(" ".join(line) for line in lines)

    def missing(self, text: str) -> list[str]:
        return sorted(set(_with_ends(text).split()) - self._known)


def _with_ends(text: str) -> str:
    lines = text.split("\n")
    # What follows the last newline is a line only if there is something in it.
    if not lines[-1].strip():
        lines.pop()
    # Single spaces, because Python splits at more characters than tokenizers does.
    return "".join(f"{' '.join(line.split())} {END} " for line in lines)
