"""IBM model 1 against its definition, and an example that people can follow."""

import pytest

from throughtime.errors import DataError, InvalidValue
from throughtime.models import word_table
from throughtime.models.word_table import WordTable

PAIRS = [
    (["das", "haus", "ist", "klein"], ["the", "house", "is", "small"]),
    (["das", "buch"], ["the", "book"]),
    (["ein", "buch", "ist", "klein", "klein"], ["a", "small", "small", "book", "is"]),
    (["das", "haus"], ["the", "house"]),
]


def by_definition(pairs, iterations):
    """Expectation maximisation in loops over words (Brown et al., 1993)."""
    p = {(s, t): 1.0 for source, target in pairs for s in source for t in target}
    for _ in range(iterations):
        counts = dict.fromkeys(p, 0.0)
        for source, target in pairs:
            for t in target:
                total = sum(p[s, t] for s in source)
                for s in source:
                    counts[s, t] += p[s, t] / total
        sums = {}
        for (s, _), count in counts.items():
            sums[s] = sums.get(s, 0.0) + count
        p = {(s, t): count / sums[s] for (s, t), count in counts.items()}
    return p


@pytest.mark.parametrize("iterations", [1, 5])
def test_best_words(iterations):
    p = by_definition(PAIRS, iterations)
    best = WordTable(PAIRS, iterations).best
    assert set(best) == {s for source, _ in PAIRS for s in source}
    for s, t in best.items():
        assert p[s, t] == pytest.approx(max(q for (a, _), q in p.items() if a == s))


def test_words_stand_for_words():
    table = WordTable(PAIRS)
    assert table.translate(["ein", "buch", "neu", "das", "haus"]) == (
        ["a", "book", "neu", "the", "house"]
    )


def test_as_many_as_fit(monkeypatch):
    monkeypatch.setattr(word_table, "MOST_CELLS", 20)
    assert set(WordTable(PAIRS).best) == {"das", "haus", "ist", "klein", "buch"}


def test_bad_arguments():
    with pytest.raises(DataError, match="no pair has words on both sides"):
        WordTable([([], ["a"]), (["a"], [])])
    with pytest.raises(InvalidValue, match="iterations"):
        WordTable(PAIRS, 0)
