"""The text of a language-model run: where it comes from, its two parts, its tokens."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime.cli.reading import Seen, silent
from throughtime.data import Text, TokenFile, Vocabulary, default_corpus
from throughtime.data import build_vocabulary as build
from throughtime.errors import DataError, InvalidValue, RunError


@dataclass(frozen=True)
class TextSource:
    """Where the text of a run comes from; stored in its config.json.

    Attributes:
        files: absolute paths of files and folders; none means the built-in corpus.
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
class Corpus:
    """The two parts of a text, and the source with its fingerprint filled in.

    Both are gone through in blocks; only short ones are held in memory.
    """

    train: Text
    held_out: Text
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


def load_corpus(source: TextSource, seen: Seen = silent) -> Corpus:
    """Find both parts of the text.

    Args:
        source: where it comes from.
        seen: is told how far the reading is, see ``cli.reading``.

    Raises:
        DataError: a file cannot be used.
        RunError: the text is not the one whose fingerprint the source carries.
    """
    if source.files:
        text = read(list(source.files), seen)
    else:
        text = Text(text=default_corpus())
    if isinstance(source.valid, str):
        train, held_out = text, read([source.valid], seen)
    else:
        train, held_out = text.split(source.valid, unit=source.unit)
    digest = hashlib.sha256(f"{train.length}\n".encode())
    for part in (train, held_out):
        for block in watched(part, "checking the text", seen):
            digest.update(block.encode())
    if source.sha256 and source.sha256 != digest.hexdigest():
        raise RunError(
            f"the text of this run ({source.title}) has changed since its training "
            "began; restore the original file, or start a new run"
        )
    return Corpus(train, held_out, replace(source, sha256=digest.hexdigest()))


def read(files: Sequence[str | Path], seen: Seen = silent) -> Text:
    """The text of files and folders.

    Raises:
        DataError: a file cannot be used.
    """
    return Text(files, seen=lambda done: seen("reading the text", done, None))


def build_vocabulary(
    text: Text, unit: str, seen: Seen = silent, **options: Any
) -> Vocabulary:
    """``data.build_vocabulary`` of a text.

    Raises:
        ThroughtimeError: as there.
    """
    return build(watched(text, "building the vocabulary", seen), unit, **options)


def encode(
    vocabulary: Vocabulary,
    text: Text,
    what: str,
    seen: Seen = silent,
    *,
    folder: Path | None = None,
) -> Tensor:
    """The tokens (N,) of a text.

    Those of a large text are written to a file and read through the memory map, as
    int16 or int32; those of others are in memory, as long.

    Args:
        vocabulary: of the model.
        text: what to encode.
        what: which text it is, for messages and the name of the file.
        seen: is told how far the encoding is.
        folder: where the file is kept; a file of the same text and vocabulary that is
            there already is used. Default: a temporary one
            (``TMPDIR`` says where), gone with this process.

    Raises:
        DataError: fewer than two tokens, so that nothing can be predicted; or the file
            cannot be written.
    """
    blocks = watched(text, f"encoding the {what} text", seen)
    parts = vocabulary.encode_blocks(blocks)
    if text.is_large:
        tokens = _on_disk(vocabulary, text, what, parts, folder)
    else:
        tokens = torch.cat([torch.empty(0, dtype=torch.long), *parts])
    if len(tokens) < 2:
        raise DataError(
            f"the {what} text has {len(tokens)} token(s), at least 2 are needed to "
            "predict one from another; give a longer text"
        )
    return tokens


def _on_disk(
    vocabulary: Vocabulary,
    text: Text,
    what: str,
    parts: Iterable[Tensor],
    folder: Path | None,
) -> Tensor:
    size = len(vocabulary)
    if folder is None:
        temporary = Path(tempfile.mkdtemp(prefix="throughtime-"))
        try:
            return TokenFile.write(temporary / "tokens", parts, size).tensor()
        finally:
            # What is mapped stays until this process ends, also without its name.
            shutil.rmtree(temporary, ignore_errors=True)
    path = folder / f"{what}.safetensors"
    digest = hashlib.sha256()
    for block in text:
        digest.update(block.encode())
    notes = {"text": digest.hexdigest(), "vocabulary": vocabulary.fingerprint()}
    if path.exists() and (found := TokenFile.open(path)).notes == notes:
        return found.tensor()
    folder.mkdir(parents=True, exist_ok=True)
    return TokenFile.write(path, parts, size, notes=notes).tensor()


def watched(text: Text, what: str, seen: Seen) -> Iterator[str]:
    """The blocks of a text; ``seen`` is told how many characters have gone by."""
    done = 0
    for block in text:
        yield block
        done += len(block)
        seen(what, done, text.length)
