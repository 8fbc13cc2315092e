"""Streams hold every pair of neighbours where they should."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data import evaluation_streams, shift_pairs, streams
from throughtime.errors import DataError, InvalidShape


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
