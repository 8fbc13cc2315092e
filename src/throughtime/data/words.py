"""Words as tokens, in the convention of the Penn Treebank language-model files."""

import json
from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from throughtime.checks import positive_int
from throughtime.data.vocabulary import Vocabulary, as_list, as_tensor

UNKNOWN, END = "<unk>", "<eos>"


class Words(Vocabulary):
    """One token per run of non-space characters, and ``<eos>`` for the end of a line.

    A ``<unk>`` in the text is the unknown token itself. Entries are ordered by
    frequency, then alphabetically.

    Args:
        tokenizer: a ``tokenizers.Tokenizer`` with a word-level model.
    """

    unit = "word"

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        table: dict[str, int] = tokenizer.get_vocab()
        self.tokens = sorted(table, key=lambda token: table[token])
        self.unknown_index = table[UNKNOWN]
        self.boundary_index = table[END]
        self._known = set(table)

    @classmethod
    def build(cls, text: str, *, size: int | None, min_frequency: int) -> Self:
        """The words of ``text``, the most frequent ``size`` of them."""
        from collections import Counter

        from tokenizers import Tokenizer, models, pre_tokenizers

        positive_int("min_frequency", min_frequency)
        if size is not None:
            positive_int("size", size)
        counts = Counter(_with_ends(text).split())
        # Both special tokens are entries in any case.
        special = {token: counts.pop(token, 0) for token in (END, UNKNOWN)}
        kept = sorted(counts, key=lambda word: (-counts[word], word))
        kept = [word for word in kept if counts[word] >= min_frequency]
        if size is not None:
            kept = kept[: max(0, size - len(special))]
        counts.update(special)
        entries = sorted([*kept, *special], key=lambda word: (-counts[word], word))
        tokenizer = Tokenizer(
            models.WordLevel({word: i for i, word in enumerate(entries)}, UNKNOWN)
        )
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return cls(tokenizer)

    @classmethod
    def load(cls, content: dict[str, Any]) -> Self:
        """From ``content``."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_str(json.dumps(content["tokenizer"])))

    def content(self) -> dict[str, Any]:
        return {"tokenizer": json.loads(self._tokenizer.to_str())}

    def encode(self, text: str) -> Tensor:
        return as_tensor(self._tokenizer.encode(_with_ends(text)).ids)

    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """Words joined by spaces; ``<eos>`` becomes a newline."""
        words = " ".join(self.tokens[i] for i in as_list(indices))
        return (
            words.replace(f" {END} ", "\n")
            .replace(f" {END}", "\n")
            .replace(f"{END} ", "\n")
        )

    def missing(self, text: str) -> list[str]:
        return sorted(set(_with_ends(text).split()) - self._known)


def _with_ends(text: str) -> str:
    lines = text.split("\n")
    # What follows the last newline is a line only if there is something in it.
    if not lines[-1].strip():
        lines.pop()
    return "".join(f"{line} {END} " for line in lines)
