"""Checkpoints: nested plain values and tensors in one safetensors file.

The file is written beside its name and moved into place, so that a reader finds the old
or the new one, whole, whatever happens in between. Its metadata is one entry, a JSON
object with ``format``, ``sha256`` (of the rest of the object and all tensor bytes) and,
in a state, ``state``: the structure, with every tensor replaced by its key. It is one
entry because safetensors writes several in random order, and equal contents should be
equal bytes. Nothing is ever unpickled.
"""

import hashlib
import json
import os
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import InvalidType, RunError

FORMAT = "throughtime-checkpoint-1"
_ENTRY = "throughtime"
# As Any, because type checkers want to know the names of a namedtuple ahead.
_named_tuple: Any = namedtuple
_TENSOR, _TUPLE, _PAIRS, _FIELDS = "__tensor__", "__tuple__", "__pairs__", "__fields__"


def flatten(value: Any) -> tuple[dict[str, Tensor], Any]:
    """Split nested dicts, lists, tuples and plain values from their tensors.

    Raises:
        InvalidType: something else is in it.

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
            plain: dict[str, Any] = {_TUPLE: [walk(item) for item in part]}
            if hasattr(part, "_fields"):
                plain[_FIELDS] = [type(part).__name__, *getattr(part, "_fields")]  # noqa: B009
            return plain
        if isinstance(part, list):
            return [walk(item) for item in part]
        if isinstance(part, Mapping):
            # Pairs keep keys that are no strings, such as the optimiser's indices.
            return {_PAIRS: [[walk(k), walk(v)] for k, v in part.items()]}
        if part is None or isinstance(part, (bool, int, float, str)):
            return part
        raise InvalidType(
            f"a checkpoint cannot hold a {type(part).__name__}; it takes tensors, "
            "numbers, strings, None, and lists, tuples and dicts of them"
        )

    return tensors, walk(value)


def unflatten(tensors: Mapping[str, Tensor], plain: Any) -> Any:
    """The inverse of ``flatten``.

    A named tuple comes back with its names, ``state.h``, as a class of its own.
    """
    if isinstance(plain, list):
        return [unflatten(tensors, item) for item in plain]
    if isinstance(plain, dict):
        if _TENSOR in plain:
            return tensors[plain[_TENSOR]]
        if _TUPLE in plain:
            items = [unflatten(tensors, item) for item in plain[_TUPLE]]
            if _FIELDS in plain:
                name, *fields = plain[_FIELDS]
                return _named_tuple(name, fields)(*items)
            return tuple(items)
        return {unflatten(tensors, k): unflatten(tensors, v) for k, v in plain[_PAIRS]}
    return plain


def _digest(tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in notes.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]
) -> None:
    """Write named tensors, and notes that JSON can hold, atomically.

    Raises:
        RunError: the disk is full or the folder cannot be written; an older file of
            that name is untouched.
    """
    from safetensors.torch import save

    # Cloned, because safetensors refuses tensors that share memory, as tied weights do.
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    notes = {**notes, "format": FORMAT}
    notes["sha256"] = _digest(plain, notes)
    write_atomically(path, save(plain, {_ENTRY: json.dumps(notes, sort_keys=True)}))


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file ``path`` by ``content``, all or nothing.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
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


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, in memory of their own, and notes of a checkpoint.

    Raises:
        RunError: missing, truncated, changed, or not a checkpoint of ours.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            # Cloned: results depend on alignment, and a mapped file has another one
            # than memory of torch.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        notes = json.loads(metadata.get(_ENTRY, "{}"))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; the run is not complete") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(
            f"{path} is damaged ({error}); restore it from a copy or train anew"
        ) from error
    if "sha256" in notes and notes["sha256"] != _digest(tensors, notes):
        raise RunError(
            f"{path} is damaged: its contents do not match their checksum; restore it "
            "from a copy or train anew"
        )
    if "sha256" not in notes or notes.get("format") != FORMAT:
        raise RunError(
            f"{path} is no checkpoint of this format: expected {FORMAT!r}, "
            f"got {notes.get('format')!r}; give a file that a training wrote"
        )
    return tensors, notes


def save_state(path: Path, state: Any) -> None:
    """Write a nested state; see ``save_checkpoint``."""
    tensors, plain = flatten(state)
    save_checkpoint(path, tensors, {"state": plain})


def load_state(path: Path) -> Any:
    """Read a nested state; see ``load_checkpoint``."""
    tensors, notes = load_checkpoint(path)
    if "state" not in notes:
        raise RunError(f"{path} holds no training state; restore it from a copy")
    return unflatten(tensors, notes["state"])
