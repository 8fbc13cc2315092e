"""The examples of a run: which files they come from, and the parts they fall into."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from throughtime.errors import DataError, InvalidValue, RunError
from throughtime.tasks.task import RawExample, Task


@dataclass(frozen=True)
class DataSource:
    """Where the examples of a run come from.

    Attributes:
        files: to train on, absolute.
        valid: held out: files, or a share of ``files``.
        test: files for the final figures only.
        seed: of the share that is held out.
        sha256: of the content of all files; "" where it is not known yet.
    """

    files: tuple[str, ...]
    valid: float | tuple[str, ...] = 0.1
    test: tuple[str, ...] = ()
    seed: int = 0
    sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The source that ``to_dict`` wrote."""
        read: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**read)

    @property
    def title(self) -> str:
        """The names of the files to train on, as far as they fit in a line."""
        names = [Path(file).name for file in self.files]
        return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


@dataclass(frozen=True)
class Parts:
    """Examples to train on, to choose the best weights by, and to report on."""

    train: list[RawExample]
    held_out: list[RawExample]
    test: list[RawExample]


def data_source(
    files: Sequence[Path], valid: Sequence[str], test: Sequence[Path], seed: int
) -> DataSource:
    """What the command line says about data.

    Args:
        files: to train on.
        valid: one share, or files; none: a share of 0.1.
        test: files.
        seed: of the share.

    Raises:
        DataError: a file is missing.
        InvalidValue: no file to train on, or a share outside (0, 1).
    """
    if not files:
        raise InvalidValue("no data: give at least one file or folder")
    share: float | tuple[str, ...] = 0.1
    if len(valid) == 1 and not Path(valid[0]).exists():
        try:
            share = float(valid[0])
        except ValueError:
            raise DataError(
                f"--valid {valid[0]} is neither a file nor a share, as in 0.1; check "
                "the path"
            ) from None
        if not 0 < share < 1:
            raise InvalidValue(f"--valid must lie between 0 and 1, got {share:g}")
    elif valid:
        share = tuple(_absolute(file) for file in valid)
    return DataSource(
        tuple(_absolute(file) for file in files),
        share,
        tuple(_absolute(file) for file in test),
        seed,
    )


def _absolute(file: Path | str) -> str:
    if not Path(file).exists():
        raise DataError(f"{file} does not exist; check the path")
    return str(Path(file).resolve())


def load_parts(kind: type[Task], options: Any, source: DataSource) -> Parts:
    """Read all files of a source.

    Raises:
        DataError: a file cannot be used, or a part would be empty.
        RunError: the files have changed since the run began.
    """
    found = fingerprint(source)
    if source.sha256 and found != source.sha256:
        raise RunError(
            f"the data of this run has changed since it began ({source.title}); "
            "restore the files, or start a new run"
        )
    raw = kind.read([Path(file) for file in source.files], options)
    own = kind.own_parts(raw, options) or {}
    train, held_out = own.get("train", [] if own else raw), own.get("valid", [])
    if isinstance(source.valid, tuple):
        held_out = kind.read([Path(file) for file in source.valid], options)
    elif train and not held_out:
        train, held_out = kind.split(train, source.valid, source.seed, options)
    test = own.get("test", [])
    if source.test:
        test = kind.read([Path(file) for file in source.test], options)
    for name, part in (("to train on", train), ("held out", held_out)):
        if not part:
            raise DataError(f"{source.title} has no examples {name}; give more")
    return Parts(list(train), list(held_out), list(test))


def fingerprint(source: DataSource) -> str:
    """SHA-256 of the content of all files, in order."""
    valid = source.valid if isinstance(source.valid, tuple) else ()
    total = hashlib.sha256()
    for name in (*source.files, *valid, *source.test):
        path = Path(name)
        inside = sorted(p for p in path.rglob("*") if p.is_file())
        for file in inside if path.is_dir() else [path]:
            try:
                with file.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").digest()
            except OSError as error:
                raise DataError(
                    f"cannot read {file} ({error.strerror}); check the path"
                ) from error
            total.update(digest)
    return total.hexdigest()
