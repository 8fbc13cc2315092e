"""What a user chooses of translation."""

from dataclasses import dataclass

from throughtime.tasks.option import option


@dataclass(frozen=True)
class TranslateOptions:
    """One text from another: translation, summaries, transliteration.

    FILE: two text files, line i of one belonging to line i of the other (train.en
    train.de); or one file with a tab between source and target; or tables (csv, tsv,
    jsonl, parquet).

    Example: throughtime train translate train.en train.de --valid 0.05
    """

    source: str | None = option(
        None,
        "Column of the sources in a table, by name or number from 1; default: "
        "'source', else the first. A first row is read as names if a column is chosen "
        "by name, or if it holds 'source' and 'target'.",
    )
    target: str | None = option(
        None, "Column of the targets; default: 'target', else the second."
    )
    encoding: str = option("utf-8", "Encoding of text files.")
    delimiter: str | None = option(None, "Between columns: one character, or 'tab'.")
    missing: str = option(
        "error", "What becomes of pairs with an empty side: error or skip."
    )
    unit: str = option("word", "Tokens of sources: char, word or bpe.")
    target_unit: str | None = option(None, "Tokens of targets; default: as sources.")
    vocabulary_size: int | None = option(
        None, "At most so many different tokens; default: all, 2000 for bpe."
    )
    target_vocabulary_size: int | None = option(
        None, "The same for targets; default: as sources."
    )
    min_frequency: int | None = option(
        None,
        "Tokens that occur less often are unknown; default: 2 for words, else 1.",
    )
    joint_vocabulary: bool = option(False, "One vocabulary for sources and targets.")
    lowercase: bool = option(False, "Make all letters small, also in the figures.")
    max_source: int | None = option(
        None, "Sources are cut to so many tokens; default: whole."
    )
    max_target: int | None = option(
        None, "Targets to learn from are cut to so many tokens; default: whole."
    )
    beam_size: int = option(5, "Hypotheses that are kept side by side; 1 is greedy.")
    length_penalty: float = option(
        1.0, "log P of n tokens is divided by n to this power; 0: not at all."
    )
    tokenise: str | None = option(
        None,
        "How BLEU cuts texts into words: none (they are cut at spaces alone), 13a, "
        "intl, char, ...; default: none for words, else 13a.",
    )
    copy_unknown: bool = option(
        False,
        "Where an unknown word would be the best, say the source word that attention "
        "looks at; default: unknown words are never said.",
    )
    show_attention: bool = option(
        False, "Answers hold the weights of attention as well."
    )

    def __post_init__(self) -> None:
        from throughtime.checks import boolean, number, positive_int
        from throughtime.data.parallel import MISSING
        from throughtime.data.vocabulary import UNITS
        from throughtime.errors import InvalidValue, unknown_name

        for name in ("unit", "target_unit"):
            unit = getattr(self, name)
            if unit not in UNITS and not (unit is None and name == "target_unit"):
                raise unknown_name(name, unit, UNITS)
        if self.missing not in MISSING:
            raise unknown_name("way with missing texts", self.missing, MISSING)
        sizes = ("vocabulary_size", "target_vocabulary_size", "min_frequency")
        for name in (*sizes, "max_source", "max_target"):
            if getattr(self, name) is not None:
                positive_int(name, getattr(self, name))
        positive_int("beam_size", self.beam_size)
        number("length_penalty", self.length_penalty, minimum=0)
        for name in ("joint_vocabulary", "lowercase", "copy_unknown", "show_attention"):
            boolean(name, getattr(self, name))
        if self.tokenise is not None:
            from throughtime.tasks.text_scores import TOKENISERS

            if self.tokenise not in TOKENISERS:
                raise unknown_name("way to tokenise", self.tokenise, TOKENISERS)
        if self.joint_vocabulary and (
            self.target_unit not in (None, self.unit)
            or self.target_vocabulary_size is not None
        ):
            raise InvalidValue(
                "joint_vocabulary is one for sources and targets; leave out "
                "target_unit and target_vocabulary_size"
            )

    @property
    def unit_of_targets(self) -> str:
        """Tokens of targets."""
        return self.target_unit or self.unit

    @property
    def tokeniser(self) -> str:
        """How BLEU cuts texts into words."""
        usual = "none" if self.unit_of_targets == "word" else "13a"
        return self.tokenise or usual
