"""Counts made on disk against those made in memory."""

import numpy as np
import pytest

from throughtime.errors import InvalidType, InvalidValue
from throughtime.models.ngram.counts import count_ngrams
from throughtime.models.ngram.external import count_ngrams_external


def zipf(length, size):
    generator = np.random.default_rng(length)
    return np.minimum(generator.geometric(0.2, length) - 1, size - 1)


@pytest.mark.parametrize("boundary", [None, 0, 2])
@pytest.mark.parametrize(
    ("length", "size", "order", "memory"),
    [
        (1, 3, 2, 1),
        (15, 3, 5, 1),
        (60, 3, 5, "700B"),
        (300, 40, 1, 2000),
        (1000, 20, 4, "15kB"),
        (1000, 20, 4, "1GB"),
    ],
)
def test_equal_to_counting_in_memory(tmp_path, length, size, order, memory, boundary):
    text = zipf(length, size)
    expected = count_ngrams(text, order, size, boundary=boundary)
    found = count_ngrams_external(
        text, order, size, boundary=boundary, memory=memory, folder=tmp_path
    )
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        for name in ("words", "starts", "counts", "suffix"):
            mine, theirs = getattr(a, name), getattr(b, name)
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)
    assert all(isinstance(table.starts, np.memmap) for table in found[1:])


def test_reads_a_mapped_file_and_replaces_earlier_tables(tmp_path):
    text = zipf(500, 30).astype(np.uint16)
    text.tofile(tmp_path / "text")
    mapped = np.memmap(tmp_path / "text", np.uint16, mode="r")
    shares = []
    for _ in range(2):
        found = count_ngrams_external(
            mapped,
            3,
            30,
            memory="5kB",
            folder=tmp_path / "a" / "b",
            progress=shares.append,
        )
    expected = count_ngrams(text, 3, 30)
    np.testing.assert_array_equal(found[2].words, expected[2].words)
    np.testing.assert_array_equal(found[2].counts, expected[2].counts)
    # A third for the pieces, and one for each higher order; nothing else stays behind.
    half = len(shares) // 2
    assert half > 3
    assert shares[:half] == shares[half:] == sorted(shares[:half])
    assert shares[half - 3 : half] == [1 / 3, 2 / 3, 1.0]
    assert len(list((tmp_path / "a" / "b").iterdir())) == 8


def test_ranges_stay_within_their_size(tmp_path, monkeypatch):
    from throughtime.models.ngram import external

    seen = []
    plain = external._edges

    def watched(pieces, n, rows):
        edges = plain(pieces, n, rows)
        if rows >= 2 * len(pieces):
            seen.append(np.diff(edges, axis=0).sum(axis=1).max() / rows)
        return edges

    monkeypatch.setattr(external, "_edges", watched)
    count_ngrams_external(zipf(20_000, 50), 4, 50, memory="100kB", folder=tmp_path)
    assert len(seen) == 3
    assert max(seen) <= 1.0


@pytest.mark.parametrize(
    ("memory", "error"), [("much", InvalidValue), (0, InvalidValue), (1.5, InvalidType)]
)
def test_memory_is_a_size(tmp_path, memory, error):
    with pytest.raises(error, match="memory"):
        count_ngrams_external(zipf(9, 3), 2, 3, memory=memory, folder=tmp_path)
