"""Edit distance against the recursive definition."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from throughtime.tasks.edit_distance import edit_distance


@cache
def slow(a, b):
    if not a or not b:
        return len(a) + len(b)
    change = slow(a[1:], b[1:]) + (a[0] != b[0])
    return min(change, slow(a[1:], b) + 1, slow(a, b[1:]) + 1)


@given(st.text("ab", max_size=6), st.text("abc", max_size=6))
def test_edit_distance(a, b):
    assert edit_distance(a, b) == slow(a, b) == edit_distance(list(b), list(a))
