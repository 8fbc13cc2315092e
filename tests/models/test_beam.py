"""Beam search against all texts of small models."""

import itertools
import math

import pytest
import torch

from tests.models.toy import TABLE, Markov
from throughtime.errors import InvalidValue
from throughtime.models import NGramLM, beam_search, generate, log_prob

MODEL = Markov(TABLE)
START = torch.tensor([0])
# P(next) depends on the last two tokens, so the state matters.
TRIGRAM = NGramLM(3, vocabulary_size=3).fit(
    torch.tensor([0, 1, 2, 0, 0, 1, 1, 0, 2, 2, 1, 0, 0, 2, 0, 0, 1, 2, 2, 2])
)


def slow_beam(prompt, length, beam_size):
    """Beams of TRIGRAM by scoring every candidate from its first token on."""

    def value(text):
        tokens = torch.tensor(text).unsqueeze(1)
        return log_prob(TRIGRAM, tokens, start=torch.tensor(prompt)).item()

    texts = [()]
    for _ in range(length):
        candidates = [(*text, token) for text in texts for token in range(3)]
        texts = sorted(candidates, key=value, reverse=True)[:beam_size]
    return [(list(text), value(text)) for text in texts]


@pytest.mark.parametrize("beam_size", [1, 2, 4, 81])
def test_beam_of_a_model_with_state(beam_size):
    """Against full scores; 81 = 3^4 is all texts."""
    found = beam_search(TRIGRAM, torch.tensor([1, 2]), 4, beam_size=beam_size)
    want = slow_beam([1, 2], 4, beam_size)
    got = [(h.tokens.tolist(), h.log_prob) for h in found]
    assert [p for _, p in got] == pytest.approx([p for _, p in want], abs=1e-12)
    assert len(found) == beam_size
    for text, p in got:
        tokens = torch.tensor(text).unsqueeze(1)
        full = log_prob(TRIGRAM, tokens, start=torch.tensor([1, 2])).item()
        assert p == pytest.approx(full, abs=1e-12)
    if beam_size == 1:
        greedy = generate(TRIGRAM, torch.tensor([1, 2]), 4, method="greedy")
        assert got[0][0] == greedy.tolist()


def test_exhaustive_beam_finds_everything():
    found = beam_search(MODEL, START, 3, beam_size=27)
    assert len(found) == 27
    every = list(itertools.product(range(3), repeat=3))
    scores = {
        text: math.log(
            math.prod(TABLE[a][b] for a, b in itertools.pairwise((0, *text)))
        )
        for text in every
    }
    for hypothesis in found:
        want = scores[tuple(hypothesis.tokens.tolist())]
        assert hypothesis.log_prob == pytest.approx(want, abs=1e-12)
    ranked = sorted(scores.values(), reverse=True)
    assert [h.log_prob for h in found] == pytest.approx(ranked, abs=1e-12)


def test_beam_of_one_is_greedy():
    (only,) = beam_search(MODEL, START, 4, beam_size=1)
    assert only.tokens.tolist() == [1, 0, 1, 0]


def test_beam_ends_at_the_end_token():
    best = beam_search(MODEL, START, 5, beam_size=9, end_index=2)
    assert all(2 not in h.tokens[:-1].tolist() for h in best)
    single = [h for h in best if h.tokens.tolist() == [2]]
    assert single[0].log_prob == pytest.approx(math.log(0.3))
    ranked = beam_search(MODEL, START, 5, beam_size=9, end_index=2, length_penalty=1.0)
    for h in ranked:
        assert h.score == pytest.approx(h.log_prob / len(h.tokens))


def test_rules_of_ones_own():
    """No token twice in a row: against all texts that keep to it."""

    def no_repetition(produced):
        return [token for token in range(3) if token not in produced[-1:]]

    every = [
        (h.tokens.tolist(), h.log_prob)
        for h in beam_search(MODEL, START, 3, beam_size=27)
        if all(a != b for a, b in itertools.pairwise(h.tokens.tolist()))
    ]
    found = beam_search(MODEL, START, 3, beam_size=27, constraint=no_repetition)
    assert sorted((h.tokens.tolist(), h.log_prob) for h in found) == sorted(every)
    text = generate(MODEL, START, 50, constraint=no_repetition).tolist()
    assert all(a != b for a, b in itertools.pairwise(text))
    for bad in ([], [3]):
        with pytest.raises(InvalidValue, match="the constraint must allow tokens"):
            generate(MODEL, START, 1, constraint=lambda produced, bad=bad: bad)


def test_beam_never_produces_what_is_banned():
    every = beam_search(MODEL, START, 3, beam_size=27)
    want = [h.log_prob for h in every if 1 not in h.tokens.tolist()]
    found = beam_search(MODEL, START, 3, beam_size=27, banned=[1])
    assert [h.log_prob for h in found] == pytest.approx(want, abs=1e-12)


def test_length_penalties():
    """((5 + n) / 6)^α of Wu et al., equation 14; n^α."""
    for penalty, value in (
        ("power", lambda n: n**0.6),
        ("gnmt", lambda n: (5 + n) ** 0.6 / 6**0.6),
    ):
        found = beam_search(
            MODEL,
            START,
            4,
            beam_size=30,
            end_index=2,
            length_penalty=0.6,
            penalty=penalty,
        )
        for h in found:
            assert h.score == pytest.approx(h.log_prob / value(len(h.tokens)))
        assert [h.score for h in found] == sorted(h.score for h in found)[::-1]
    with pytest.raises(InvalidValue, match="unknown penalty 'none': known are power"):
        beam_search(MODEL, START, 1, penalty="none")
