"""Kneser-Ney: small texts, the discounts, and published and counted figures."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.ngram.slow import Slow
from throughtime.models import NGramLM
from throughtime.models.ngram.kneser_ney import discounts

# Small texts are degenerate: they lack counts of 1, 2, 3 or 4 at some order.
texts = st.lists(st.integers(0, 3), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    texts,
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
    st.integers(1, 5),
    st.sampled_from([None, 0]),
)
@pytest.mark.parametrize("name", ["kneser-ney", "kneser-ney-single"])
def test_equals_the_slow_definition(name, text, history, order, boundary):
    model = NGramLM(order, vocabulary_size=4, smoothing=name)
    model.fit(torch.tensor(text), boundary=boundary)
    slow = Slow(text, len(model.levels), 4, boundary)
    tokens = torch.tensor(history).unsqueeze(1)
    log_probs, _ = model.next_log_probs(tokens, model.initial_state(1))
    want = slow(name, history)
    assert log_probs[-1, 0].exp().tolist() == pytest.approx(want, abs=1e-12)


def test_by_hand():
    """0 1 0 1 0 2: bigrams 01 twice, 10 twice, 02 once; each token follows one other.

    P_1(w) = (1 - 1/2) / 3 + 1/2 * 1/3 = 1/3. After 0: γ = (1 + 1/2) / 3, so P(1) =
    (2 - 1) / 3 + 1/2 * 1/3.
    """
    model = NGramLM(2, vocabulary_size=3).fit(torch.tensor([0, 1, 0, 1, 0, 2]))
    log_probs, _ = model.next_log_probs(torch.tensor([[0]]), model.initial_state(1))
    want = [1 / 6, 1 / 2, 1 / 3]
    assert log_probs[0, 0].exp().tolist() == pytest.approx(want, abs=1e-12)


def test_discounts_formula():
    # n_1..n_4 = 6, 3, 2, 1: Y = 6 / 12.
    counts = np.array([1] * 6 + [2] * 3 + [3] * 2 + [4])
    want = [0, 1 - 2 * 0.5 * 3 / 6, 2 - 3 * 0.5 * 2 / 3, 3 - 4 * 0.5 * 1 / 2]
    assert discounts(counts).tolist() == pytest.approx(want, abs=1e-15)


@pytest.mark.parametrize(
    "counts",
    [
        [1, 1, 2, 3],  # no count of 4
        [2, 3, 4],  # no count of 1
        [1] * 3 + [2] + [3] * 2 + [4],  # Y = 3/5, D_2 = 2 - 3 * 3/5 * 2 < 0
    ],
)
def test_discounts_where_the_formula_fails(counts):
    assert discounts(np.array(counts)).tolist() == [0, 0.5, 1, 1.5]


# Published for one continuous stream: KN3 148.3, KN5 141.2 (Mikolov's thesis, table
# 4.1). Counted independently: 148.38 and 141.06; lines independent, a trigram with one
# boundary before each: 148.28.
PENN_TREEBANK = [
    (3, False, 148.3, 148.38),
    (5, False, 141.2, 141.06),
    (3, True, 148.3, 148.28),
]


@pytest.mark.parametrize(("order", "lines", "published", "counted"), PENN_TREEBANK)
def test_penn_treebank_perplexity(penn_treebank, order, lines, published, counted):
    size, end, train, test = penn_treebank
    model = NGramLM(order, vocabulary_size=size)
    model.fit(train, boundary=end if lines else None)
    # All 82,430 test tokens: the first is read after the end of a line.
    nats = -model.score(np.concatenate([[end], test])).mean().item()
    assert math.exp(nats) == pytest.approx(published, rel=0.01)
    assert math.exp(nats) == pytest.approx(counted, abs=0.01)


def test_tiny_shakespeare_loss(data_folder):
    """An independent count, last 10 %: 1.5611 (order 5), 1.5165 (order 7) nats."""
    text = (data_folder / "tiny-shakespeare" / "input.txt").read_text()
    index = {c: i for i, c in enumerate(sorted(set(text)))}
    tokens = torch.tensor([index[c] for c in text])
    cut = int(len(text) * 0.9)
    for order, counted in ((5, 1.5611), (7, 1.5165)):
        model = NGramLM(order, vocabulary_size=65).fit(tokens[:cut])
        loss = -model.score(tokens[cut:]).mean().item()
        assert loss == pytest.approx(counted, abs=1e-4)
