"""Vocabularies: text to token indices and back, for characters, words and subwords."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.errors import (
    DataError,
    InvalidShape,
    InvalidType,
    InvalidValue,
    RunError,
    unknown_name,
)

FORMAT = 1
UNITS = ("char", "word", "bpe")
# Characters of a text that are encoded at a time.
BLOCK = 1 << 20


class Vocabulary(ABC):
    """A table of tokens.

    Attributes:
        unit: ``char``, ``word`` or ``bpe``.
        tokens: the tokens in the order of their indices.
        unknown_index: what unknown text is read as; None if nothing is unknown.
        boundary_index: the token before a text begins, the end of a line; None if the
            vocabulary has none.
    """

    unit: str
    tokens: list[str]
    unknown_index: int | None
    boundary_index: int | None

    def __len__(self) -> int:
        return len(self.tokens)

    def token(self, index: int) -> str:
        """The token of one index.

        Raises:
            InvalidValue: an index outside [0, V).
        """
        return self.tokens[as_list([index], len(self))[0]]

    def encode(self, text: str) -> Tensor:
        """Token indices of a text, long (N,).

        Raises:
            DataError: the text holds half a surrogate pair, which words and subwords
                cannot.
            InvalidType: no str.
        """
        parts = list(self.encode_blocks(_slices(check_string(text))))
        return torch.cat(parts) if parts else as_tensor([])

    @abstractmethod
    def encode_blocks(self, blocks: Iterable[str]) -> Iterator[Tensor]:
        """Token indices of a text that comes in blocks, as it comes.

        Together they are what ``encode`` makes of the whole text, wherever it is cut.

        Yields:
            long (n,).

        >>> vocabulary = build_vocabulary("a rose is a rose", "word")
        >>> parts = vocabulary.encode_blocks(["a ro", "se is a", " rose"])
        >>> torch.equal(torch.cat(list(parts)), vocabulary.encode("a rose is a rose"))
        True
        """

    def count_characters(self, tokens: Tensor) -> int:
        """The characters of ``decode(tokens)``, which need not fit into memory.

        Raises:
            InvalidShape: not (N,).
            InvalidValue: an index outside [0, V).
        """
        return len(self.decode(tokens))

    @abstractmethod
    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """The text of token indices (N,).

        Raises:
            InvalidShape: a tensor of another shape.
            InvalidValue: an index outside [0, V).
        """

    @abstractmethod
    def missing(self, text: str | Iterable[str]) -> list[str]:
        """The different pieces of a text, or its blocks, not in the vocabulary."""

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """What distinguishes this vocabulary, as plain values."""

    def to_json(self) -> str:
        """The text of a vocabulary file."""
        values = {"format": FORMAT, "unit": self.unit, **self.content()}
        return json.dumps(values, ensure_ascii=False, sort_keys=True) + "\n"

    @staticmethod
    def from_json(text: str) -> "Vocabulary":
        """The vocabulary of a ``to_json``.

        Raises:
            DataError: damaged.
            InvalidValue: unknown unit.
        """
        try:
            values = json.loads(text)
            if values.pop("format") != FORMAT:
                raise ValueError(f"format should be {FORMAT}")
            unit = values.pop("unit")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"no vocabulary, or damaged ({error})") from error
        kind = _kind(unit)
        try:
            return kind.from_content(values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"damaged vocabulary ({error})") from error

    @classmethod
    @abstractmethod
    def build(
        cls, blocks: Iterable[str], *, size: int | None, min_frequency: int
    ) -> Self:
        """The vocabulary of a text in blocks, see ``build_vocabulary``."""

    @classmethod
    @abstractmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        """The vocabulary of a ``content``."""

    def fingerprint(self) -> str:
        """SHA-256 of ``to_json``."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write ``to_json`` to a file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> "Vocabulary":
        """Read a file of ``save``: the same as ``load_vocabulary``."""
        return load_vocabulary(path)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.fingerprint())


def as_list(indices: Tensor | Sequence[int], size: int) -> list[int]:
    """Token indices (N,) of a vocabulary with ``size`` entries, as a list of int.

    Raises:
        InvalidShape: a tensor of another shape.
        InvalidValue: an index outside [0, ``size``).
    """
    if isinstance(indices, Tensor):
        if indices.dim() != 1:
            raise _no_sequence(indices)
        indices = indices.tolist()
    if len(indices) and not 0 <= min(indices) <= max(indices) < size:
        raise _outside(min(indices), max(indices), size)
    return list(indices)


def index_blocks(tokens: Tensor, size: int) -> Iterator[NDArray[np.int64]]:
    """Token indices (N,) of a vocabulary with ``size`` entries, in blocks.

    Raises:
        InvalidShape: another shape.
        InvalidValue: an index outside [0, ``size``).
    """
    if tokens.dim() != 1:
        raise _no_sequence(tokens)
    for part in tokens.split(BLOCK):
        if len(part) and not 0 <= part.min() <= part.max() < size:
            raise _outside(int(part.min()), int(part.max()), size)
        yield part.cpu().numpy().astype(np.int64)


def _no_sequence(indices: Tensor) -> InvalidShape:
    return InvalidShape(
        f"indices must have shape (N,), got {tuple(indices.shape)}; take one "
        "sequence of the batch"
    )


def _outside(least: int, most: int, size: int) -> InvalidValue:
    return InvalidValue(
        f"indices must lie in [0, {size}), the entries of this vocabulary, got "
        f"values from {least} to {most}"
    )


def as_tensor(indices: Sequence[int]) -> Tensor:
    """Token indices as a long tensor (N,)."""
    return torch.tensor(indices, dtype=torch.long)


def check_text(blocks: Iterable[str]) -> Iterator[str]:
    """The blocks of a text, each a string that UTF-8 can hold.

    Raises:
        InvalidType: no string.
        DataError: half a surrogate pair, as a badly encoded command line leaves.
    """
    before = 0
    for block in blocks:
        check_string(block)
        try:
            block.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"character {before + error.start} of the text, "
                f"{block[error.start]!r}, is half a surrogate pair and no character; "
                "give text that was read as UTF-8"
            ) from error
        before += len(block)
        yield block


def check_string(text: object) -> str:
    """A string.

    Raises:
        InvalidType: anything else.
    """
    if not isinstance(text, str):
        raise InvalidType(f"text should be of type str, got: {type(text).__name__}")
    return text


def as_blocks(text: str | Iterable[str]) -> Iterable[str]:
    """The blocks of a text that may be a whole one.

    Raises:
        InvalidType: neither.
    """
    # Bytes are iterable too, but never meant.
    if isinstance(text, (str, bytes)) or not isinstance(text, Iterable):
        return _slices(check_string(text))
    return text


def _slices(text: str) -> Iterator[str]:
    """A text in blocks, so that a large one needs little memory beside its tokens."""
    return (text[i : i + BLOCK] for i in range(0, len(text), BLOCK))


def read_tokenizer(values: dict[str, Any]) -> Any:
    """The ``tokenizers.Tokenizer`` of its json values.

    Raises:
        ValueError: damaged.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(json.dumps(values))
    except Exception as error:  # tokenizers raises nothing more precise
        raise ValueError(f"tokenizer: {error}") from error


def tokens_in_order(tokenizer: Any) -> list[str]:
    """The tokens of a ``tokenizers.Tokenizer`` in the order of their indices.

    Raises:
        ValueError: an index is missing or there twice.
    """
    table: dict[str, int] = tokenizer.get_vocab()
    tokens = sorted(table, key=lambda token: table[token])
    if [table[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError(f"token indices should be 0 to {len(tokens) - 1}")
    return tokens


def build_vocabulary(
    text: str | Iterable[str],
    unit: str = "char",
    *,
    size: int | None = None,
    min_frequency: int = 1,
) -> Vocabulary:
    """The vocabulary of a text.

    Args:
        text: the training text, or the blocks that it comes in, as from
            ``read_blocks``; they can be cut anywhere.
        unit: ``char``; ``word`` (split at white space, ``<eos>`` ends every line); or
            ``bpe`` (byte-level subwords, any text can be encoded).
        size: at most so many entries, the most frequent; default: no limit, 2000 for
            ``bpe``.
        min_frequency: entries that occur less often are unknown; default: none are.
            For ``bpe``, pairs that occur less often are not merged.

    Raises:
        DataError: the text is empty, or holds half a surrogate pair.
        InvalidType: ``text`` is neither, ``size`` or ``min_frequency`` no int.
        InvalidValue: unknown unit, a number that is not positive or too small, or a
            ``min_frequency`` that nothing reaches.

    >>> vocabulary = build_vocabulary("hello")
    >>> vocabulary.tokens, vocabulary.decode(vocabulary.encode("hole"))
    (['<unk>', 'e', 'h', 'l', 'o'], 'hole')
    """
    kind = _kind(unit)
    blocks = check_text(as_blocks(text))
    first = next((block for block in blocks if block), None)
    if first is None:
        raise DataError("the text is empty, so its vocabulary would be; give some text")
    blocks = chain([first], blocks)
    return kind.build(blocks, size=size, min_frequency=min_frequency)


def check_kept(kept: Sequence[str], counts: Counter[str], min_frequency: int) -> None:
    """Raise if a minimum frequency has left nothing of what was counted.

    Raises:
        InvalidValue: it has.
    """
    if counts and not kept:
        raise InvalidValue(
            f"min_frequency = {min_frequency} leaves no entry, the most frequent one "
            f"occurs {max(counts.values())} time(s); choose a smaller one"
        )


def load_vocabulary(path: str | Path) -> Vocabulary:
    """Read a vocabulary file.

    Raises:
        RunError: missing or damaged.
    """
    try:
        return Vocabulary.from_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        # What from_json says around the cause would say "damaged" twice.
        cause = error.__cause__ or error
        raise RunError(
            f"{path} is no vocabulary file, or damaged ({cause}); restore it from "
            "a copy"
        ) from error


def _kind(unit: str) -> type[Vocabulary]:
    # Imported here because these modules import this one.
    from throughtime.data.characters import Characters
    from throughtime.data.subwords import Subwords
    from throughtime.data.words import Words

    if unit not in UNITS:
        raise unknown_name("unit", unit, UNITS)
    return {"char": Characters, "word": Words, "bpe": Subwords}[unit]
