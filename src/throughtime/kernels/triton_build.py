"""From the text of kernels to functions of Triton, which is imported when it is needed.

Triton's interpreter runs kernels on the CPU, for tests, if ``TRITON_INTERPRET=1`` is
set before triton is imported. It knows no functions of CUDA's library; numpy's stand in
for them there.
"""

import importlib
import importlib.util
import linecache
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from throughtime.kernels.triton_code import FUNCTIONS, HELPERS, Kernel

# Arithmetic in float32 for the short types.
_WORK = {
    torch.float64: torch.float64,
    torch.float32: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float16: torch.float32,
}
DTYPES = tuple(_WORK)
# Units that a program has at most where it need not have all.
_MOST = 512


def installed() -> bool:
    """Whether there is a package triton; it is not imported."""
    return importlib.util.find_spec("triton") is not None


def triton_missing() -> str | None:
    """Why no kernel can run, or None if they can."""
    if not installed():
        return "triton is not installed; pip install 'throughtime[cuda]' brings it"
    if not torch.cuda.is_available() and not interpreted():
        return (
            "there is no CUDA device; on the CPU kernels run only in Triton's "
            "interpreter, with TRITON_INTERPRET=1 set before Python starts"
        )
    return None


@cache
def interpreted() -> bool:
    """Whether Triton is there and interprets kernels on the CPU."""
    if not installed():
        return False
    return bool(importlib.import_module("triton").knobs.runtime.interpret)


def work_type(dtype: torch.dtype) -> torch.dtype:
    """The type of the arithmetic.

    >>> work_type(torch.bfloat16)
    torch.float32
    """
    return _WORK[dtype]


def launch(
    kernel: Kernel, tensors: Mapping[str, Tensor], units: int, slots: int
) -> None:
    """Run a kernel on the tensors that it names, which have a row per sequence.

    Args:
        kernel: what to run.
        tensors: contiguous in each row, masks as bytes.
        units: of a row.
        slots: of what is kept, see ``Program.slots``.
    """
    language = importlib.import_module("triton.language")
    given = {name: tensors[name] for name in kernel.tensors}
    any_of = tensors["like"]
    block = 1 << (units - 1).bit_length()
    if not kernel.whole:
        block = min(block, _MOST)
    grid = (any_of.size(0), -(-units // block))
    run = built(kernel)[grid]
    options = {
        "H": units,
        "SLOTS": slots,
        "BLOCK": block,
        "WORK": getattr(language, str(work_type(any_of.dtype)).removeprefix("torch.")),
    }
    if not interpreted():
        run(**given, **options, num_warps=min(max(block // 256, 1), 8))
        return
    with np.errstate(all="ignore"):  # units that do not exist
        run(**given, **options)


@cache
def built(kernel: Kernel) -> Any:
    """The function of Triton for a kernel."""
    names: dict[str, Any] = {
        "__name__": __name__,
        "triton": importlib.import_module("triton"),
        "tl": importlib.import_module("triton.language"),
        **_functions(),
    }
    text = HELPERS + "\n\n" + kernel.text
    # Triton reads the source of a function, which has no file, from here.
    file = f"<throughtime {kernel.name} {crc32(text.encode()):x}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    exec(compile(text, file, "exec"), names)
    return names[kernel.name]


def _functions() -> dict[str, Any]:
    if not interpreted():
        library = importlib.import_module("triton.language.extra.libdevice")
        return {name: getattr(library, name) for name in FUNCTIONS}
    other: dict[str, Callable[..., Any]] = {
        "normcdf": np.vectorize(lambda x: 0.5 * math.erfc(-x * math.sqrt(0.5))),
        "pow": np.power,
    }
    return {name: _by_numpy(other.get(name) or getattr(np, name)) for name in FUNCTIONS}


def _by_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    interpreter = importlib.import_module("triton.runtime.interpreter")
    tensor = importlib.import_module("triton.language").core.tensor

    def call(*arguments: Any) -> Any:
        first = arguments[0]
        data = np.asarray(function(*(a.handle.data for a in arguments)))
        data = data.astype(first.handle.data.dtype, copy=False)
        return tensor(interpreter.TensorHandle(data, first.handle.dtype), first.type)

    return call
