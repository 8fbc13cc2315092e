"""What ``train tag`` takes from its user."""

from dataclasses import dataclass

from throughtime.tasks.option import option

MISSING = ("error", "skip")


@dataclass(frozen=True)
class TagOptions:
    """Labels for every step: words of sentences, rows of numbers, frames of videos.

    Words come from column files (CoNLL, CoNLL-U) or tables with one token a row,
    numbers from tables (with --values), frames from tables of picture files (with
    --frame). Columns are chosen by their name, or by their number from 1 where a file
    does not name them.

    Example: throughtime train tag train.conllu --valid dev.conllu --label UPOS
    """

    text: str | None = option(
        None, "Column of words; default: FORM, the first one, or token or word."
    )
    label: str | None = option(
        None, "Column of labels; default: UPOS, the last one, or of tables label."
    )
    group: str | None = option(
        None,
        "Of tables: column that says which rows make one sequence; default: sentence, "
        "sequence or video.",
    )
    values: str | None = option(
        None, "Columns of numbers, in place of words, as 7-134 or speed,height."
    )
    frame: str | None = option(
        None, "Column of picture files, in place of words; paths from the table on."
    )
    picture_size: int = option(32, "Height and width that pictures are brought to.")
    colour: bool = option(False, "Read pictures in colour, not in grey.")
    header: bool = option(True, "The first row of a table names its columns.")
    encoding: str = option("utf-8", "Encoding of the files.")
    delimiter: str | None = option(
        None, "Between the columns of a table; default: a comma, in .tsv files a tab."
    )
    lowercase: bool = option(
        True, "Look words up in lower case; their characters are read as they are."
    )
    vocabulary_size: int | None = option(
        None, "At most so many words, the most frequent ones; default: all."
    )
    min_frequency: int = option(1, "Words that occur less often are unknown.")
    missing: str = option(
        "error", "Steps with an empty field: error, or skip, which keeps them empty."
    )

    def __post_init__(self) -> None:
        from throughtime.checks import positive_int
        from throughtime.errors import InvalidValue, unknown_name

        if self.values is not None and self.frame is not None:
            raise InvalidValue(
                "values and frame exclude each other; a step is a row of numbers or a "
                "picture"
            )
        positive_int("picture_size", self.picture_size)
        positive_int("min_frequency", self.min_frequency)
        if self.vocabulary_size is not None:
            positive_int("vocabulary_size", self.vocabulary_size)
        if self.missing not in MISSING:
            raise unknown_name("value of missing", self.missing, MISSING)

    @property
    def kind(self) -> str:
        """What a step is: ``words``, ``numbers`` or ``pictures``."""
        if self.frame is not None:
            return "pictures"
        return "words" if self.values is None else "numbers"
