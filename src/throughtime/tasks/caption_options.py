"""What a user says about pictures, or vectors, and their texts."""

from dataclasses import dataclass

from throughtime.tasks.option import option

UNITS = ("word", "char", "bpe")


@dataclass(frozen=True)
class CaptionOptions:
    """Write texts about pictures, or about vectors of numbers.

    The files are tables (csv, tsv, jsonl, parquet) with a column of pictures and one of
    texts; a picture may have several rows. With --columns the table has numbers instead
    of pictures, or an .npz file has them under inputs, and texts under texts.

    Raises:
        InvalidType: an option has the wrong type.
        InvalidValue: an option is out of range.

    Example: throughtime train caption captions.csv --images pictures.zip
    """

    path: str | None = option(
        None, "Column of pictures; default: path, image, picture or file."
    )
    text: str | None = option(None, "Column of texts; default: caption or text.")
    images: str | None = option(
        None, "Folder or zip file of the pictures; default: the folder of the table."
    )
    columns: str | None = option(
        None, "Columns of numbers to write about, as x_* or height,weight."
    )
    unit: str = option("word", "Texts are written by the word, char or bpe.")
    vocabulary_size: int | None = option(None, "At most so many of them.")
    min_frequency: int = option(2, "Those that occur less often are unknown.")
    lowercase: bool = option(True, "Write in lower case.")
    size: int = option(64, "Pictures are cut and made so high and wide, in pixels.")
    grey: bool = option(False, "Look at pictures without colours.")
    flip: bool = option(True, "Mirror half of the pictures in training.")
    network: str = option(
        "own", "What looks at pictures: own (trained along), or resnet18 and others."
    )
    length: int = option(30, "Most words (characters, subwords) of a text.")
    beam_size: int = option(5, "Texts that a search for the likeliest keeps.")
    length_penalty: float = option(
        0.7, "Power of its length by which log P of a text is divided in the search."
    )
    encoding: str = option("utf-8", "Of the tables.")
    delimiter: str | None = option(None, "Of the tables: one character, or tab.")
    header: bool = option(True, "The tables begin with the names of the columns.")

    def __post_init__(self) -> None:
        from throughtime.checks import boolean, number, positive_int
        from throughtime.errors import InvalidValue, unknown_name

        if self.unit not in UNITS:
            raise unknown_name("unit", self.unit, UNITS)
        for name in ("min_frequency", "size", "length", "beam_size"):
            positive_int(name, getattr(self, name))
        if self.vocabulary_size is not None:
            positive_int("vocabulary_size", self.vocabulary_size)
        number("length_penalty", self.length_penalty, minimum=0)
        for name in ("lowercase", "grey", "flip", "header"):
            boolean(name, getattr(self, name))
        if self.columns is not None and (self.images or self.path):
            raise InvalidValue(
                "columns says that there are numbers, path and images that there are "
                "pictures; leave one of them out"
            )
