"""Find and load the compiled core, and choose the instruction set it runs with.

The core is a C library in the package ``throughtime_native``, built when throughtime is
installed. It uses the OpenMP threads that torch has brought into the process, so torch
is imported first. Where it could not be built, everything runs on the plain loop.
"""

import ctypes
import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from throughtime.errors import unknown_name
from throughtime.kernels.encoding import FIELDS, Encoded

# Of the interface in native/src/throughtime.h.
ABI = 4
# Names an instruction set to use instead of the best one, for tests and comparisons.
VARIABLE = "THROUGHTIME_INSTRUCTION_SET"

_NAMES = ("libthroughtime.so", "libthroughtime.dylib", "throughtime.dll")
_POINTER = ctypes.c_void_p


class Problem(ctypes.Structure):
    """``tt_problem`` of native/src/throughtime.h, field by field."""

    _fields_ = (
        ("bytes", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("reverse", ctypes.c_int32),
        ("half", ctypes.c_int32),
        ("T", ctypes.c_int64),
        ("B", ctypes.c_int64),
        ("I", ctypes.c_int64),
        ("H", ctypes.c_int64),
        ("P", ctypes.c_int64),
        ("program", ctypes.POINTER(Encoded)),
        ("x", _POINTER),
        ("x_step", ctypes.c_int64),
        ("x_batch", ctypes.c_int64),
        ("weight_ih", _POINTER),
        ("weight_hh", _POINTER),
        ("weight_mh", _POINTER),
        ("bias_ih", _POINTER),
        ("bias_hh", _POINTER),
        ("bias_mh", _POINTER),
        ("weight_hr", _POINTER),
        ("extra", _POINTER),
        ("state", _POINTER * 2),
        ("lengths", _POINTER),
        ("packed", _POINTER),
        ("reset", _POINTER),
        ("initial", _POINTER * 2),
        ("mask", _POINTER),
        ("hold", _POINTER * 2),
        ("share", ctypes.c_double * (1 + FIELDS)),
        ("added", _POINTER * 2),
        ("states", _POINTER * 2),
        ("final", _POINTER * 2),
        ("saved", _POINTER),
        ("grad_out", _POINTER),
        ("grad_step", ctypes.c_int64),
        ("grad_batch", ctypes.c_int64),
        ("grad_states", _POINTER * 2),
        ("grad_final", _POINTER * 2),
        ("carry_gain", _POINTER),
        ("grad_x", _POINTER),
        ("grad_weight_ih", _POINTER),
        ("grad_weight_hh", _POINTER),
        ("grad_weight_mh", _POINTER),
        ("grad_bias_ih", _POINTER),
        ("grad_bias_hh", _POINTER),
        ("grad_bias_mh", _POINTER),
        ("grad_weight_hr", _POINTER),
        ("grad_extra", _POINTER),
        ("grad_state", _POINTER * 2),
        ("grad_initial", _POINTER * 2),
        ("grad_added", _POINTER * 2),
    )


@dataclass(frozen=True)
class Library:
    """The loaded core.

    Attributes:
        path: the file.
        instruction_sets: those that were built and run on this machine, best first.
        instruction_set: the one in use.
        code: its functions.
    """

    path: Path
    instruction_sets: tuple[str, ...]
    instruction_set: str
    code: ctypes.CDLL

    def run(self, name: str, problem: ctypes.Structure) -> None:
        """Call ``tt_forward``, ``tt_backward`` or ``tt_output``."""
        self._call(name, ctypes.byref(problem))

    def run_both(self, name: str, problems: tuple[Problem, Problem]) -> None:
        """The same for two problems that do not read each other's results."""
        pair = (Problem * 2)(*problems)
        self._call("tt_both", ctypes.byref(pair), int(name == "tt_backward"))

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.code, name)(*arguments, self.instruction_set.encode())
        if status == 2:
            raise MemoryError("no memory left for the work space of a layer")
        if status:
            raise RuntimeError(f"{name} of {self.path} refused its arguments: {status}")

    def new_stream(self, problem: Problem) -> int:
        """Call ``tt_stream_new``."""
        stream = self.code.tt_stream_new(
            ctypes.byref(problem), self.instruction_set.encode()
        )
        if stream is None:
            raise MemoryError("no memory left for a stream of a recurrent layer")
        return stream


def library() -> Library | None:
    """The core, or None where there is none; ``missing`` says why.

    Raises:
        UnknownName: the environment variable names an instruction set that does not
            run here.
    """
    found = _load()
    return None if isinstance(found, str) else found


def missing() -> str | None:
    """Why there is no core, or None if there is one."""
    found = _load()
    return found if isinstance(found, str) else None


@cache
def _load() -> Library | str:
    path = _find()
    if path is None:
        return (
            "the compiled core is not installed; install throughtime with a C++ "
            "compiler at hand: pip install --force-reinstall --no-deps throughtime"
        )
    # Not needed by name: the core's OpenMP functions are those torch has loaded.
    torch.get_num_threads()
    try:
        code = ctypes.CDLL(str(path))
    except OSError as error:
        return f"the compiled core {path} cannot be loaded: {error}"
    sizes = code.tt_problem_size(), code.tt_program_size()
    known = ctypes.sizeof(Problem), ctypes.sizeof(Encoded)
    if code.tt_abi() != ABI or sizes != known:
        return (
            f"the compiled core {path} belongs to another version of throughtime; "
            "install throughtime again"
        )
    code.tt_instruction_sets.restype = ctypes.c_char_p
    code.tt_stream_new.restype = _POINTER
    code.tt_stream_step.argtypes = (_POINTER, _POINTER, _POINTER)
    code.tt_stream_state.argtypes = (_POINTER, ctypes.c_int, _POINTER, ctypes.c_int)
    code.tt_stream_free.argtypes = (_POINTER,)
    for name in ("step", "state", "free"):
        getattr(code, f"tt_stream_{name}").restype = None
    sets = tuple(code.tt_instruction_sets().decode().split())
    chosen = os.environ.get(VARIABLE) or sets[0]
    if chosen not in sets:
        raise unknown_name(f"instruction set in {VARIABLE}", chosen, sets)
    return Library(path, sets, chosen, code)


def _find() -> Path | None:
    spec = importlib.util.find_spec("throughtime_native")
    folders = list(spec.submodule_search_locations or []) if spec else []
    paths = (Path(folder) / name for folder in folders for name in _NAMES)
    return next((path for path in paths if path.is_file()), None)
