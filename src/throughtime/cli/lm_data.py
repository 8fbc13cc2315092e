"""The text of a language-model run: where it comes from, its two parts, its tokens."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from throughtime.data import Vocabulary, default_corpus, read_text, split
from throughtime.errors import DataError, InvalidValue, RunError


@dataclass(frozen=True)
class TextSource:
    """Where the text of a run comes from; stored in its config.json.

    Attributes:
        files: absolute paths; none means the built-in corpus.
        valid: absolute path of the held-out text, or the share at the end of the text.
        unit: ``char``, ``word`` or ``bpe``.
        sha256: fingerprint of both parts, empty until they are read.
    """

    files: tuple[str, ...]
    valid: str | float
    unit: str
    sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TextSource":
        """The source stored in a config.json."""
        return cls(**{**values, "files": tuple(values["files"])})

    @property
    def title(self) -> str:
        """What the text is called in output and report."""
        if not self.files:
            return "Python language reference (built in)"
        return ", ".join(Path(file).name for file in self.files)


@dataclass(frozen=True)
class Texts:
    """The two parts of a text, and the source with its fingerprint filled in."""

    train: str
    held_out: str
    source: TextSource


def text_source(files: list[Path], valid: str, unit: str) -> TextSource:
    """The source meant by the command line.

    Raises:
        InvalidValue: ``valid`` is a number outside (0, 1).
    """
    try:
        share = float(valid)
    except ValueError:
        held_out: str | float = str(Path(valid).resolve())
    else:
        if not 0 < share < 1:
            raise InvalidValue(
                f"--valid {valid}: expected the path of a held-out text, or the share "
                "of the text to hold out, between 0 and 1, as in 0.1"
            )
        held_out = share
    return TextSource(tuple(str(f.resolve()) for f in files), held_out, unit)


def load_texts(source: TextSource) -> Texts:
    """Read both parts of the text.

    Raises:
        DataError: a file cannot be used.
        RunError: the text is not the one whose fingerprint the source carries.
    """
    text = read_text(list(source.files)) if source.files else default_corpus()
    if isinstance(source.valid, str):
        train, held_out = text, read_text([source.valid])
    else:
        train, held_out = split(text, source.valid, unit=source.unit)
    digest = hashlib.sha256(f"{len(train)}\n{train}{held_out}".encode()).hexdigest()
    if source.sha256 and source.sha256 != digest:
        raise RunError(
            f"the text of this run ({source.title}) has changed since its training "
            "began; restore the original file, or start a new run"
        )
    return Texts(train, held_out, TextSource(**{**asdict(source), "sha256": digest}))


def encode(vocabulary: Vocabulary, text: str, what: str) -> Tensor:
    """The tokens (N,) of a text.

    Raises:
        DataError: fewer than two tokens, so that nothing can be predicted.
    """
    tokens = vocabulary.encode(text)
    if len(tokens) < 2:
        raise DataError(
            f"the {what} text has {len(tokens)} token(s), at least 2 are needed to "
            "predict one from another; give a longer text"
        )
    return tokens
