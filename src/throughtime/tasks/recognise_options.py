"""What a user says about sounds or pictures and what they say."""

from dataclasses import dataclass

from throughtime.tasks.option import option


@dataclass(frozen=True)
class RecogniseOptions:
    """Read sounds or pictures: what they say, learnt without knowing where.

    The files are tables (csv, tsv, jsonl, parquet) with a column of paths, which start
    from the folder of the table, and one of texts.

    Raises:
        InvalidType: an option has the wrong type.
        InvalidValue: an option is out of range.

    Example: throughtime train recognise recordings.csv --path file --text said
    """

    path: str | None = option(
        None, "Column of paths; default: path, sound, audio, image, picture or file."
    )
    text: str = option("text", "Column of what they say.")
    group: str | None = option(
        None, "Column, as of speakers; examples of one group are held out together."
    )
    unit: str = option("char", "Symbols that are recognised: char or word.")
    lowercase: bool = option(False, "Read texts in lower case.")
    min_frequency: int = option(
        1, "Symbols that occur less often in training are unknown."
    )
    subsample: int = option(
        1, "Steps that the network reads together: 2 halves their number."
    )
    beam_size: int = option(
        1, "Prefixes that a search for the likeliest text keeps; 1: the likeliest path."
    )
    features: str = option("mfcc", "Of sounds: mfcc, log-mel or wave.")
    sample_rate: int | None = option(
        None, "Of sounds, per second; default: as they are, all alike."
    )
    height: int | None = option(
        None, "Pictures are made so high, in pixels; default: as they are, all alike."
    )
    encoding: str = option("utf-8", "Of the tables.")
    delimiter: str | None = option(None, "Of the tables: one character, or tab.")
    header: bool = option(True, "The tables begin with the names of the columns.")

    def __post_init__(self) -> None:
        from throughtime.checks import boolean, positive_int
        from throughtime.errors import unknown_name

        if self.unit not in ("char", "word"):
            raise unknown_name("unit", self.unit, ("char", "word"))
        for name in ("min_frequency", "subsample", "beam_size"):
            positive_int(name, getattr(self, name))
        for name in ("sample_rate", "height"):
            if getattr(self, name) is not None:
                positive_int(name, getattr(self, name))
        boolean("lowercase", self.lowercase)
        boolean("header", self.header)
