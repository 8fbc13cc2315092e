"""One folder per run.

config.json        what was trained, on what, how; "format": 1
vocabulary.json    tokens, for text
cell.py            the source of the cell, if it is the user's own
model.safetensors  the best weights by validation so far
state.safetensors  everything needed to go on: running weights, optimiser, schedule,
                   generator, position, carried state
metrics.jsonl      one JSON object per line
report.html        written at the end
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from throughtime.errors import RunError
from throughtime.training.checkpoint import (
    load_checkpoint,
    load_state,
    save_checkpoint,
    save_state,
    sync_folder,
    write_atomically,
)
from throughtime.training.training_state import random_state

FORMAT = 1


@dataclass(frozen=True)
class RunFolder:
    """An existing run folder and its config.

    >>> import tempfile
    >>> model, folder = nn.Linear(2, 1), Path(tempfile.mkdtemp()) / "run"
    >>> run = RunFolder.create(folder, {"task": "sum"}, model)
    >>> RunFolder.open(folder).config
    {'format': 1, 'task': 'sum'}
    """

    path: Path
    config: dict[str, Any]

    @staticmethod
    def check_target(path: Path, *, overwrite: bool) -> None:
        """Raise if a run cannot be made at ``path``, before any work is done.

        Raises:
            RunError: something is there and ``overwrite`` is not set, it is no run
                folder, or the folder above cannot be written.
        """
        if path.exists() and not overwrite:
            raise RunError(
                f"{path} exists; continue it with --resume {path}, replace it with "
                "--overwrite, or choose another --out"
            )
        if path.exists() and not (path / "config.json").is_file():
            raise RunError(
                f"{path} exists and is no run folder, so --overwrite does not touch "
                "it; choose another --out"
            )
        parent = path.absolute().parent
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise RunError(
                f"cannot make {path}: {parent} is not a folder that can be written; "
                "choose another --out"
            )

    @classmethod
    def create(
        cls,
        path: Path,
        config: Mapping[str, Any],
        model: nn.Module | None,
        *,
        files: Mapping[str, bytes] | None = None,
        write: Callable[[Path], None] | None = None,
        overwrite: bool = False,
    ) -> Self:
        """Make a run folder that exists completely or not at all.

        It is built under a hidden name beside ``path`` and renamed. It holds the
        weights of ``model`` and the state of torch's generator, so that a training
        that is killed before its first checkpoint still starts like any other.

        Args:
            path: where.
            config: what goes into config.json.
            model: whose weights to write; None: what is no network has none.
            files: further files by name, such as ``vocabulary.json``.
            write: writes what is too large for ``files`` into the folder it is given.
            overwrite: whether a run at ``path`` is replaced.

        Raises:
            RunError: see ``check_target``; or the disk is full.
        """
        cls.check_target(path, overwrite=overwrite)
        building = path.with_name(f".{path.name}.{os.getpid()}.new")
        replaced = path.with_name(f".{path.name}.{os.getpid()}.old")
        config = {"format": FORMAT, **config}
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        run = cls(building, config)
        try:
            building.mkdir(parents=True)
            write_atomically(building / "config.json", text.encode())
            for name, content in (files or {}).items():
                write_atomically(building / name, content)
            write_atomically(building / "metrics.jsonl", b"")
            if write is not None:
                write(building)
            if model is not None:
                run.save_weights(model)
                state = {"weights": model.state_dict(), "random": random_state()}
                run.save_state(state)
            if path.exists():
                path.rename(replaced)
            building.rename(path)
            sync_folder(path.parent)
        except (OSError, RunError) as error:
            if replaced.exists() and not path.exists():
                replaced.rename(path)
            reason = error if isinstance(error, OSError) else error.__cause__
            raise RunError(
                f"cannot make the run folder {path} "
                f"({getattr(reason, 'strerror', error)}); make room or choose another "
                "--out"
            ) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
            if path.exists():
                shutil.rmtree(replaced, ignore_errors=True)
        return cls(path, config)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing run.

        Raises:
            RunError: no run folder, or a damaged or newer config.
        """
        file = path / "config.json"
        if not file.is_file():
            raise RunError(
                f"{path} is no run folder (it has no config.json); give the folder "
                "that a training made, as runs/lm-..."
            )
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise RunError(
                f"{file} is damaged ({error}); restore it from a copy or train anew"
            ) from error
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise RunError(
                f"{file} has another format than {FORMAT}; use the version of "
                "throughtime that made it"
            )
        return cls(path, config)

    def save_weights(
        self, model: nn.Module, notes: Mapping[str, Any] | None = None
    ) -> None:
        """Write ``model.safetensors``, and notes such as its validation loss."""
        path = self.path / "model.safetensors"
        save_checkpoint(path, model.state_dict(), notes or {})

    def load_weights(self, model: nn.Module) -> None:
        """Copy the best weights into ``model``.

        Raises:
            RunError: damaged, or weights of another model.
        """
        path = self.path / "model.safetensors"
        copy_weights(model, load_checkpoint(path)[0], path)

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write ``state.safetensors``."""
        save_state(self.path / "state.safetensors", state)

    def load_state(self) -> dict[str, Any]:
        """Read ``state.safetensors``."""
        return load_state(self.path / "state.safetensors")

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one line to ``metrics.jsonl``.

        Raises:
            RunError: the disk is full.
        """
        file = self.path / "metrics.jsonl"
        try:
            with open(file, "a", encoding="utf-8") as lines:
                lines.write(json.dumps(record) + "\n")
        except OSError as error:
            raise _cannot_write(file, error) from error

    def metrics_size(self) -> int:
        """Bytes of ``metrics.jsonl``, after they are safely on disk.

        Raises:
            RunError: the disk is full, or the file cannot be written.
        """
        file = self.path / "metrics.jsonl"
        try:
            with open(file, "ab") as lines:
                os.fsync(lines.fileno())
                return lines.tell()
        except OSError as error:
            raise _cannot_write(file, error) from error

    def truncate_metrics(self, size: int) -> None:
        """Forget lines written after a checkpoint.

        Raises:
            RunError: the file is missing, or shorter than at the checkpoint.
        """
        file = self.path / "metrics.jsonl"
        found = file.stat().st_size if file.is_file() else 0
        if not file.is_file() or found < size:
            raise RunError(
                f"{file} has {found} bytes, fewer than the {size} it had at the last "
                "checkpoint; restore it from a copy"
            )
        try:
            os.truncate(file, size)
        except OSError as error:
            raise _cannot_write(file, error) from error

    def remove_leftovers(self) -> None:
        """Delete what a killed process had begun to write.

        Only for the process that trains: it would take a file from another's hands.
        """
        for file in self.path.glob(".*.tmp"):
            file.unlink(missing_ok=True)

    def metrics(self) -> list[dict[str, Any]]:
        """All records of ``metrics.jsonl``, but no last line that a kill cut short.

        Raises:
            RunError: missing, or a line is damaged.
        """
        file = self.path / "metrics.jsonl"
        try:
            text = file.read_text(encoding="utf-8")
            return [json.loads(line) for line in text.split("\n")[:-1]]
        except (OSError, ValueError) as error:
            raise RunError(
                f"{file} is damaged ({error}); restore it from a copy"
            ) from error


def _cannot_write(file: Path, error: OSError) -> RunError:
    return RunError(
        f"cannot write {file} ({error.strerror}); make room or permit writing there, "
        "then continue with --resume"
    )


def copy_weights(
    model: nn.Module, weights: Mapping[str, torch.Tensor], source: Path | str
) -> None:
    """Copy named weights into ``model``.

    Raises:
        RunError: names, shapes or types differ.
    """
    own = model.state_dict()
    kinds = {name: (tuple(t.shape), str(t.dtype)) for name, t in own.items()}
    found = {name: (tuple(t.shape), str(t.dtype)) for name, t in weights.items()}
    if kinds != found:
        differ = sorted(set(kinds.items()) ^ set(found.items()))[0][0]
        raise RunError(
            f"{source} holds the weights of another model ({differ} differs); use the "
            "run's own config.json and files"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])
