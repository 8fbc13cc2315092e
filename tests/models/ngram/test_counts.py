"""Counts against dictionaries of tuples."""

from collections import Counter

import numpy as np
import pytest

from throughtime.models.ngram import counts as counting
from throughtime.models.ngram.counts import count_ngrams, count_positions

Ngram = tuple[int, ...]


def slow_counts(text: list[int], order: int, boundary: int | None) -> Counter[Ngram]:
    """By slicing: of the whole text, or of every line after one boundary."""
    counts: Counter[Ngram] = Counter()
    if boundary is None:
        lines = [text]
    else:
        stops = [i + 1 for i, token in enumerate(text) if token == boundary]
        edges = [0, *stops, len(text)]
        lines = [[boundary, *text[a:b]] for a, b in zip(edges, edges[1:], strict=False)]
    for line in lines:
        for n in range(1, order + 1):
            for start in range(len(line) - n + 1):
                counts[tuple(line[start : start + n])] += 1
    if boundary is not None:
        counts[(boundary,)] -= len(lines)
    return counts


def ngrams(tables: list[counting.Counts]) -> list[list[Ngram]]:
    """Every order's n-grams as tuples, in the order of the tables."""
    below: list[Ngram] = [()]
    every = []
    for table in tables:
        contexts = np.repeat(np.arange(len(below)), np.diff(table.starts))
        pairs = zip(contexts, table.words, strict=True)
        below = [(*below[c], int(w)) for c, w in pairs]
        every.append(below)
    return every


@pytest.mark.parametrize("boundary", [None, 0, 3])
@pytest.mark.parametrize(
    ("length", "size", "order"), [(1, 4, 3), (2, 4, 5), (40, 4, 5), (500, 30, 4)]
)
def test_tables_are_those_of_dictionaries(length, size, order, boundary):
    text = np.random.default_rng(length).integers(0, size, length)
    tables = count_ngrams(text, order, size, boundary=boundary)
    expected = slow_counts(text.tolist(), order, boundary)
    assert len(tables) == order
    below: list[Ngram] = [()]
    for n, (table, found) in enumerate(zip(tables, ngrams(tables), strict=True), 1):
        if n == 1:
            assert found == [(w,) for w in range(size)]
        else:
            assert found == sorted(k for k in expected if len(k) == n)
        assert table.counts.tolist() == [expected[k] for k in found]
        assert [k[1:] for k in found] == [below[s] for s in table.suffix]
        assert len(table.starts) == len(below) + 1
        below = found


@pytest.mark.parametrize("boundary", [None, 0])
def test_stretches_do_not_change_the_tables(boundary, monkeypatch):
    # Zipf-like, so that some contexts are longer than a stretch.
    text = np.random.default_rng(0).geometric(0.3, 3000).clip(max=9) - 1
    whole = count_ngrams(text, 5, 9, boundary=boundary)
    monkeypatch.setattr(counting, "STRETCH", 8)
    parts = count_ngrams(text, 5, 9, boundary=boundary)
    for a, b in zip(whole, parts, strict=True):
        for name in ("words", "starts", "counts", "suffix"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_uncounted_positions_are_in_the_tables_with_their_suffixes():
    text = np.array([0, 1, 0, 1, 2, 0])
    tables = count_positions(text, 3, 3, uncounted=2)
    found = [
        dict(zip(keys, table.counts.tolist(), strict=True))
        for keys, table in zip(ngrams(tables), tables, strict=True)
    ]
    assert found == [
        {(0,): 2, (1,): 2, (2,): 0},
        {(0, 1): 2, (1, 0): 1, (1, 2): 1, (2, 0): 0},
        {(0, 1, 0): 1, (0, 1, 2): 1, (1, 0, 1): 1, (1, 2, 0): 1},
    ]


def test_an_empty_text_has_tokens_only():
    tables = count_ngrams(np.array([], dtype=np.int64), 3, 4)
    assert [len(t.words) for t in tables] == [4, 0, 0]
    assert [t.starts.tolist() for t in tables] == [[0, 4], [0] * 5, [0]]
    assert tables[0].counts.tolist() == [0, 0, 0, 0]


def test_small_dtypes():
    text = np.array([0, 1, 1], dtype=np.uint16)
    for table in count_ngrams(text, 3, 2, boundary=1):
        assert {
            table.words.dtype,
            table.starts.dtype,
            table.counts.dtype,
            table.suffix.dtype,
        } == {np.dtype(np.int32)}
