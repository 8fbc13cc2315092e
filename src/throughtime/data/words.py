"""Words as tokens, in the convention of the Penn Treebank language-model files."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.data.vocabulary import (
    Vocabulary,
    as_blocks,
    as_list,
    check_kept,
    check_text,
    index_blocks,
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
        self._index = {token: i for i, token in enumerate(self.tokens)}

    @classmethod
    def build(
        cls, blocks: Iterable[str], *, size: int | None, min_frequency: int
    ) -> Self:
        """The words of a text, the most frequent ``size`` of them."""
        positive_int("min_frequency", min_frequency)
        if size is not None and positive_int("size", size) < 2:
            raise InvalidValue(
                f"size must be at least 2, for {UNKNOWN} and {END}, got {size}"
            )
        counts: Counter[str] = Counter()
        for words in _words(blocks):
            counts.update(words)
        # Both special tokens are entries in any case.
        special = {token: counts.pop(token, 0) for token in (END, UNKNOWN)}
        kept = sorted(counts, key=lambda word: (-counts[word], word))
        kept = [word for word in kept if counts[word] >= min_frequency]
        check_kept(kept, counts, min_frequency)
        if size is not None:
            kept = kept[: size - len(special)]
        counts.update(special)
        return cls.of(sorted([*kept, *special], key=lambda word: (-counts[word], word)))

    @classmethod
    def of(cls, words: Sequence[str]) -> Self:
        """The vocabulary of these words in this order.

        Raises:
            InvalidValue: a word is there twice, or ``<unk>`` or ``<eos>`` is missing.

        >>> Words.of(["<eos>", "<unk>", "be"]).encode("be to").tolist()
        [2, 1, 0]
        """
        from tokenizers import Tokenizer, models, pre_tokenizers

        table = {word: i for i, word in enumerate(words)}
        if len(table) < len(words) or not {UNKNOWN, END} <= table.keys():
            raise InvalidValue(
                f"words must be different, with {UNKNOWN} and {END} among them; got "
                f"{len(words)}, {len(table)} of them different"
            )
        tokenizer = Tokenizer(models.WordLevel(table, UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return cls(tokenizer)

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        return cls(read_tokenizer(content["tokenizer"]))

    def content(self) -> dict[str, Any]:
        return {"tokenizer": json.loads(self._tokenizer.to_str())}

    def encode_blocks(self, blocks: Iterable[str]) -> Iterator[Tensor]:
        # A dict is 15 times as fast as the tokenizer here.
        find, unknown = self._index.get, repeat(self.unknown_index)
        for words in _words(check_text(blocks)):
            indices = np.fromiter(map(find, words, unknown), np.int64, len(words))
            yield torch.from_numpy(indices)

    def count_characters(self, tokens: Tensor) -> int:
        lengths = np.array([len(token) for token in self.tokens])
        lengths[self.boundary_index] = 1  # a newline
        total, follows_word = 0, False
        for part in index_blocks(tokens, len(self)):
            is_word = part != self.boundary_index
            # A space stands before every word but the first of a line.
            before = np.concatenate([[follows_word], is_word])[:-1]
            total += int(lengths[part].sum() + (before & is_word).sum())
            follows_word = bool(is_word[-1]) if len(part) else follows_word
        return total

    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """Words joined by spaces; ``<eos>`` becomes a newline."""
        lines: list[list[str]] = [[]]
        for i in as_list(indices, len(self)):
            if i == self.boundary_index:
                lines.append([])
            else:
                lines[-1].append(self.tokens[i])
        return "\n".join(" ".join(line) for line in lines)

    def missing(self, text: str | Iterable[str]) -> list[str]:
        found: set[str] = set()
        for words in _words(as_blocks(text)):
            found.update(set(words) - self._index.keys())
        return sorted(found)


def _words(blocks: Iterable[str]) -> Iterator[list[str]]:
    """The words of a text and its line ends, wherever the blocks are cut."""
    cut_word: list[str] = []
    line_is_open = False
    for block in blocks:
        whole = _without_last_word(block)
        if whole:
            text = "".join([*cut_word, whole])
            cut_word = []
            last_line = text[text.rfind("\n") + 1 :]
            begun_before = line_is_open and "\n" not in text
            line_is_open = begun_before or last_line.strip() != ""
            yield text.replace("\n", f" {END} ").split()
        if len(whole) < len(block):
            cut_word.append(block[len(whole) :])
    # What follows the last newline is a line only if there is something in it.
    if cut_word:
        yield ["".join(cut_word), END]
    elif line_is_open:
        yield [END]


def _without_last_word(block: str) -> str:
    """A block up to its last white space: the word behind it may go on."""
    if not block or block[-1].isspace():
        return block
    return block[: -len(block.rsplit(None, 1)[-1])]
