"""Checks of plain arguments, used at every public door.

Each returns the checked value, so a constructor reads
``self.hidden_size = positive_int("hidden_size", hidden_size)``. The wording is that
of ``torch.nn`` where torch checks the same thing.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from throughtime.errors import InvalidType, InvalidValue, unknown_name

_UNITS = {
    "B": 1,
    **{unit: 1000**power for power, unit in enumerate(("kB", "MB", "GB", "TB"), 1)},
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
}


def positive_int(name: str, value: Any) -> int:
    """An int greater than zero.

    Raises:
        InvalidType: not an int (bool is not accepted).
        InvalidValue: zero or negative.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(f"{name} should be of type int, got: {type(value).__name__}")
    if value <= 0:
        raise InvalidValue(f"{name} must be greater than zero, got {value}")
    return value


def boolean(name: str, value: Any) -> bool:
    """A bool.

    Raises:
        InvalidType: anything else.
    """
    if not isinstance(value, bool):
        raise InvalidType(f"{name} should be of type bool, got: {type(value).__name__}")
    return value


def number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    exclude_minimum: bool = False,
) -> float:
    """A finite real number within ``[minimum, maximum]``.

    Raises:
        InvalidType: not an int or float (bool is not accepted).
        InvalidValue: NaN, infinite, or out of the range.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise InvalidType(f"{name} should be a number, got: {type(value).__name__}")
    below = value <= minimum if exclude_minimum else value < minimum
    if not math.isfinite(value) or below or value > maximum:
        left = "(" if exclude_minimum else "["
        raise InvalidValue(
            f"{name} should be a number in range {left}{minimum:g}, {maximum:g}], "
            f"got {value}"
        )
    return float(value)


def probability(name: str, value: Any) -> float:
    """The probability of an element being zeroed, a number in [0, 1].

    Raises:
        InvalidValue: anything else (torch raises ValueError also for a wrong type).
    """
    if (
        not isinstance(value, (int, float))
        or isinstance(value, bool)
        or not 0 <= value <= 1
    ):
        raise InvalidValue(
            f"{name} should be a number in range [0, 1] representing the probability "
            f"of an element being zeroed, got {value!r}"
        )
    return float(value)


def parse_memory(memory: int | str) -> int:
    """Bytes of a size such as ``"200MB"`` (10^6), ``"1.5 GiB"`` (2^30), or a number.

    Raises:
        InvalidType: neither an int nor a text.
        InvalidValue: no size, an unknown unit, or less than one byte.

    >>> parse_memory("200MB"), parse_memory("1 KiB"), parse_memory(4096)
    (200000000, 1024, 4096)
    """
    if isinstance(memory, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*", memory)
        if found is None:
            raise InvalidValue(
                f"memory should be a size such as '200MB' or '1.5GiB', got {memory!r}"
            )
        sizes = {unit.lower(): size for unit, size in _UNITS.items()}
        unit = found[2].lower() or "b"
        if unit not in sizes:
            raise unknown_name("unit of memory", found[2], _UNITS)
        memory = int(float(found[1]) * sizes[unit])
    if not isinstance(memory, int) or isinstance(memory, bool):
        raise InvalidType(
            "memory should be a size such as '200MB' or a number of bytes, got: "
            f"{type(memory).__name__}"
        )
    return positive_int("memory", memory)


Config = TypeVar("Config")


def from_entries(kind: type[Config], values: Mapping[str, Any], what: str) -> Config:
    """A config with these entries; the rest keeps its default.

    Args:
        kind: a dataclass.
        values: its entries by name.
        what: what an entry is, for messages, as in "option of training".

    Raises:
        InvalidValue: unknown entry; the message lists the known ones.
    """
    known = [entry.name for entry in fields(kind)]  # pyright: ignore[reportArgumentType]
    for name in values:
        if name not in known:
            raise unknown_name(what, name, known)
    return kind(**values)
