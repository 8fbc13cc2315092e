"""The end of a text, held out."""

import re
from collections.abc import Iterable

from throughtime.checks import number
from throughtime.data.vocabulary import UNITS
from throughtime.errors import DataError, InvalidValue, unknown_name


def split(text: str, fraction: float = 0.1, *, unit: str = "char") -> tuple[str, str]:
    """The text without its end, and the last ``fraction`` of it, held out.

    For words and subwords the cut moves on to the next start of a line, or without one
    to the end of the next white space.

    Raises:
        DataError: a part would be empty.
        InvalidType: ``fraction`` is no number.
        InvalidValue: ``fraction`` outside (0, 1), or an unknown unit.

    >>> split("abcdefghij", 0.2)
    ('abcdefgh', 'ij')
    """
    cut = split_position([text], len(text), fraction, unit=unit)
    return text[:cut], text[cut:]


def split_position(
    blocks: Iterable[str], length: int, fraction: float = 0.1, *, unit: str = "char"
) -> int:
    """Where ``split`` cuts a text that comes in blocks.

    Args:
        blocks: the text; it is gone through up to three times, from the beginning.
        length: characters of the text.
        fraction: to hold out.
        unit: ``char``, ``word`` or ``bpe``.

    Raises:
        DataError: a part would be empty.
        InvalidType: ``fraction`` is no number.
        InvalidValue: ``fraction`` outside (0, 1), or an unknown unit.
    """
    if not 0 < number("fraction", fraction) < 1:
        raise InvalidValue(
            f"fraction must lie between 0 and 1, as in 0.1, got {fraction}"
        )
    if unit not in UNITS:
        raise unknown_name("unit", unit, UNITS)
    cut = length - max(1, round(length * fraction))
    start = None if unit == "char" else _next_start(blocks, max(cut - 1, 0))
    # Something follows a start by definition.
    follows = start is not None or _any_text(blocks, cut, length)
    cut = cut if start is None else start
    if not follows or not _any_text(blocks, 0, cut):
        raise DataError(
            f"the text of {length} characters is too short to hold out "
            f"{fraction:.0%} of it; give a longer text, or a held-out file of its own"
        )
    return cut


def _next_start(blocks: Iterable[str], begin: int) -> int | None:
    """The first start of a line after ``begin``, or without one of a word.

    What comes before may already end at ``begin``. White space at the end of the text
    has nothing behind it to hold out.
    """
    newline = space = None
    last = -1
    position = 0
    for block in blocks:
        part = block[max(begin - position, 0) :]
        position += len(block)
        if not part:
            continue
        first = position - len(part)
        if newline is None and (at := part.find("\n")) >= 0:
            newline = first + at
        if space is None and (found := re.search(r"\s", part)):
            space = first + found.start()
        if text := part.rstrip():
            last = first + len(text) - 1
        if newline is not None and last > newline:
            return newline + 1
    return space + 1 if space is not None and last > space else None


def _any_text(blocks: Iterable[str], begin: int, end: int) -> bool:
    """Whether there is something other than white space in [``begin``, ``end``)."""
    position = 0
    for block in blocks:
        if block[max(begin - position, 0) : max(end - position, 0)].strip():
            return True
        position += len(block)
        if position >= end:
            break
    return False
