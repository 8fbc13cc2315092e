"""The steps that the core can run, by key, and their programs, made once each."""

from functools import cache

from throughtime.kernels.encoding import Encoded, encode
from throughtime.kernels.expressions import Definition
from throughtime.kernels.program import Program, Variant, compile_step

_KNOWN: dict[str, Definition] = {}


def define(key: str, definition: Definition) -> None:
    """Make a step known under ``key``, which stands for it in operators."""
    _KNOWN.setdefault(key, definition)


def definition_of(key: str) -> Definition | None:
    """The step that was defined under ``key``."""
    return _KNOWN.get(key)


@cache
def program_of(key: str, variant: Variant) -> Program:
    """The program of a step that was defined."""
    return compile_step(_KNOWN[key], variant)


@cache
def encoded(program: Program, hidden_size: int) -> Encoded:
    """A program for H units as the core reads it."""
    return encode(program, hidden_size)
