"""Figures of merit against closed forms."""

import math

import pytest

from throughtime.errors import InvalidType, InvalidValue
from throughtime.metrics import bits, bits_per_character, perplexity


def test_perplexity_is_the_number_of_equal_choices():
    assert perplexity(math.log(50)) == pytest.approx(50, rel=1e-12)
    assert perplexity(0.0) == 1
    assert perplexity(1e9) == perplexity(math.inf) == math.inf
    assert math.isnan(perplexity(math.nan))


def test_bits():
    assert bits(math.log(2) * 3) == pytest.approx(3, rel=1e-12)
    # A uniform guess among 32 symbols costs 5 bits each.
    assert bits_per_character(7 * math.log(32), 7) == pytest.approx(5, rel=1e-12)
    assert bits_per_character(math.inf, 7) == math.inf


def test_a_text_without_characters():
    with pytest.raises(InvalidValue, match="characters must be greater than zero"):
        bits_per_character(1.0, 0)
    with pytest.raises(InvalidType, match="characters should be of type int"):
        bits_per_character(1.0, 2.0)
