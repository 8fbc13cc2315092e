"""Streams hold every pair of neighbours where they should."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data import adding, evaluation_streams, shift_pairs, split, streams
from throughtime.errors import DataError, InvalidValue


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
    with pytest.raises(DataError, match="too short to hold out"):
        split("x", 0.1)


def test_adding_problem():
    generator = torch.Generator().manual_seed(0)
    x, target = adding(50, 20_000, generator=generator)
    assert torch.equal(x[..., 1].sum(0), torch.full((20_000,), 2.0))
    torch.testing.assert_close((x[..., 0] * x[..., 1]).sum(0), target)
    # Variance of the sum of two U[0, 1]: 2 / 12; standard error here: 0.0013.
    assert ((target - 1) ** 2).mean().item() == pytest.approx(1 / 6, abs=0.005)
    again = adding(50, 20_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again[0], x)
    with pytest.raises(InvalidValue, match="at least 2 for two marks"):
        adding(1, 1)
