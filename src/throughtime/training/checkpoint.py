"""Checkpoints: nested plain values and tensors in one safetensors file.

The file is written beside its name and moved into place, so that a reader finds the old
or the new one, whole, whatever happens in between. Its metadata holds ``json`` (the
structure, with every tensor replaced by its key), ``sha256`` (of all tensor bytes) and
``format``. Nothing is ever unpickled.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import RunError

FORMAT = "throughtime-checkpoint-1"
_TENSOR, _TUPLE, _PAIRS = "__tensor__", "__tuple__", "__pairs__"


def flatten(value: Any) -> tuple[dict[str, Tensor], Any]:
    """Split nested dicts, lists, tuples and plain values from their tensors.

    >>> tensors, plain = flatten([3, torch.ones(2)])
    >>> tensors, plain
    ({'0': tensor([1., 1.])}, [3, {'__tensor__': '0'}])
    """
    tensors: dict[str, Tensor] = {}

    def walk(part: Any) -> Any:
        if isinstance(part, Tensor):
            key = str(len(tensors))
            tensors[key] = part.detach().cpu().contiguous().clone()
            return {_TENSOR: key}
        if isinstance(part, tuple):
            return {_TUPLE: [walk(item) for item in part]}
        if isinstance(part, list):
            return [walk(item) for item in part]
        if isinstance(part, Mapping):
            # Pairs keep keys that are no strings, such as the optimiser's indices.
            return {_PAIRS: [[walk(k), walk(v)] for k, v in part.items()]}
        if part is None or isinstance(part, (bool, int, float, str)):
            return part
        raise TypeError(f"a checkpoint cannot hold a {type(part).__name__}")

    return tensors, walk(value)


def unflatten(tensors: Mapping[str, Tensor], plain: Any) -> Any:
    """The inverse of ``flatten``; named tuples come back as plain tuples."""
    if isinstance(plain, list):
        return [unflatten(tensors, item) for item in plain]
    if isinstance(plain, dict):
        if _TENSOR in plain:
            return tensors[plain[_TENSOR]]
        if _TUPLE in plain:
            return tuple(unflatten(tensors, item) for item in plain[_TUPLE])
        return {unflatten(tensors, k): unflatten(tensors, v) for k, v in plain[_PAIRS]}
    return plain


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write named tensors and text atomically.

    Raises:
        RunError: the disk is full or the folder cannot be written; an older file of
            that name is untouched.
    """
    from safetensors.torch import save

    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    notes = {**metadata, "format": FORMAT, "sha256": _digest(plain)}
    write_atomically(path, save(plain, notes))


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file ``path`` by ``content``, all or nothing.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(
            f"cannot write {path} ({error.strerror}); the last checkpoint is "
            "untouched: make room or permit writing there, then continue with --resume"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors, in memory of their own, and text of a checkpoint.

    Raises:
        RunError: missing, truncated, changed, or not a checkpoint of ours.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            # Cloned: results depend on alignment, and a mapped file has another one
            # than memory of torch.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; the run is not complete") from error
    except (SafetensorError, OSError) as error:
        raise RunError(
            f"{path} is damaged ({error}); restore it from a copy or train anew"
        ) from error
    if metadata.get("format") != FORMAT:
        raise RunError(
            f"{path} is no checkpoint of this format: expected {FORMAT!r}, "
            f"got {metadata.get('format')!r}"
        )
    if metadata.get("sha256") != _digest(tensors):
        raise RunError(
            f"{path} is damaged: its contents do not match their checksum; restore it "
            "from a copy or train anew"
        )
    return tensors, metadata


def save_state(path: Path, state: Any) -> None:
    """Write a nested state; see ``save_checkpoint``."""
    tensors, plain = flatten(state)
    save_checkpoint(path, tensors, {"json": json.dumps(plain)})


def load_state(path: Path) -> Any:
    """Read a nested state; see ``load_checkpoint``."""
    tensors, metadata = load_checkpoint(path)
    if "json" not in metadata:
        raise RunError(f"{path} holds no training state; restore it from a copy")
    return unflatten(tensors, json.loads(metadata["json"]))
