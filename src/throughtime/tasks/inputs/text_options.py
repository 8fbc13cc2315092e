"""How texts become tokens: what the user chooses."""

from dataclasses import dataclass

from throughtime.tasks.option import option


@dataclass(frozen=True)
class TextOptions:
    """Options of text inputs, for the options of a task to be derived from.

    Raises:
        InvalidType: an option has the wrong type.
        InvalidValue: it has a value that cannot be used.
    """

    unit: str = option("word", "Tokens of text: char, word or bpe.")
    marks: bool = option(
        True,
        "Punctuation marks are words of their own; without, only white space separates "
        "words.",
    )
    lowercase: bool = option(False, "Read upper case as lower case.")
    vocabulary_size: int | None = option(
        None, "At most so many tokens, the most frequent; unset: all, of bpe 2000."
    )
    min_frequency: int = option(1, "Tokens that training shows less often are unknown.")
    word_dropout: float = option(
        0.0, "Share of the tokens that training replaces by the unknown one."
    )

    def __post_init__(self) -> None:
        from throughtime.checks import boolean, positive_int, probability
        from throughtime.data.vocabulary import UNITS
        from throughtime.errors import InvalidValue, unknown_name

        if self.unit not in UNITS:
            raise unknown_name("unit", self.unit, UNITS)
        boolean("marks", self.marks)
        boolean("lowercase", self.lowercase)
        if self.vocabulary_size is not None:
            positive_int("vocabulary_size", self.vocabulary_size)
        positive_int("min_frequency", self.min_frequency)
        if probability("word_dropout", self.word_dropout) and self.unit == "bpe":
            raise InvalidValue(
                "word_dropout needs an unknown token, which unit 'bpe' has not; choose "
                "another unit, or leave it out"
            )
