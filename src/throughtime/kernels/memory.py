"""Large tensors from memory that is kept between calls.

A training step frees what it saved for the backward pass, and the next one needs as
much again. Fresh memory from the system costs a page fault every 4 KB, which for long
sequences is more time than the arithmetic takes.
"""

import threading
import weakref

import numpy as np
import torch
from torch import Tensor

# Below this size the system's allocator keeps memory by itself.
SMALL = 1 << 18
# Kept at most, in bytes, over all sizes; what exceeds it goes back to the system.
LIMIT = 1 << 30

_ALIGNMENT = 64
_lock = threading.Lock()
_free: list[np.ndarray] = []


def empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """An uninitialised tensor on the CPU, 64-byte aligned, of the dtype of ``like``.

    >>> empty((3, 2), torch.zeros(1)).shape
    torch.Size([3, 2])
    """
    size = like.element_size()
    for count in shape:
        size *= count
    if size < SMALL:
        return like.new_empty(shape)
    memory = _take(size)
    start = -memory.ctypes.data % _ALIGNMENT
    # The view lives exactly as long as the tensor's storage; then its memory is free.
    view = memory[start : start + size]
    weakref.finalize(view, _give, memory).atexit = False
    return torch.from_numpy(view).view(like.dtype).view(shape)


def kept() -> int:
    """Bytes that wait for the next call."""
    with _lock:
        return sum(memory.nbytes for memory in _free)


def _take(size: int) -> np.ndarray:
    wanted = size + _ALIGNMENT
    with _lock:
        fitting = [
            (memory.nbytes, i)
            for i, memory in enumerate(_free)
            if wanted <= memory.nbytes <= 2 * wanted
        ]
        found = _free.pop(min(fitting)[1]) if fitting else np.empty(wanted, np.uint8)
        while sum(memory.nbytes for memory in _free) > LIMIT:
            _free.pop(0)
    return found


def _give(memory: np.ndarray) -> None:
    # No lock: the garbage collector may call this in the middle of ``_take``. Appending
    # is atomic and moves nothing.
    _free.append(memory)
