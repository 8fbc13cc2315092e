"""Byte-pair subwords as tokens."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Self

import numpy as np
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.data.vocabulary import (
    Vocabulary,
    as_blocks,
    as_list,
    as_tensor,
    check_text,
    index_blocks,
    read_tokenizer,
    tokens_in_order,
)
from throughtime.errors import InvalidValue

DEFAULT_SIZE = 2000
BYTES = 256
LONGEST_LINE = 1 << 20
BEFORE_LAST_SPACE = re.compile(r".*\S(?= )", re.DOTALL)
# No subword goes across from something else to a space: the tokenizer puts a space to
# what comes behind it.
PIECE_ENDS = re.compile(r"(?<=\S)(?= )")
MOST_KNOWN = 200_000
HALVES = re.compile("[\ud800-\udfff]")


class Subwords(Vocabulary):
    """Byte-level byte-pair encoding (Sennrich et al., arXiv 1508.07909): lossless.

    Args:
        tokenizer: a ``tokenizers.Tokenizer`` with a byte-level BPE model.
    """

    unit = "bpe"

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self.tokens = tokens_in_order(tokenizer)
        self.unknown_index = None
        newline = tokenizer.encode("\n").ids
        self.boundary_index = newline[0] if len(newline) == 1 else None

    @classmethod
    def build(
        cls, blocks: Iterable[str], *, size: int | None, min_frequency: int
    ) -> Self:
        """``size`` subwords (2000 unless told), the 256 bytes among them."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        positive_int("min_frequency", min_frequency)
        size = DEFAULT_SIZE if size is None else positive_int("size", size)
        if size < BYTES:
            raise InvalidValue(
                f"size must be at least {BYTES}, one token per byte, got {size}"
            )
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=min_frequency,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(_lines(blocks), trainer)
        return cls(tokenizer)

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        return cls(read_tokenizer(content["tokenizer"]))

    def content(self) -> dict[str, Any]:
        return {"tokenizer": json.loads(self._tokenizer.to_str())}

    def encode_blocks(self, blocks: Iterable[str]) -> Iterator[Tensor]:
        # Line by line, as the subwords were learnt.
        for lines in _lines(check_text(blocks)):
            pieces = [piece for line in lines for piece in PIECE_ENDS.split(line)]
            self._learn(set(pieces))
            known = map(self._known.__getitem__, pieces)
            yield as_tensor(list(chain.from_iterable(known)))

    def _learn(self, pieces: set[str]) -> None:
        """Have the tokens of all these pieces at hand.

        Most pieces come again and again, and looking them up is many times as fast as
        encoding them.
        """
        new = list(pieces - self._known.keys())
        if len(self._known) > MOST_KNOWN:
            self._known, new = {}, list(pieces)
        found = self._tokenizer.encode_batch(new)
        self._known.update(zip(new, (line.ids for line in found), strict=True))

    def count_characters(self, tokens: Tensor) -> int:
        # Cut behind newlines, because another token may end within a character.
        total, begun = 0, np.empty(0, dtype=np.int64)
        for part in index_blocks(tokens, len(self)):
            part = np.concatenate([begun, part])
            ends = np.flatnonzero(part == self.boundary_index)
            cut = ends[-1] + 1 if len(ends) else 0
            total += len(self.decode(part[:cut].tolist()))
            begun = part[cut:]
        return total + len(self.decode(begun.tolist()))

    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """The text; bytes that form no character become U+FFFD."""
        return self._tokenizer.decode(as_list(indices, len(self)))

    def missing(self, text: str | Iterable[str]) -> list[str]:
        """Nothing, but for halves of surrogate pairs, which have no bytes in UTF-8."""
        found: set[str] = set()
        for block in as_blocks(text):
            found.update(HALVES.findall(block))
        return sorted(found)


def _lines(blocks: Iterable[str]) -> Iterator[list[str]]:
    """The lines of a text, wherever the blocks are cut.

    A line without end is cut where a piece ends.
    """
    begun = ""
    for block in blocks:
        lines = (begun + block).splitlines(keepends=True)
        begun = lines.pop() if lines and not lines[-1].endswith("\n") else ""
        if len(begun) > LONGEST_LINE and (found := BEFORE_LAST_SPACE.match(begun)):
            lines.append(begun[: found.end()])
            begun = begun[found.end() :]
        if lines:
            yield lines
    if begun:
        yield [begun]
