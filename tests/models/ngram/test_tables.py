"""Reading tables in back-off form: a dictionary, recursion, and sums of 1."""

import numpy as np
import pytest

from throughtime.models.ngram.tables import (
    Level,
    distributions,
    find,
    look_up,
    score,
    spell,
)

# V = 3: a b c. Order 2 knows "a b", "a c", "b a"; order 3 "a b a".
LEVELS = [
    Level(
        np.arange(3),
        np.array([0, 3]),
        np.log([0.5, 0.3, 0.2]),
        np.log([0.5, 0.4, 1.0]),
    ),
    Level(
        np.array([1, 2, 0]),
        np.array([0, 2, 3, 3]),
        np.log([0.6, 0.15, 0.8]),
        np.log([0.5, 1.0, 1.0]),
    ),
    Level(np.array([0]), np.array([0, 1, 1, 1]), np.log([0.9])),
]


def spelled(levels):
    """The tables as one dictionary from tuples to (p, backoff)."""
    table, below = {}, [()]
    for level in levels:
        grams = []
        for context, prefix in enumerate(below):
            for i in range(level.starts[context], level.starts[context + 1]):
                gram = (*prefix, int(level.words[i]))
                backoff = 0.0 if level.log_backoff is None else level.log_backoff[i]
                table[gram] = (level.log_p[i], backoff)
                grams.append(gram)
        below = grams
    return table


def slow(table, order, history, word):
    history = tuple(history[max(0, len(history) - order + 1) :])
    gram = (*history, word)
    if gram in table:
        return table[gram][0]
    return table.get(history, (0, 0.0))[1] + slow(table, order, history[1:], word)


def test_find_is_a_bisection_in_each_context():
    words, starts = np.array([1, 4, 7, 2, 0]), np.array([0, 3, 3, 4, 5])
    contexts = np.array([0, 0, 0, 0, 1, 2, 2, 3, -1])
    wanted = np.array([1, 7, 0, 8, 1, 2, 1, 0, 1])
    found = find(words, starts, contexts, wanted)
    assert found.tolist() == [0, 2, -1, -1, -1, 3, -1, 4, -1]


@pytest.mark.parametrize("types", [(np.int64, np.int64), (np.uint8, np.uint16)])
@pytest.mark.parametrize("most", [1, 2, 5, 40, 200])
def test_find_is_membership(types, most):
    rng = np.random.default_rng(most)
    followers = [
        np.sort(rng.choice(200, rng.integers(0, most + 1), replace=False))
        for _ in range(30)
    ]
    words = np.concatenate(followers).astype(types[0])
    starts = np.cumsum([0, *map(len, followers)]).astype(types[1])
    contexts = np.repeat(np.arange(-1, 30), 200)
    wanted = np.tile(np.arange(200), 31)
    expected = [
        starts[c] + list(followers[c]).index(w) if c >= 0 and w in followers[c] else -1
        for c, w in zip(contexts, wanted, strict=True)
    ]
    shuffled = rng.permutation(len(contexts))
    found = find(words, starts, contexts[shuffled], wanted[shuffled])
    np.testing.assert_array_equal(found, np.array(expected)[shuffled])


def test_find_in_blocks_is_find(monkeypatch):
    words, starts = LEVELS[1].words, LEVELS[1].starts
    contexts, wanted = np.indices((3, 3)).reshape(2, -1)
    whole = find(words, starts, contexts, wanted)
    monkeypatch.setattr("throughtime.models.ngram.tables.BLOCK", 2)
    np.testing.assert_array_equal(find(words, starts, contexts, wanted), whole)


@pytest.mark.parametrize("starts_type", [np.int64, np.uint32])
def test_spell_gives_the_tokens_of_each_number(starts_type):
    for n in (1, 2, 3):
        levels = [
            Level(level.words, level.starts.astype(starts_type), level.log_p)
            for level in LEVELS[:n]
        ]
        expected = [gram for gram in spelled(LEVELS) if len(gram) == n]
        numbers = np.arange(len(expected))[::-1]
        assert spell(levels, numbers).tolist() == [*map(list, expected[::-1])]


def test_score_is_the_recursion():
    text = np.random.default_rng(0).integers(0, 3, (50, 2))
    table = spelled(LEVELS)
    expected = [
        [slow(table, 3, text[:t, b].tolist(), int(text[t, b])) for b in range(2)]
        for t in range(50)
    ]
    np.testing.assert_allclose(score(LEVELS, text), expected, rtol=1e-13)


def test_distributions_hold_what_score_gives():
    history = np.random.default_rng(1).integers(0, 3, (9, 2))
    rows = distributions(LEVELS, history, 9)
    assert rows.shape == (9, 2, 3)
    given = score(LEVELS, history)
    picked = np.take_along_axis(rows[:-1], history[1:, :, None], -1)[..., 0]
    np.testing.assert_allclose(picked, given[1:], rtol=1e-13)
    np.testing.assert_array_equal(distributions(LEVELS, history, 2), rows[-2:])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_look_up_numbers_n_grams_by_place(order):
    text = np.array([0, 1, 0, 2])
    found = list(look_up(LEVELS, text))[order - 1][1].tolist()
    assert found == {1: [0, 1, 0, 2], 2: [-1, 0, 2, 1], 3: [-1, -1, 0, -1]}[order]
