"""Streams hold every pair of neighbours where they should."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data import evaluation_streams, shift_pairs, split, streams
from throughtime.errors import DataError, InvalidShape, InvalidType, InvalidValue


def test_shift_by_one():
    text = "machin"
    inputs, targets = shift_pairs(torch.tensor([ord(c) for c in text + "e"]))
    assert "".join(map(chr, inputs)) == "machin"
    assert "".join(map(chr, targets)) == "achine"


@given(st.integers(2, 200), st.integers(1, 12))
def test_streams_are_contiguous_pieces(count, batch):
    tokens = torch.arange(count)
    if count < 2 * batch:
        with pytest.raises(DataError, match=f"give {2 * batch} tokens or more"):
            streams(tokens, batch)
        return
    inputs, targets = streams(tokens, batch)
    length = count // batch
    assert inputs.shape == targets.shape == (length - 1, batch)
    for b in range(batch):
        piece = tokens[b * length : (b + 1) * length]
        assert torch.equal(inputs[:, b], piece[:-1])
        assert torch.equal(targets[:, b], piece[1:])


@given(st.integers(2, 120), st.integers(1, 12))
def test_evaluation_scores_every_pair_once(count, batch):
    inputs, targets, mask = evaluation_streams(torch.arange(count), batch)
    pairs = sorted(zip(inputs[mask].tolist(), targets[mask].tolist(), strict=True))
    assert pairs == [(i, i + 1) for i in range(count - 1)]
    for b in range(batch):
        column = inputs[:, b][mask[:, b]].tolist()
        first = column[0] if column else 0
        assert column == list(range(first, first + len(column)))


@pytest.mark.parametrize(
    "cut", [shift_pairs, evaluation_streams, lambda tokens: streams(tokens, 1)]
)
def test_streams_are_cut_from_one_text(cut):
    with pytest.raises(InvalidShape, match=r"shape \(N,\), got \(6, 2\)"):
        cut(torch.zeros(6, 2, dtype=torch.long))


def test_too_little_to_predict():
    with pytest.raises(DataError, match=r"1 token\(s\), at least 2"):
        evaluation_streams(torch.zeros(1, dtype=torch.long))


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
