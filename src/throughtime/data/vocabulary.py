"""Vocabularies: text to token indices and back, for characters, words and subwords."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from throughtime.errors import RunError, unknown_name

FORMAT = 1
UNITS = ("char", "word", "bpe")


class Vocabulary(ABC):
    """A table of tokens.

    Attributes:
        unit: ``char``, ``word`` or ``bpe``.
        tokens: the tokens in the order of their indices.
        unknown_index: what unknown text is read as; None if nothing is unknown.
        boundary_index: the token before a text begins, the end of a line; None if the
            vocabulary has none.
    """

    unit: ClassVar[str]
    tokens: list[str]
    unknown_index: int | None
    boundary_index: int | None

    def __len__(self) -> int:
        return len(self.tokens)

    @abstractmethod
    def encode(self, text: str) -> Tensor:
        """Token indices of a text, long (N,)."""

    @abstractmethod
    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """The text of token indices (N,)."""

    @abstractmethod
    def missing(self, text: str) -> list[str]:
        """The different pieces of ``text`` that are not in the vocabulary."""

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """What distinguishes this vocabulary, as plain values."""

    def to_json(self) -> str:
        """The text of a vocabulary file."""
        values = {"format": FORMAT, "unit": self.unit, **self.content()}
        return json.dumps(values, ensure_ascii=False, sort_keys=True) + "\n"

    def fingerprint(self) -> str:
        """SHA-256 of ``to_json``."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write ``to_json`` to a file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.fingerprint())


def as_list(indices: Tensor | Sequence[int]) -> list[int]:
    """Token indices as a list of int."""
    return indices.tolist() if isinstance(indices, Tensor) else list(indices)


def as_tensor(indices: Sequence[int]) -> Tensor:
    """Token indices as a long tensor (N,)."""
    return torch.tensor(indices, dtype=torch.long)


def build_vocabulary(
    text: str, unit: str = "char", *, size: int | None = None, min_frequency: int = 1
) -> Vocabulary:
    """The vocabulary of a text.

    Args:
        text: the training text.
        unit: ``char``; ``word`` (split at white space, ``<eos>`` ends every line); or
            ``bpe`` (byte-level subwords, any text can be encoded).
        size: at most so many entries; default: no limit, 2000 for ``bpe``.
        min_frequency: entries that occur less often are unknown.

    Raises:
        InvalidType: ``size`` or ``min_frequency`` is no int.
        InvalidValue: unknown unit, or a number that is not positive or too small.

    >>> vocabulary = build_vocabulary("hello")
    >>> vocabulary.tokens, vocabulary.decode(vocabulary.encode("hole"))
    (['<unk>', 'e', 'h', 'l', 'o'], 'hole')
    """
    from throughtime.data.characters import Characters
    from throughtime.data.subwords import Subwords
    from throughtime.data.words import Words

    kinds = {"char": Characters, "word": Words, "bpe": Subwords}
    if unit not in kinds:
        raise unknown_name("unit", unit, UNITS)
    return kinds[unit].build(text, size=size, min_frequency=min_frequency)


def load_vocabulary(path: str | Path) -> Vocabulary:
    """Read a vocabulary file.

    Raises:
        RunError: missing or damaged.
    """
    from throughtime.data.characters import Characters
    from throughtime.data.subwords import Subwords
    from throughtime.data.words import Words

    kinds = {"char": Characters, "word": Words, "bpe": Subwords}
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise ValueError("another format")
        return kinds[values.pop("unit")].load(values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path} is no vocabulary file, or damaged ({error}); restore it from "
            "a copy"
        ) from error
