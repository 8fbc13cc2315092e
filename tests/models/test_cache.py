"""The unigram cache against counts by hand, token by token."""

import itertools

import pytest
import torch

from tests.models.toy import TABLE, Markov
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models import NGramLM, evaluate
from throughtime.models.cache import UnigramCache
from throughtime.models.protocol import LanguageModelProtocol
from throughtime.models.scoring import log_prob, token_log_probs

GENERATOR = torch.Generator().manual_seed(0)
TEXT = torch.randint(3, (400,), generator=GENERATOR)


def by_hand(text, size, weight, decay):
    """P(next | past) after every token but the last, from the definition."""
    found = []
    for t in range(len(text) - 1):
        cache, total = [0.0] * 3, 0.0
        for age in range(min(size, t + 1)):
            share = decay**age
            cache[int(text[t - age])] += share
            total += share
        model = TABLE[int(text[t])]
        found.append(
            [
                (1 - weight) * p + weight * c / total
                for p, c in zip(model, cache, strict=True)
            ]
        )
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize(("size", "decay"), [(1, 1.0), (7, 1.0), (1000, 1.0), (9, 0.8)])
def test_counts_by_hand(size, decay):
    model = UnigramCache(Markov(TABLE), size=size, weight=0.3, decay=decay)
    assert isinstance(model, LanguageModelProtocol)
    want = by_hand(TEXT, size, 0.3, decay)
    got, _ = model.next_log_probs(TEXT[:-1, None], model.initial_state(1))
    torch.testing.assert_close(got[:, 0].exp(), want, rtol=1e-12, atol=1e-12)
    picked = want.gather(1, TEXT[1:, None])[:, 0]
    # The short way for whole texts crosses its chunks of 256 here.
    torch.testing.assert_close(token_log_probs(model, TEXT).exp(), picked)
    for chunk in (1, 50):
        score = evaluate(model, TEXT[:-1, None], TEXT[1:, None], chunk=chunk)
        assert score.nats == pytest.approx(-picked.log().sum().item(), rel=1e-12)


def test_sums_to_one_and_columns_are_apart():
    model = UnigramCache(Markov(TABLE), size=2, weight=0.4)
    every = torch.tensor(list(itertools.product(range(3), repeat=4))).t()
    together = log_prob(model, every, start=2)
    assert together.exp().sum().item() == pytest.approx(1, abs=1e-12)
    alone = torch.cat([log_prob(model, text[:, None], start=2) for text in every.t()])
    torch.testing.assert_close(together, alone)
    _, state = model.next_log_probs(every[:, :5], model.initial_state(5))
    chosen, read = torch.tensor([3, 1]), torch.tensor([[0, 2]])
    got, _ = model.next_log_probs(read, model.select_state(state, chosen))
    whole = torch.cat([every[:, chosen], read])
    want, _ = model.next_log_probs(whole, model.initial_state(2))
    torch.testing.assert_close(got[-1], want[-1])


def test_later_tokens_change_nothing_earlier():
    model = UnigramCache(Markov(TABLE), size=20, weight=0.4)
    changed = TEXT.clone()
    changed[300] = (changed[300] + 1) % 3
    before, after = token_log_probs(model, TEXT), token_log_probs(model, changed)
    assert torch.equal(before[:299], after[:299])
    assert before[299] != after[299]


def test_fit_is_the_best_of_a_grid():
    text = torch.cat([torch.zeros(100), torch.ones(100), torch.arange(100) % 3]).long()
    model = NGramLM(1, vocabulary_size=3).fit(text)
    fitted = UnigramCache.fit(model, text, sizes=(5, 50), decays=(1.0, 0.8))
    scores = {}
    for size, decay, i in itertools.product((5, 50), (1.0, 0.8), range(26)):
        tried = UnigramCache(model, size=size, decay=decay, weight=i / 25)
        scores[size, decay, i / 25] = tried.score(text).sum()
    best = max(scores, key=lambda key: scores[key])
    assert (fitted.size, fitted.decay) == best[:2]
    assert fitted.weight == pytest.approx(best[2], abs=0.04)
    assert fitted.score(text).sum() >= scores[best] - 1e-6


def test_errors():
    model = Markov(TABLE)
    for options, says in (
        ({"size": 0}, "size must be greater than zero"),
        ({"weight": 1.5}, r"weight should be a number in range \[0, 1\]"),
        ({"decay": 0}, r"decay should be a number in range \(0, 1\]"),
    ):
        with pytest.raises(InvalidValue, match=says):
            UnigramCache(model, **options)
    with pytest.raises(InvalidValue, match="sizes or decays is empty"):
        UnigramCache.fit(model, TEXT, sizes=())
    with pytest.raises(InvalidValue, match="no token can be predicted"):
        UnigramCache.fit(model, TEXT[:1])
    with pytest.raises(InvalidShape, match=r"tokens must be tokens \(n,\)"):
        UnigramCache.fit(model, TEXT[:, None])
