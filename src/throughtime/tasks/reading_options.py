"""How labelled examples are read: what the user chooses."""

from dataclasses import dataclass

from throughtime.tasks.option import option

INPUTS = ("text", "series", "audio", "image", "vector")
LABELS_FROM = ("column", "file", "folder", "pattern")
MISSING = ("error", "skip")


@dataclass(frozen=True)
class ReadingOptions:
    """Options of reading, for the options of a task to be derived from.

    Raises:
        InvalidType: an option has the wrong type.
        InvalidValue: it has a value that cannot be used.
    """

    inputs: str | None = option(
        None, "text, series, audio, image or vector; unset: as the files look."
    )
    text: str | None = option(
        None, "Column of the texts; unset: text, or without a header the first."
    )
    label: str | None = option(
        None, "Column of the labels; unset: label, or without a header the last."
    )
    path: str | None = option(
        None, "Column of the names of sound or picture files; unset: path."
    )
    group: str | None = option(
        None, "Column of who or what examples come from: one group is held out whole."
    )
    sequence: str | None = option(
        None,
        "Column of the series that a row is a step of; unset: each row is a series.",
    )
    label_from: str | None = option(
        None,
        "Where labels stand: column, file (its name), folder (the name of the "
        "sub-folder) or pattern; unset: as the files look.",
    )
    pattern: str | None = option(
        None,
        "Regular expression for lines, or the names of sounds and pictures, with "
        "(?P<label>...), for lines (?P<text>...), and maybe (?P<group>...).",
    )
    missing: str = option(
        "error",
        "What is done where a text, number or label is missing: error or skip.",
    )
    encoding: str = option("utf-8", "Encoding of text files.")
    delimiter: str | None = option(
        None, "Between columns: one character, or tab; unset: by the file's name."
    )
    header: bool = option(True, "The first row of a table holds names of columns.")

    def __post_init__(self) -> None:
        import re

        from throughtime.checks import boolean
        from throughtime.errors import InvalidValue, unknown_name

        for what, value, known in (
            ("inputs", self.inputs, (None, *INPUTS)),
            ("label_from", self.label_from, (None, *LABELS_FROM)),
            ("missing", self.missing, MISSING),
        ):
            if value not in known:
                raise unknown_name(what, value, filter(None, known))
        boolean("header", self.header)
        if self.pattern is None:
            if self.label_from == "pattern":
                raise InvalidValue("label_from 'pattern' needs a pattern; give one")
            return
        if self.label_from not in (None, "pattern"):
            raise InvalidValue(
                f"a pattern says where labels stand, and label_from "
                f"{self.label_from!r} says otherwise; leave one out"
            )
        try:
            names = re.compile(self.pattern).groupindex
        except re.error as error:
            raise InvalidValue(
                f"pattern is no regular expression ({error}): {self.pattern}"
            ) from error
        if "label" not in names:
            raise InvalidValue(
                r"pattern must hold (?P<label>...), as in "
                rf"'(?P<label>\w+): (?P<text>.*)', got {self.pattern!r}"
            )
