"""Which examples are held out."""

import random
from collections import Counter
from collections.abc import Sequence

from throughtime.checks import number
from throughtime.errors import DataError, InvalidValue
from throughtime.tasks.task import RawExample


def random_split(
    raw: Sequence[RawExample], share: float, seed: int
) -> tuple[list[RawExample], list[RawExample]]:
    """Train on the first part, hold out the second: about ``share`` of all.

    Examples of one group stay together; the order within each part is kept.

    Raises:
        DataError: a part would be empty.
        InvalidType: ``share`` is no number.
        InvalidValue: ``share`` outside (0, 1).

    >>> raw = [RawExample(i, None, "") for i in range(10)]
    >>> [len(part) for part in random_split(raw, 0.2, seed=0)]
    [8, 2]
    """
    if not 0 < number("share", share) < 1:
        raise InvalidValue(f"share must lie between 0 and 1, as in 0.1, got {share}")
    keys = [
        i if example.group is None else example.group for i, example in enumerate(raw)
    ]
    sizes = Counter(keys)
    order = sorted(sizes, key=str)
    random.Random(seed).shuffle(order)
    wanted, held, count = max(1, round(share * len(raw))), set(), 0
    for key in order:
        if count >= wanted:
            break
        held.add(key)
        count += sizes[key]
    train = [e for key, e in zip(keys, raw, strict=True) if key not in held]
    held_out = [e for key, e in zip(keys, raw, strict=True) if key in held]
    if not train or not held_out:
        raise DataError(_too_few(raw, len(order), share))
    return train, held_out


def _too_few(raw: Sequence[RawExample], groups: int, share: float) -> str:
    if not raw:
        return "there are no examples; give files that hold some"
    count = "1 example is" if len(raw) == 1 else f"{len(raw):,} examples are"
    if groups < len(raw):
        count += f" of {groups} group{'' if groups == 1 else 's'},"
    return (
        f"{raw[0].where}: {count} too few to hold out {share:.0%}; give more, or a "
        "held-out file of its own with --valid"
    )
