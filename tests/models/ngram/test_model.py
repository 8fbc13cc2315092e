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

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models import LanguageModelProtocol, NGramLM, evaluate, log_prob
from throughtime.models.ngram.kneser_ney import discounts


def slow_probability(text, order, size, history, word):
    """The definition of Chen and Goodman, with dictionaries and recursion."""
    order = min(order, len(text))
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
        n1, n2, n3, n4 = (values.count(k) for k in (1, 2, 3, 4))
        fallback = [0, 0.5, 1, 1.5]
        if 0 in (n1, n2, n3, n4):
            return fallback
        y = n1 / (n1 + 2 * n2)
        d = [0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        return d if all(value > 0 for value in d[1:]) else fallback

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


# Small texts are degenerate: they lack counts of 1, 2, 3 or 4 at some order.
texts = st.lists(st.integers(0, 3), min_size=1, max_size=60)
# Enough of an uneven text has them all at orders 1 and 2, so the formula is in use.
UNEVEN = (np.random.default_rng(0).geometric(0.3, size=300) - 1).clip(0, 11).tolist()


@settings(max_examples=60, deadline=None)
@given(texts, st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(1, 5))
def test_equals_the_slow_definition(text, history, order):
    model = NGramLM(order, vocabulary_size=4).fit(torch.tensor(text))
    tokens = torch.tensor(history).unsqueeze(1)
    log_probs, _ = model.next_log_probs(tokens, model.initial_state(1))
    for word in range(4):
        want = slow_probability(text, order, 4, history, word)
        assert math.exp(log_probs[-1, 0, word]) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equals_the_slow_definition_with_estimated_discounts(order):
    model = NGramLM(order, vocabulary_size=12).fit(torch.tensor(UNEVEN))
    for history in ([0], [3, 0, 1], UNEVEN[40:45], [11, 11, 11], [0, 0, 7, 2, 0]):
        tokens = torch.tensor(history).unsqueeze(1)
        log_probs, _ = model.next_log_probs(tokens, model.initial_state(1))
        want = [slow_probability(UNEVEN, order, 12, history, w) for w in range(12)]
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


def small_model():
    """A trigram model whose distributions differ from context to context."""
    text = [0, 1, 2, 0, 0, 1, 1, 0, 2, 2, 1, 0, 0, 2, 0, 0, 1, 2, 2, 2]
    return NGramLM(3, vocabulary_size=3).fit(torch.tensor(text))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_chain_rule_sums_to_one_over_all_texts(length):
    every = torch.tensor(list(itertools.product(range(3), repeat=length))).t()
    each = log_prob(small_model(), every, start=0).exp()
    assert each.sum().item() == pytest.approx(1, abs=1e-12)
    assert each.max() > 1.3 * each.min()


@pytest.mark.parametrize("chunk", [1, 2, 256])
def test_evaluation_equals_the_scores(chunk):
    model, tokens = small_model(), torch.tensor([2, 0, 0, 1, 2, 2, 1, 0, 1])
    score = evaluate(model, tokens[:-1, None], tokens[1:, None], chunk=chunk)
    assert score.nats == pytest.approx(-model.score(tokens).sum().item(), rel=1e-12)


def test_state_chunk_by_chunk():
    model = small_model()
    tokens = torch.tensor([[0, 1], [1, 2], [2, 2], [0, 0]])
    whole, _ = model.next_log_probs(tokens, model.initial_state(2))
    first, state = model.next_log_probs(tokens[:1], model.initial_state(2))
    second, state = model.next_log_probs(tokens[1:], state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert not torch.equal(whole[0, 0], whole[1, 0])
    assert torch.equal(state, tokens[-2:])
    one = model.select_state(state, torch.tensor([1]))
    assert torch.equal(one, state[:, 1:])
    assert isinstance(model, LanguageModelProtocol)


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


def test_errors():
    with pytest.raises(InvalidValue, match="counted nothing yet; call fit"):
        NGramLM(2, vocabulary_size=3).score(torch.tensor([0, 1]))
    with pytest.raises(InvalidValue, match=r"tokens must lie in \[0, 3\), got .* 5"):
        NGramLM(2, vocabulary_size=3).fit(torch.tensor([0, 5]))
    with pytest.raises(InvalidShape, match="one sequence"):
        NGramLM(2, vocabulary_size=3).fit(torch.zeros(0, dtype=torch.long))
    with pytest.raises(InvalidType, match="Tensor of integers, got torch.float32"):
        NGramLM(2, vocabulary_size=3).fit(torch.tensor([0.0, 1.5]))
    with pytest.raises(InvalidType, match="Tensor of integers, got list"):
        NGramLM(2, vocabulary_size=3).fit([0, 1])
    with pytest.raises(InvalidValue, match="order must be greater than zero"):
        NGramLM(0, vocabulary_size=3)
    model = small_model()
    for outside in (3, -1):
        with pytest.raises(InvalidValue, match=r"tokens must lie in \[0, 3\)"):
            model.next_log_probs(torch.tensor([[outside]]), model.initial_state(1))
    with pytest.raises(InvalidShape, match=r"got \(1, 2\) and \(0, 1\)"):
        model.next_log_probs(torch.tensor([[0, 1]]), model.initial_state(1))
    with pytest.raises(InvalidValue, match="batch_size must be greater than zero"):
        model.initial_state(0)


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
        # Contexts seen, unseen, and both in part.
        some = torch.stack([test[:20], torch.arange(0, 10_000, 500)], 1).roll(3, 0)
        log_probs, _ = model.next_log_probs(some, model.initial_state(2))
        ones = torch.ones(20, 2, dtype=torch.float64)
        torch.testing.assert_close(log_probs.exp().sum(-1), ones, rtol=0, atol=1e-9)


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
