"""Which word comes next, or completes the one begun, and how likely each is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidValue
from throughtime.models.protocol import LanguageModelProtocol
from throughtime.models.spelling import checked, spell_words


class TextCode(Protocol):
    """What is asked of a vocabulary: text to tokens and back.

    ``unit`` is "word" where every token is a word; else words are spelled by several.
    """

    @property
    def unit(self) -> str: ...

    @property
    def tokens(self) -> Sequence[str]: ...

    @property
    def unknown_index(self) -> int | None: ...

    @property
    def boundary_index(self) -> int | None: ...

    def encode(self, text: str, /) -> Tensor: ...

    def decode(self, indices: Sequence[int], /) -> str: ...


@dataclass(frozen=True)
class Suggestion:
    """One word.

    Attributes:
        text: the whole word, the letters given included.
        probability: P(this word | the text before the word).
        share: P(this word | the text before it and the letters given).
    """

    text: str
    probability: float
    share: float


def split_prefix(text: str) -> tuple[str, str]:
    """A text up to its last white space, and the letters of a word behind it.

    >>> split_prefix("students opened their w"), split_prefix("their ")
    (('students opened their ', 'w'), ('their ', ''))
    """
    prefix = text.split()[-1] if text and not text[-1].isspace() else ""
    return text[: len(text) - len(prefix)], prefix


def complete(
    model: LanguageModelProtocol,
    vocabulary: TextCode,
    text: str,
    *,
    count: int = 10,
    beam_size: int = 64,
    longest: int = 40,
) -> list[Suggestion]:
    """The likeliest words behind a text, or that complete its last word; best first.

    A word that is followed by white space is complete: after "their " any word can
    come, after "their" only those that begin with these five letters, "their" itself
    among them. The text is read after one boundary token, as a line, if the vocabulary
    has one.

    Where tokens are words, this is the model's distribution itself, the end of a line
    and the unknown word included. Where they are characters or subwords, words are
    spelled by beam search until white space, and P(word) is the sum over the spellings
    found of P(spelling) P(white space or boundary next). What the shares lack to 1 is
    left for words not listed.

    Args:
        model: any language model; put a network into eval mode first.
        vocabulary: the one that the model was trained with.
        text: what is written so far; pieces that are not in the vocabulary are read as
            it reads unknown ones.
        count: most words to return; fewer if no more have a probability.
        beam_size: spellings kept at each step, for characters and subwords.
        longest: tokens of the longest word, for characters and subwords.

    Raises:
        InvalidType: a number is no int.
        InvalidValue: a number is not positive; the text is empty and the vocabulary has
            no boundary token; the model gives NaN, or its vocabulary is another.

    >>> from throughtime.data.vocabulary import build_vocabulary
    >>> from throughtime.models.ngram.model import NGramLM
    >>> text = "students opened their books and their windows"
    >>> vocabulary = build_vocabulary(text, "word")
    >>> model = NGramLM(2, vocabulary_size=len(vocabulary))
    >>> model = model.fit(vocabulary.encode(text))
    >>> [s.text for s in complete(model, vocabulary, "students opened their ", count=2)]
    ['books', 'windows']
    """
    positive_int("count", count)
    positive_int("beam_size", beam_size)
    positive_int("longest", longest)
    if len(vocabulary.tokens) != model.vocabulary_size:
        raise InvalidValue(
            f"vocabulary has {len(vocabulary.tokens)} tokens and the model "
            f"{model.vocabulary_size}; give the vocabulary that it was trained with"
        )
    head, prefix = split_prefix(text)
    with torch.no_grad():
        if vocabulary.unit == "word":
            found = _next_words(model, vocabulary, head, prefix)
        else:
            limits = {"count": count, "beam_size": beam_size, "longest": longest}
            found = _next_spelled(model, vocabulary, head, prefix, limits)
    return sorted(found, key=lambda s: (-s.probability, s.text))[:count]


def _next_words(
    model: LanguageModelProtocol, vocabulary: TextCode, head: str, prefix: str
) -> list[Suggestion]:
    tokens = vocabulary.encode(head)
    if head.rpartition("\n")[2].strip():
        # Encoding ends the last line, which goes on here.
        tokens = tokens[:-1]
    log_probs, _ = model.next_log_probs(
        _after_boundary(vocabulary, tokens), model.initial_state(1)
    )
    probabilities = checked(log_probs[-1, 0]).exp().tolist()
    fitting = [
        (word, p)
        for word, p in zip(vocabulary.tokens, probabilities, strict=True)
        if p > 0 and word.startswith(prefix)
    ]
    # With no letters given the share is the probability, not a rounded quotient.
    mass = sum(p for _, p in fitting) if prefix else 1.0
    return [Suggestion(word, p, p / mass) for word, p in fitting]


def _next_spelled(
    model: LanguageModelProtocol,
    vocabulary: TextCode,
    head: str,
    prefix: str,
    limits: dict[str, int],
) -> list[Suggestion]:
    texts = [vocabulary.decode([i]) for i in range(len(vocabulary.tokens))]
    if vocabulary.unknown_index is not None:
        texts[vocabulary.unknown_index] = ""
    if vocabulary.boundary_index is not None:
        texts[vocabulary.boundary_index] = "\n"
    # Where tokens hold a space and the letters behind it, it belongs to the word.
    joined = any(len(text) > 1 and text[0] == " " for text in texts)
    lead = " " if joined and head.endswith(" ") else ""
    head = head.removesuffix(lead)
    found = spell_words(
        model,
        _after_boundary(vocabulary, vocabulary.encode(head)),
        texts,
        vocabulary.decode,
        lead=lead,
        letters=prefix,
        **limits,
    )
    return [
        Suggestion(word, p / found.lead, p / found.given)
        for word, p in found.words.items()
        # A character of which some bytes are missing is no text.
        if p > 0 and "\ufffd" not in word
    ]


def _after_boundary(vocabulary: TextCode, tokens: Tensor) -> Tensor:
    """The prompt (n, 1)."""
    if vocabulary.boundary_index is not None:
        tokens = torch.cat([torch.tensor([vocabulary.boundary_index]), tokens])
    if not len(tokens):
        raise InvalidValue(
            "text is empty, and the vocabulary has no token to begin with; give some "
            "text"
        )
    return tokens[:, None]
