"""Whether labels can be learnt."""

import re
from collections.abc import Sequence

from throughtime.errors import DataError
from throughtime.tasks.task import RawExample

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def check_labels(raw: Sequence[RawExample]) -> list[str]:
    """The different labels of the training data, in order.

    Raises:
        DataError: there are no labels, only one, or numbers beside words. Digits beside
            letters, as of characters that are read, are no numbers.
    """
    first: dict[str, str] = {}
    for example in raw:
        for label in example.target or ():
            if label is not None:
                first.setdefault(label, example.where)
    if not first:
        where = f"{raw[0].where}: " if raw else ""
        raise DataError(f"{where}no labels to learn from; give a file that has them")
    if len(first) == 1:
        label, where = next(iter(first.items()))
        raise DataError(
            f"{where}: {label!r} is the only label of the training data, so nothing "
            "can be learnt; give steps with at least two labels"
        )
    numbers = [label for label in first if NUMBER.fullmatch(label)]
    words = [label for label in first if label not in numbers]
    if any(len(label) > 1 for label in numbers) and words:
        number = next(label for label in numbers if len(label) > 1)
        raise DataError(
            f"labels are numbers and words: {number!r} in the sequence from "
            f"{first[number]} on, {words[0]!r} in that from {first[words[0]]} on; "
            "choose another column of labels, or mend these"
        )
    return sorted(first)
