"""How far one sequence is from another."""

from collections.abc import Hashable, Sequence


def edit_distance(answer: Sequence[Hashable], target: Sequence[Hashable]) -> int:
    """The least number of symbols to put in, take out or replace.

    Levenshtein, "Binary codes capable of correcting deletions, insertions, and
    reversals", 1966.

    >>> edit_distance("sitting", "kitten")
    3
    """
    row = list(range(len(target) + 1))
    for i, mine in enumerate(answer, start=1):
        corner, row[0] = row[0], i
        for j, theirs in enumerate(target, start=1):
            changed = corner + (mine != theirs)
            corner, row[j] = row[j], min(changed, row[j] + 1, row[j - 1] + 1)
    return row[-1]
