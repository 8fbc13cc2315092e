"""Byte-pair subwords as tokens."""

import json
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

DEFAULT_SIZE = 2000
BYTES = 256


class Subwords(Vocabulary):
    """Byte-level byte-pair encoding (Sennrich et al., arXiv 1508.07909): lossless.

    Args:
        tokenizer: a ``tokenizers.Tokenizer`` with a byte-level BPE model.
    """

    unit = "bpe"

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.tokens = tokens_in_order(tokenizer)
        self.unknown_index = None
        newline = tokenizer.encode("\n").ids
        self.boundary_index = newline[0] if len(newline) == 1 else None

    @classmethod
    def build(cls, text: str, *, size: int | None, min_frequency: int) -> Self:
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
        tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
        return cls(tokenizer)

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        return cls(read_tokenizer(content["tokenizer"]))

    def content(self) -> dict[str, Any]:
        return {"tokenizer": json.loads(self._tokenizer.to_str())}

    def encode(self, text: str) -> Tensor:
        return as_tensor(self._tokenizer.encode(check_text(text)).ids)

    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """The text; bytes that form no character become U+FFFD."""
        return self._tokenizer.decode(as_list(indices, len(self)))

    def missing(self, text: str) -> list[str]:
        """Nothing, but for halves of surrogate pairs, which have no bytes in UTF-8."""
        return sorted({c for c in text if "\ud800" <= c <= "\udfff"})
