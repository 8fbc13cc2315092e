"""Labels as they were written."""

import math
from collections.abc import Sequence

from throughtime.errors import DataError
from throughtime.tasks.task import RawExample


def as_number(label: str) -> float | None:
    """The finite number that a label is, or None.

    >>> as_number(" -1.5"), as_number("good"), as_number("nan")
    (-1.5, None, None)
    """
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def check_labels(raw: Sequence[RawExample]) -> None:
    """Raise where numbers and words stand among the same labels.

    Raises:
        DataError: some are numbers and others are not; it names the first of the
            rarer sort.
    """
    numbers, words = [], []
    for example in raw:
        if isinstance(example.target, str):
            sort = words if as_number(example.target) is None else numbers
            sort.append(example)
    if not numbers or not words:
        return
    odd, usual = (
        (words, "numbers") if len(words) <= len(numbers) else (numbers, "words")
    )
    hint = ""
    if odd is words and raw[0] is words[0]:
        hint = "; if this is the name of the column, the file has a header"
    raise DataError(
        f"{odd[0].where}: the label {odd[0].target!r} stands among "
        f"{len(numbers if odd is words else words):,} {usual}; labels must be all "
        f"numbers or all words{hint}"
    )
