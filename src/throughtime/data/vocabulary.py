"""Vocabularies: text to token indices and back, for characters, words and subwords."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
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

    def token(self, index: int) -> str:
        """The token of one index.

        Raises:
            InvalidValue: an index outside [0, V).
        """
        return self.tokens[as_list([index], len(self))[0]]

    @abstractmethod
    def encode(self, text: str) -> Tensor:
        """Token indices of a text, long (N,)."""

    @abstractmethod
    def decode(self, indices: Tensor | Sequence[int]) -> str:
        """The text of token indices (N,).

        Raises:
            InvalidShape: a tensor of another shape.
            InvalidValue: an index outside [0, V).
        """

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
    def build(cls, text: str, *, size: int | None, min_frequency: int) -> Self:
        """The vocabulary of a text, see ``build_vocabulary``."""

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
            raise InvalidShape(
                f"indices must have shape (N,), got {tuple(indices.shape)}; take one "
                "sequence of the batch"
            )
        indices = indices.tolist()
    if len(indices) and not 0 <= min(indices) <= max(indices) < size:
        raise InvalidValue(
            f"indices must lie in [0, {size}), the entries of this vocabulary, got "
            f"values from {min(indices)} to {max(indices)}"
        )
    return list(indices)


def as_tensor(indices: Sequence[int]) -> Tensor:
    """Token indices as a long tensor (N,)."""
    return torch.tensor(indices, dtype=torch.long)


def check_text(text: str) -> str:
    """A string that UTF-8 can hold.

    Raises:
        InvalidType: no string.
        DataError: half a surrogate pair, as a badly encoded command line leaves.
    """
    if not isinstance(text, str):
        raise InvalidType(f"text should be of type str, got: {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"character {error.start} of the text, {text[error.start]!r}, is half a "
            "surrogate pair and no character; give text that was read as UTF-8"
        ) from error
    return text


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
    text: str, unit: str = "char", *, size: int | None = None, min_frequency: int = 1
) -> Vocabulary:
    """The vocabulary of a text.

    Args:
        text: the training text.
        unit: ``char``; ``word`` (split at white space, ``<eos>`` ends every line); or
            ``bpe`` (byte-level subwords, any text can be encoded).
        size: at most so many entries, the most frequent; default: no limit, 2000 for
            ``bpe``.
        min_frequency: entries that occur less often are unknown; default: none are.
            For ``bpe``, pairs that occur less often are not merged.

    Raises:
        DataError: the text holds half a surrogate pair.
        InvalidType: ``text`` is no str, ``size`` or ``min_frequency`` no int.
        InvalidValue: unknown unit, or a number that is not positive or too small.

    >>> vocabulary = build_vocabulary("hello")
    >>> vocabulary.tokens, vocabulary.decode(vocabulary.encode("hole"))
    (['<unk>', 'e', 'h', 'l', 'o'], 'hole')
    """
    kind = _kind(unit)
    return kind.build(check_text(text), size=size, min_frequency=min_frequency)


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
