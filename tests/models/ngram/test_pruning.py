"""Pruned models: sums of 1, a slow definition, and what stays."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.ngram.slow import SIZE, UNEVEN
from throughtime.errors import InvalidType, InvalidValue
from throughtime.models import NGramLM
from throughtime.models.ngram.lower_orders import totals
from throughtime.models.ngram.pruning import prune
from throughtime.models.ngram.smoothing import SMOOTHINGS
from throughtime.models.ngram.tables import score, spell


def fitted(name="kneser-ney", order=3, text=UNEVEN, *, size=SIZE, **how):
    if name == "interpolation":
        how["held_out"] = torch.tensor(text[::-1])
    model = NGramLM(order, vocabulary_size=size, smoothing=name)
    return model.fit(torch.tensor(text), **how)


def grams(model, order):
    """The n-grams of an order as tuples, and their log p."""
    level = model.levels[order - 1]
    text = spell(model.levels[:order], np.arange(len(level.words)))
    return dict(zip(map(tuple, text.tolist()), level.log_p.tolist(), strict=True))


@pytest.mark.parametrize("boundary", [None, 0])
def test_rare_n_grams_go_and_the_others_keep_their_p(boundary):
    whole = fitted(boundary=boundary)
    pruned = fitted(boundary=boundary, prune=(1, 2, 3))
    text = UNEVEN if boundary is None else [boundary, *UNEVEN]
    for order, least in ((2, 2), (3, 3)):
        count = {
            gram: sum(
                tuple(text[i : i + order]) == gram for i in range(len(text) - order + 1)
            )
            for gram in grams(whole, order)
        }
        want = {g: p for g, p in grams(whole, order).items() if count[g] >= least}
        assert grams(pruned, order) == want
        assert 0 < len(want) < len(count)
    assert grams(pruned, 1) == grams(whole, 1)


def test_the_last_minimum_is_that_of_all_orders_above():
    short, long = fitted(order=4, prune=(1, 2)), fitted(order=4, prune=(1, 2, 2, 2))
    assert [len(grams(short, n)) for n in (1, 2, 3, 4)] == [
        len(grams(long, n)) for n in (1, 2, 3, 4)
    ]


def test_weights_make_up_for_what_went():
    """b(u) is what the followers that stay leave, by what they leave one order down."""
    model = fitted(prune=(1, 1, 2))
    p = {g: math.exp(v) for n in (2, 3) for g, v in grams(model, n).items()}
    backoff = model.levels[1].log_backoff
    for number, u in enumerate(grams(model, 2)):
        after = [g for g in p if g[:2] == u and len(g) == 3]
        left = 1 - sum(p[g] for g in after)
        unseen = 1 - sum(p[g[1:]] for g in after)
        assert math.exp(backoff[number]) == pytest.approx(left / unseen, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60),
    st.integers(1, 4),
    st.sampled_from([None, 0]),
    st.sampled_from([(1, 2), (1, 1, 2), (1, 3, 2)]),
    st.sampled_from([0.0, 1e-3, 0.03]),
)
@pytest.mark.parametrize("name", SMOOTHINGS)
def test_pruned_models_sum_to_one(name, text, order, boundary, prune, threshold):
    how = {"size": 5, "boundary": boundary}
    rare = fitted(name, order, text, prune=prune, **how)
    entropy = fitted(name, order, text, **how).pruned(threshold)
    for model in (rare, entropy, rare.pruned(threshold)):
        for total in totals(model.levels):
            np.testing.assert_allclose(total, 1, rtol=0, atol=1e-9)
        history = torch.tensor(text).unsqueeze(1)
        log_probs, _ = model.next_log_probs(history, model.initial_state(1))
        total = log_probs.exp().sum(-1)
        torch.testing.assert_close(
            total, torch.ones_like(total), rtol=0, atol=1e-9, msg=name
        )


@pytest.mark.parametrize("name", ["witten-bell", "katz", "kneser-ney"])
def test_relative_entropy_is_the_rise_of_the_model_s_own_entropy(name):
    """The n-grams that go are those whose loss alone costs less, by explicit sums.

    D = P(u) Σ_w P(w | u) (log P(w | u) - log P'(w | u)), where P' lacks one n-gram.
    """
    model = fitted(name, 2)
    levels = model.levels
    two = levels[1]
    loss = []
    for i in range(len(two.words)):
        keep = [np.ones(SIZE, dtype=bool), np.arange(len(two.words)) != i]
        without = prune(levels, keep)
        u = int(spell(levels, np.array([i]))[0, 0])
        history = np.array([[u] * SIZE, list(range(SIZE))])
        before, after = score(levels, history)[1], score(without, history)[1]
        d = math.exp(levels[0].log_p[u]) * (np.exp(before) * (before - after)).sum()
        loss.append(math.expm1(d))
    loss = np.array(loss)
    for threshold in np.quantile(loss, [0.1, 0.5, 0.9]) * 1.0001:
        stay = list(grams(model.pruned(float(threshold)), 2))
        want = [g for g, d in zip(grams(model, 2), loss, strict=True) if d >= threshold]
        assert stay == want
        assert 0 < len(want) < len(loss)


def test_contexts_of_what_stays_stay():
    model = fitted(order=4).pruned(3e-3)
    sizes = [len(grams(model, n)) for n in range(1, len(model.levels) + 1)]
    assert 0 < sizes[-1] < len(grams(fitted(order=4), 4))
    for order in range(2, len(model.levels) + 1):
        for gram in grams(model, order):
            assert gram[:-1] in grams(model, order - 1)


def test_nothing_goes_at_a_threshold_of_zero_in_a_whole_model():
    whole = fitted("witten-bell")
    text = torch.tensor(UNEVEN[::-1])
    # Some n-grams cost nothing, or less; without them the model itself is as good.
    torch.testing.assert_close(
        whole.pruned(0).score(text).sum(), whole.score(text).sum(), rtol=2e-3, atol=0
    )


def test_an_order_without_n_grams_goes():
    model = fitted(order=3, text=[0, 1, 2, 3, 0, 1], prune=(1, 2))
    assert [len(level.words) for level in model.levels] == [SIZE, 1]
    assert model.levels[-1].log_backoff is None
    assert model.score(torch.tensor([0, 1, 2])).isfinite().all()


def test_errors():
    with pytest.raises(InvalidType, match="prune should be a sequence .* got int"):
        fitted(prune=2)
    with pytest.raises(InvalidValue, match=r"prune must begin with 1.* got \(2, 2\)"):
        fitted(prune=(2, 2))
    with pytest.raises(InvalidValue, match="prune must be greater than zero, got 0"):
        fitted(prune=(1, 0))
    with pytest.raises(InvalidValue, match=r"prune must begin with 1.* got \(\)"):
        fitted(prune=())
    with pytest.raises(InvalidValue, match="threshold should be"):
        fitted().pruned(-1e-8)


def test_penn_treebank(penn_treebank):
    size, end, train, test = penn_treebank
    model = NGramLM(3, vocabulary_size=size, smoothing="katz").fit(train)
    text = np.concatenate([[end], test])
    whole = math.exp(-model.score(text).mean())
    smaller = model.pruned(1e-7)
    for total in totals(smaller.levels):
        np.testing.assert_allclose(total, 1, rtol=0, atol=1e-9)
    ngrams = [sum(order.ngrams for order in m.storage()) for m in (model, smaller)]
    # A third of the n-grams is worth 0.3 % of the perplexity.
    assert ngrams[1] < 0.7 * ngrams[0]
    assert math.exp(-smaller.score(text).mean()) < 1.003 * whole
