"""The neural cache against its formula, step by step."""

import itertools
import math

import pytest
import torch

from tests.models.toy import TABLE, Markov
from throughtime.errors import InvalidType, InvalidValue
from throughtime.models import LanguageModel, LanguageModelConfig, evaluate
from throughtime.models.neural_cache import NeuralCache
from throughtime.models.protocol import LanguageModelProtocol
from throughtime.models.scoring import log_prob, token_log_probs

GENERATOR = torch.Generator().manual_seed(0)
TEXT = torch.randint(5, (60,), generator=GENERATOR)


def network(**options):
    torch.manual_seed(0)
    config = LanguageModelConfig(**{"hidden_size": 6, "init_range": 2.0, **options})
    return LanguageModel(5, config).double().eval()


def by_hand(model, text, size, weight, theta):
    """P(next | past) after every token but the last, from the definition."""
    with torch.no_grad():
        h, _ = model.features(text[:, None])
        base, _ = model.next_log_probs(text[:, None], model.initial_state(1))
    found = []
    for t in range(len(text) - 1):
        cache = torch.zeros(5, dtype=torch.float64)
        for i in range(max(0, t - size), t):
            cache[text[i + 1]] += math.exp(theta * float(h[t, 0] @ h[i, 0]))
        p = base[t, 0].exp()
        if t > 0:
            p = (1 - weight) * p + weight * cache / cache.sum()
        found.append(p)
    return torch.stack(found)


@pytest.mark.parametrize(
    ("size", "theta"), [(1, 1.0), (2, 0.0), (7, 0.5), (100, 0.0), (100, 2.0)]
)
def test_formula(size, theta):
    lm = network(tied=True, num_layers=2)
    model = NeuralCache(lm, size=size, weight=0.3, theta=theta)
    assert isinstance(model, LanguageModelProtocol)
    want = by_hand(lm, TEXT, size, 0.3, theta)
    picked = want.gather(1, TEXT[1:, None])[:, 0]
    for chunk in (1, 2, 9, 100):
        state, found = model.initial_state(1), []
        for part in TEXT[:-1, None].split(chunk):
            log_probs, state = model.next_log_probs(part, state)
            found.append(log_probs[:, 0].exp().detach())
        torch.testing.assert_close(torch.cat(found), want, rtol=1e-11, atol=1e-12)
        score = evaluate(model, TEXT[:-1, None], TEXT[1:, None], chunk=chunk)
        assert score.nats == pytest.approx(-picked.log().sum().item(), rel=1e-12)


def test_sums_to_one_and_columns_are_apart():
    model = NeuralCache(network(), size=2, weight=0.4, theta=1.0)
    every = torch.tensor(list(itertools.product(range(5), repeat=3))).t()
    together = log_prob(model, every, start=2)
    assert together.exp().sum().item() == pytest.approx(1, abs=1e-12)
    alone = [log_prob(model, text[:, None], start=2) for text in every.t()[:9]]
    torch.testing.assert_close(together[:9], torch.cat(alone))
    _, state = model.next_log_probs(every[:, :5], model.initial_state(5))
    chosen, read = torch.tensor([3, 1]), torch.tensor([[0, 2]])
    got, _ = model.next_log_probs(read, model.select_state(state, chosen))
    whole = torch.cat([every[:, chosen], read])
    want, _ = model.next_log_probs(whole, model.initial_state(2))
    torch.testing.assert_close(got[-1], want[-1])
    start = model.initial_state(2)
    assert model.select_state(start, torch.tensor([1])).tokens.shape == (0, 1)


def test_later_tokens_change_nothing_earlier():
    model = NeuralCache(network(), size=20, weight=0.4)
    changed = TEXT.clone()
    changed[40] = (changed[40] + 1) % 5
    before, after = token_log_probs(model, TEXT), token_log_probs(model, changed)
    assert torch.equal(before[:39], after[:39])
    assert not torch.equal(before[39:], after[39:])


def test_fit_is_the_best_of_a_grid():
    lm = network()
    text = torch.arange(600) // 40 % 5  # longer than a chunk
    fitted = NeuralCache.fit(lm.train(), text, size=30, thetas=(0.0, 0.5))
    assert lm.training
    lm.eval()
    scores = {
        (theta, i / 25): token_log_probs(
            NeuralCache(lm, size=30, theta=theta, weight=i / 25), text
        ).sum()
        for theta in (0.0, 0.5)
        for i in range(26)
    }
    best = max(scores, key=lambda key: scores[key])
    assert fitted.theta == best[0]
    assert fitted.weight == pytest.approx(best[1], abs=0.04)
    assert token_log_probs(fitted, text).sum() >= scores[best] - 1e-6


def test_errors():
    with pytest.raises(InvalidType, match="has features and features_loss, got Markov"):
        NeuralCache(Markov(TABLE))
    for options, says in (
        ({"size": 0}, "size must be greater than zero"),
        ({"weight": -0.1}, r"weight should be a number in range \[0, 1\]"),
        ({"theta": -1}, "theta should be a number in range"),
    ):
        with pytest.raises(InvalidValue, match=says):
            NeuralCache(network(), **options)
    with pytest.raises(InvalidValue, match="thetas is empty"):
        NeuralCache.fit(network(), TEXT, thetas=())
    with pytest.raises(InvalidValue, match="tokens has one token"):
        NeuralCache.fit(network(), TEXT[:1])
