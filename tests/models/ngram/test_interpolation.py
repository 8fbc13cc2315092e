"""Weights of linear interpolation: given, and fitted to a held-out text."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from tests.models.ngram.slow import SIZE, UNEVEN
from throughtime.errors import InvalidValue
from throughtime.models import NGramLM
from throughtime.models.ngram.counts import count_ngrams
from throughtime.models.ngram.interpolation import Interpolation, buckets_of

HELD_OUT = [*UNEVEN[7:200:3], 12, *UNEVEN[5::4]]


def model(order=2, **options):
    return NGramLM(order, vocabulary_size=SIZE, smoothing="interpolation", **options)


def test_by_hand():
    """0 1 0 1 1, weights 1/2, 1/4, 1/4 of V = 4: after 0 always 1, and 1 is 3/5."""
    ours = NGramLM(
        2, vocabulary_size=4, smoothing="interpolation", weights=(0.5, 0.25, 0.25)
    ).fit(torch.tensor([0, 1, 0, 1, 1]))
    p = ours.score(torch.tensor([0, 1, 2, 1])).exp().tolist()
    # After 2, which never occurred, orders 1 and 0 share alike.
    want = [0.5 + 0.25 * 0.6 + 0.25 / 4, 0.25 / 4, 0.5 * 0.6 + 0.5 / 4]
    assert p == pytest.approx(want, abs=1e-15)


def test_weights_without_uniform_leave_unseen_tokens_impossible():
    ours = model(weights=(0.7, 0.3)).fit(torch.tensor(UNEVEN))
    assert ours.zeros(torch.tensor([0, 12, 0])) == 1


@pytest.mark.parametrize(("buckets", "boundary"), [(1, None), (3, None), (3, 0)])
def test_fitted_weights_are_the_most_likely(buckets, boundary):
    """Against a general optimiser, on the likelihood with one count on each side."""
    ours = model(buckets=buckets)
    ours.fit(torch.tensor(UNEVEN), held_out=torch.tensor(HELD_OUT), boundary=boundary)
    counts = count_ngrams(np.array(UNEVEN), 2, SIZE, boundary=boundary)
    text = np.array(HELD_OUT if boundary is None else [boundary, *HELD_OUT])

    def loss(logits):
        mu = 1 / (1 + np.exp(-logits.reshape(2, buckets)))
        trust = tuple(map(tuple, mu.tolist()))
        levels = Interpolation(buckets=buckets, trust=trust).levels(counts)
        other = NGramLM.from_levels(levels, smoothing="interpolation")
        nats = -other.score(text).sum().item()
        if boundary is None:
            # The first token is held out as well; score only reads it.
            nats -= levels[0].log_p[text[0]]
        return nats - np.log(mu * (1 - mu)).sum()

    best = minimize(loss, np.zeros(2 * buckets), tol=1e-10)
    want = 1 / (1 + np.exp(-best.x.reshape(2, buckets)))
    np.testing.assert_allclose(ours.estimator.trust, want, atol=2e-3)
    assert np.ptp(want) > 0.1


def test_buckets_double():
    total = np.array([0, 1, 2, 3, 4, 7, 8, 1000])
    assert buckets_of(total, 4).tolist() == [-1, 0, 1, 1, 2, 2, 3, 3]


def test_errors():
    with pytest.raises(InvalidValue, match="weights must sum to 1, got .* sum to 0.9"):
        model(weights=(0.6, 0.3))
    with pytest.raises(InvalidValue, match="weights should be a number in range"):
        model(weights=(1.5, -0.5))
    with pytest.raises(InvalidValue, match=r"weights must be 2 .* or 3 .* got 4"):
        model(weights=(0.25,) * 4).fit(torch.tensor(UNEVEN))
    with pytest.raises(InvalidValue, match="needs its weights: give them, or a held-"):
        model().fit(torch.tensor(UNEVEN))
    with pytest.raises(InvalidValue, match="'katz' fits nothing to held_out"):
        NGramLM(2, vocabulary_size=SIZE, smoothing="katz").fit(
            torch.tensor(UNEVEN), held_out=torch.tensor(HELD_OUT)
        )
    with pytest.raises(InvalidValue, match=r"held_out must lie in \[0, 13\)"):
        model().fit(torch.tensor(UNEVEN), held_out=torch.tensor([13]))
