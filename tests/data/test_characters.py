"""Characters as tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data import build_vocabulary
from throughtime.errors import InvalidValue


def test_characters():
    vocabulary = build_vocabulary("banana")
    assert vocabulary.tokens == ["<unk>", "a", "b", "n"]
    assert vocabulary.encode("nab!").tolist() == [3, 1, 2, 0]
    assert vocabulary.decode([2, 1, 0]) == "ba\ufffd"
    assert vocabulary.missing("nab!?") == ["!", "?"]
    assert vocabulary.boundary_index is None
    assert build_vocabulary("a\n").boundary_index == 1


def test_the_most_frequent_characters():
    """5 a, 2 r, 2 b, 1 c, 1 d; of equals, the first of the alphabet."""
    text = "abracadabra"
    assert build_vocabulary(text, size=3).tokens == ["<unk>", "a", "b"]
    assert build_vocabulary(text, min_frequency=2).tokens == ["<unk>", "a", "b", "r"]
    with pytest.raises(InvalidValue, match="size must be greater than zero"):
        build_vocabulary(text, size=0)


@given(st.text(min_size=1))
def test_characters_lose_nothing(text):
    vocabulary = build_vocabulary(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
