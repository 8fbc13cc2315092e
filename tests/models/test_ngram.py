"""Modified Kneser-Ney: a slow dictionary version, sums of 1, and published figures."""

import gzip
import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models import LanguageModelProtocol, NGramLM, log_prob
from throughtime.models.ngram import discounts


def slow_probability(text, order, size, history, word):
    """The definition of Chen and Goodman, with dictionaries and recursion."""
    counts = {
        n: Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
        for n in range(1, order + 1)
    }
    for n in range(1, order):
        before = defaultdict(set)
        for gram in counts[n + 1]:
            before[gram[1:]].add(gram[0])
        # An n-gram only at the very start of the text follows nothing.
        counts[n] = Counter({g: len(before[g]) for g in counts[n]})

    def discount(n):
        values = list(counts[n].values())
        n_k = [0] + [values.count(k) for k in (1, 2, 3, 4)]
        y = n_k[1] / (n_k[1] + 2 * n_k[2]) if n_k[1] else 0.5
        d = [0.0]
        for k in (1, 2, 3):
            raw = k - (k + 1) * y * n_k[k + 1] / n_k[k] if n_k[k] else k * y
            d.append(min(max(raw, 0.1), k))
        return d

    def p(n, context):
        if n == 0:
            return 1 / size
        shorter = p(n - 1, context[1:])
        followers = {
            g[-1]: c for g, c in counts[n].items() if g[:-1] == context and c > 0
        }
        total = sum(followers.values())
        if total == 0:
            return shorter
        d = discount(n)
        gamma = sum(d[min(c, 3)] for c in followers.values()) / total
        c = followers.get(word, 0)
        return max(c - d[min(c, 3)], 0) / total + gamma * shorter

    longest = min(order - 1, len(history))
    # Back off while the context was never seen.
    while longest and tuple(history[-longest:]) not in {
        tuple(text[i : i + longest]) for i in range(len(text) - longest + 1)
    }:
        longest -= 1
    return p(longest + 1, tuple(history[len(history) - longest :]))


texts = st.lists(st.integers(0, 3), min_size=2, max_size=30)


@settings(max_examples=40, deadline=None)
@given(texts, st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(1, 4))
def test_equals_the_slow_definition(text, history, order):
    order = min(order, len(text))
    model = NGramLM(order, vocabulary_size=4).fit(torch.tensor(text))
    tokens = torch.tensor(history).unsqueeze(1)
    log_probs, _ = model.next_log_probs(tokens, model.initial_state(1))
    for word in range(4):
        want = slow_probability(text, order, 4, history, word)
        assert math.exp(log_probs[-1, 0, word]) == pytest.approx(want, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(texts, texts, st.integers(1, 5))
def test_distributions_sum_to_one_and_agree_with_scores(text, other, order):
    model = NGramLM(order, vocabulary_size=5).fit(torch.tensor(text))
    tokens = torch.tensor(other)
    log_probs, _ = model.next_log_probs(tokens[:-1, None], model.initial_state(1))
    torch.testing.assert_close(
        log_probs.exp().sum(-1),
        torch.ones(len(other) - 1, 1, dtype=torch.float64),
        rtol=0,
        atol=1e-9,
    )
    picked = log_probs[:, 0].gather(-1, tokens[1:, None])[:, 0]
    torch.testing.assert_close(model.score(tokens), picked, rtol=1e-12, atol=1e-12)


def test_chain_rule_sums_to_one_over_all_texts():
    model = NGramLM(3, vocabulary_size=3).fit(torch.tensor([0, 1, 2, 0, 1, 1, 0, 2]))
    every = torch.tensor(list(itertools.product(range(3), repeat=3))).t()
    total = log_prob(model, every, start=0).exp().sum().item()
    assert total == pytest.approx(1, abs=1e-12)


def test_state_chunk_by_chunk():
    model = NGramLM(3, vocabulary_size=3).fit(torch.tensor([0, 1, 2, 0, 1, 1, 0, 2]))
    tokens = torch.tensor([[0, 1], [1, 2], [2, 2], [0, 0]])
    whole, _ = model.next_log_probs(tokens, model.initial_state(2))
    first, state = model.next_log_probs(tokens[:1], model.initial_state(2))
    second, state = model.next_log_probs(tokens[1:], state)
    assert torch.equal(torch.cat([first, second]), whole)
    one = model.select_state(state, torch.tensor([1]))
    assert torch.equal(one, state[:, 1:])
    assert isinstance(model, LanguageModelProtocol)


def test_discounts_formula():
    # n_1..n_4 = 6, 3, 2, 1: Y = 6 / 12.
    counts = np.array([1] * 6 + [2] * 3 + [3] * 2 + [4])
    want = [0, 1 - 2 * 0.5 * 3 / 6, 2 - 3 * 0.5 * 2 / 3, 3 - 4 * 0.5 * 1 / 2]
    assert discounts(counts).tolist() == pytest.approx(want, abs=1e-15)


def test_errors():
    with pytest.raises(InvalidValue, match="counted nothing yet; call fit"):
        NGramLM(2, vocabulary_size=3).score(torch.tensor([0, 1]))
    with pytest.raises(InvalidValue, match=r"tokens must lie in \[0, 3\), got .* 5"):
        NGramLM(2, vocabulary_size=3).fit(torch.tensor([0, 5]))
    with pytest.raises(InvalidShape, match="one sequence"):
        NGramLM(2, vocabulary_size=3).fit(torch.zeros(0, dtype=torch.long))
    with pytest.raises(InvalidValue, match="order must be greater than zero"):
        NGramLM(0, vocabulary_size=3)


def test_penn_treebank_perplexity(data_folder):
    """Published: KN3 148.3, KN5 141.2 (Mikolov's thesis, table 4.1), within 1 %.

    All 82,430 test tokens as one stream, an independent count: 148.38 and 141.06.
    """

    def words(part):
        path = data_folder / "ptb" / f"ptb.{part}.txt.gz"
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        return [word for line in lines for word in [*line.split(), "<eos>"]]

    train = words("train")
    index = {word: i for i, word in enumerate(sorted(set(train)))}
    tokens = torch.tensor([index[word] for word in train])
    test = torch.tensor([index[word] for word in words("test")])
    for order, published, counted in ((3, 148.3, 148.38), (5, 141.2, 141.06)):
        model = NGramLM(order, vocabulary_size=len(index)).fit(tokens)
        # The first token has no history: its probability is the unigram's.
        first = NGramLM(1, vocabulary_size=len(index)).fit(tokens).score(test[[0, 0]])
        nats = -model.score(test).sum().item() - first.item()
        perplexity = math.exp(nats / len(test))
        assert perplexity == pytest.approx(published, rel=0.01)
        assert perplexity == pytest.approx(counted, abs=0.01)


def test_tiny_shakespeare_loss(data_folder):
    """An independent count, last 10 %: 1.5611 (order 5), 1.5165 (order 7) nats."""
    text = (data_folder / "tiny-shakespeare" / "input.txt").read_text()
    index = {c: i for i, c in enumerate(sorted(set(text)))}
    tokens = torch.tensor([index[c] for c in text])
    cut = int(len(text) * 0.9)
    for order, counted in ((5, 1.5611), (7, 1.5165)):
        model = NGramLM(order, vocabulary_size=65).fit(tokens[:cut])
        loss = -model.score(tokens[cut:]).mean().item()
        assert loss == pytest.approx(counted, abs=2e-4)
