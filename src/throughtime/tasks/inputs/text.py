"""Texts as inputs: characters, words or subwords."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn

from throughtime.data.vocabulary import Vocabulary, build_vocabulary
from throughtime.errors import DataError
from throughtime.models.front_ends import TokenFrontEnd
from throughtime.models.network import NetworkConfig
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.inputs.text_options import TextOptions
from throughtime.tasks.task import RawExample

# torch's 1 leaves rare words, which move little, with much to say: on the sentences of
# SST-2 the held-out loss of an LSTM falls from 0.464 to 0.438 by this alone.
EMBEDDING_STD = 0.1
PLURALS = {"char": "characters", "word": "words", "bpe": "subwords"}
# A number, a word with apostrophes inside it or before it, or a run of the same mark:
# what is told apart already, as "wo n't" and "polanski 's", stays as it is.
PIECES = re.compile(r"\d+(?:[.,]\d+)+|['’]?\w+(?:['’]\w+)*|([^\w\s])\1*")


def words(text: str, *, marks: bool = True) -> list[str]:
    """The words of a text.

    Args:
        text: any text.
        marks: punctuation marks are words of their own; without, words are what
            stands between white space, as in files that are tokenised.

    >>> words("It's 1,000 times (well...) wo n't")
    ["It's", '1,000', 'times', '(', 'well', '...', ')', 'wo', "n't"]
    >>> words("so, so", marks=False)
    ['so,', 'so']
    """
    if not marks:
        return text.split()
    return [found[0] for found in PIECES.finditer(text)]


class TextInputs(Inputs):
    """Tokens of a vocabulary that the training texts have given.

    Args:
        vocabulary: of the unit that ``options`` name.
        options: how texts are read.
    """

    kind = "text"

    def __init__(self, vocabulary: Vocabulary, options: TextOptions) -> None:
        self.vocabulary = vocabulary
        self.options = options

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: TextOptions) -> Self:
        texts = [_plain(example, options) for example in raw]
        if not any(texts):
            where = f"{raw[0].where}: " if raw else ""
            raise DataError(
                f"{where}no training text holds anything to read; check which column "
                "holds the texts"
            )
        # One text a line, so that no token goes from one into the next.
        separator = "" if options.unit == "char" else "\n"
        vocabulary = build_vocabulary(
            separator.join(texts),
            options.unit,
            size=options.vocabulary_size,
            min_frequency=options.min_frequency,
        )
        return cls(vocabulary, options)

    def to_dict(self) -> dict[str, Any]:
        return {"vocabulary": json.loads(self.vocabulary.to_json())}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], options: TextOptions) -> Self:
        return cls(Vocabulary.from_json(json.dumps(values["vocabulary"])), options)

    def encode(self, example: RawExample) -> dict[str, Tensor]:
        try:
            tokens = self.vocabulary.encode(_plain(example, self.options))
        except DataError as error:  # half a surrogate pair
            raise DataError(f"{example.where}: {error}") from error
        if self.options.unit == "word":  # a line's end says nothing of one text
            tokens = tokens[tokens != self.vocabulary.boundary_index]
        return {"inputs": tokens}

    def front_end(self, config: NetworkConfig) -> TokenFrontEnd:
        """Embeddings; ``config.dropout`` falls on them within the network."""
        front_end = TokenFrontEnd(
            len(self.vocabulary),
            config.embedded,
            word_dropout=self.options.word_dropout,
            unknown=self.vocabulary.unknown_index,
        )
        nn.init.normal_(front_end.embedding.weight, std=EMBEDDING_STD)
        return front_end

    def tokens(self, example: RawExample) -> list[str]:
        """What each step reads, as text, for reports."""
        indices = self.encode(example)["inputs"].tolist()
        if self.options.unit == "bpe":  # whose entries are bytes
            return [self.vocabulary.decode([i]) for i in indices]
        return [self.vocabulary.tokens[i] for i in indices]

    def describe(self) -> str:
        return f"{len(self.vocabulary):,} {PLURALS[self.options.unit]}"


def _plain(example: RawExample, options: TextOptions) -> str:
    """The text with a space between its words, if it is to be read by words."""
    text = example.input
    if not isinstance(text, str):
        raise DataError(
            f"{example.where}: the input should be a text, got {type(text).__name__}"
        )
    text = text.lower() if options.lowercase else text
    return (
        " ".join(words(text, marks=options.marks)) if options.unit == "word" else text
    )
