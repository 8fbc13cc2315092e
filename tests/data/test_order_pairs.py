"""Sentences whose label lies in their order alone."""

from collections import Counter

import pytest

from throughtime.data.order_pairs import WORDS, order_pairs
from throughtime.errors import InvalidType, InvalidValue


def test_members_hold_the_same_words_and_opposite_labels():
    texts = order_pairs(200, seed=3)
    assert len(texts) == 400
    for first, second in zip(texts[::2], texts[1::2], strict=True):
        assert Counter(first.text.split()) == Counter(second.text.split())
        assert {first.label, second.label} == {"positive", "negative"}
        assert first.group == second.group
    assert len({text.group for text in texts}) == 200


def test_the_last_clause_decides():
    for text, label, _ in order_pairs(100):
        assert text.split()[-1] in WORDS[label]


def test_all_are_different():
    texts = order_pairs(5000)
    assert len({text.text for text in texts}) == 10000
    # Neither member is always the first, which would tell the label of a pair.
    assert 2300 < sum(text.label == "positive" for text in texts[::2]) < 2700


def test_seeds_and_connectives():
    assert order_pairs(5, seed=1) == order_pairs(5, seed=1)
    assert order_pairs(5, seed=1) != order_pairs(5, seed=2)
    assert " and then " in order_pairs(1, connective="and then")[0].text


def test_wrong_counts():
    with pytest.raises(InvalidType, match="count"):
        order_pairs(1.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidValue, match="count must be at most 878800, got"):
        order_pairs(10_000_000)
