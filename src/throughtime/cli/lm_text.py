"""The text a command measures on."""

from collections.abc import Sequence
from pathlib import Path

from throughtime.cli.lm_data import TextSource, load_corpus, read
from throughtime.cli.reading import Seen, silent
from throughtime.data import Text
from throughtime.errors import InvalidValue


def text_or_held_out(
    files: Sequence[Path], source: TextSource | None, seen: Seen = silent
) -> tuple[Text, str]:
    """The text of these files, or else the held-out part of a run's; and its name.

    Raises:
        DataError: a file cannot be used.
        InvalidValue: no file, and a model that has no text of its own.
        RunError: the text of the run has changed.
    """
    if files:
        return read(files, seen), ", ".join(file.name for file in files)
    if source is None:
        raise InvalidValue("an ARPA file comes without a text; give one to measure on")
    return load_corpus(source, seen).held_out, "held-out part"
