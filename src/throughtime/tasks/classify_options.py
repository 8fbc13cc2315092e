"""Options of ``train classify``."""

from dataclasses import dataclass

from throughtime.tasks.inputs.audio_options import AudioOptions
from throughtime.tasks.inputs.image_options import ImageOptions
from throughtime.tasks.inputs.text_options import TextOptions
from throughtime.tasks.option import option
from throughtime.tasks.reading_options import ReadingOptions

TARGETS = ("class", "number")


@dataclass(frozen=True)
class ClassifyOptions(ReadingOptions, TextOptions, AudioOptions, ImageOptions):
    """A label, or a number, for each text, series, recording or picture.

    FILE: tables (csv, tsv, jsonl, parquet), folders with a sub-folder for each label,
    text files whose names or lines say the label, .ts, .npz and idx files.

    Example: throughtime train classify reviews.csv --text review --label stars
    """

    target: str = option("class", "What is asked for: class, or number.")
    baselines_only: bool = option(
        False, "Train no network; print what simple methods make of the examples."
    )
    folds: str | None = option(
        None,
        "Cross-validate: so many parts, each held out once; or group, each group once.",
        metavar="INT|group",
    )

    def __post_init__(self) -> None:
        from throughtime.checks import boolean
        from throughtime.errors import InvalidValue, unknown_name

        ReadingOptions.__post_init__(self)
        TextOptions.__post_init__(self)
        AudioOptions.__post_init__(self)
        ImageOptions.__post_init__(self)
        boolean("baselines_only", self.baselines_only)
        if self.target not in TARGETS:
            raise unknown_name("target", self.target, TARGETS)
        folds = str(self.folds)
        number = folds.isdigit() and int(folds) >= 2
        if self.folds is not None and folds != "group" and not number:
            raise InvalidValue(
                f"folds must be a number of at least 2, or group, got {folds}"
            )
