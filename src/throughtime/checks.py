"""Checks of plain arguments, used at every public door.

Each returns the checked value, so a constructor reads
``self.hidden_size = positive_int("hidden_size", hidden_size)``. The wording is that
of ``torch.nn`` where torch checks the same thing.
"""

import math
from typing import Any

from throughtime.errors import InvalidType, InvalidValue


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
