"""The end of a text, held out, also of one in blocks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data import split
from throughtime.data.split import split_position
from throughtime.errors import DataError, InvalidType, InvalidValue


@pytest.mark.parametrize("unit", ["char", "word"])
def test_split_keeps_all_text(unit):
    text = "".join(f"line {i} of the text\n" for i in range(100))
    train, held_out = split(text, 0.1, unit=unit)
    assert train + held_out == text
    assert len(held_out) == pytest.approx(len(text) / 10, abs=25)
    assert unit == "char" or train.endswith("\n")


def test_split_at_a_space_without_lines():
    assert split("aa bb cc dd", 0.5, unit="word") == ("aa bb ", "cc dd")
    assert split("aa\tbb\tcc\tdd", 0.5, unit="word") == ("aa\tbb\t", "cc\tdd")
    # The newline at the end begins no line.
    assert split("aa bb cc dd\n", 0.5, unit="bpe") == ("aa bb ", "cc dd\n")
    # Nowhere to move to: subwords can begin anywhere.
    assert split("abcdefghij", 0.2, unit="bpe") == ("abcdefgh", "ij")
    with pytest.raises(DataError, match="too short to hold out"):
        split("x", 0.1)


def test_split_stays_at_a_start_of_a_line():
    assert split("aaa\nb b\n", 0.5, unit="word") == ("aaa\n", "b b\n")


@given(
    st.text("ab \n\t", min_size=2, max_size=60),
    st.floats(0.01, 0.99),
    st.sampled_from(["word", "bpe"]),
)
def test_split_never_cuts_a_word(text, fraction, unit):
    try:
        train, held_out = split(text, fraction, unit=unit)
    except DataError:
        return
    assert train + held_out == text
    assert train.strip()
    assert held_out.strip()
    # With white space to move on to, the cut is behind it.
    least = len(text) - max(1, round(len(text) * fraction))
    assert len(train) >= least
    if any(c.isspace() for c in text[least:].rstrip()):
        assert train[-1].isspace()


def test_split_options():
    for fraction in (0, 1, 1.5, -0.1):
        with pytest.raises(InvalidValue, match=r"fraction must lie between 0 and 1"):
            split("a b c", fraction)
    with pytest.raises(InvalidType, match="fraction should be a number"):
        split("a b c", "0.1")
    with pytest.raises(InvalidValue, match="unknown unit 'words': known are char, wo"):
        split("a b c", 0.5, unit="words")


def cut_by_definition(text, fraction, unit):
    """On the whole text: the next newline, or else space, before its last word."""
    cut = len(text) - max(1, round(len(text) * fraction))
    if unit != "char":
        begin, end = max(cut - 1, 0), len(text.rstrip())
        newline = text.find("\n", begin, end)
        space = re.compile(r"\s").search(text, begin, end)
        if newline >= 0:
            cut = newline + 1
        elif space:
            cut = space.end()
    return cut if text[:cut].strip() and text[cut:].strip() else None


@given(
    st.text("ab \n\t", max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.floats(0.01, 0.99),
    st.sampled_from(["char", "word", "bpe"]),
)
def test_the_cut_of_a_text_in_blocks(text, cuts, fraction, unit):
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    blocks = [text[a:b] for a, b in zip(borders, borders[1:], strict=False)]
    want = cut_by_definition(text, fraction, unit)
    if want is None:
        with pytest.raises(DataError, match="too short to hold out"):
            split_position(blocks, len(text), fraction, unit=unit)
    else:
        assert split_position(blocks, len(text), fraction, unit=unit) == want
