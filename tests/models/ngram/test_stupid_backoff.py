"""Raw scores of stupid back-off, by their definition."""

import math

import pytest
import torch

from tests.models.ngram.slow import SIZE, UNEVEN, Slow
from throughtime.errors import InvalidValue
from throughtime.models import NGramLM


@pytest.mark.parametrize("boundary", [None, 0])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_raw_scores(order, boundary):
    model = NGramLM(order, vocabulary_size=SIZE, smoothing="stupid-backoff", alpha=0.3)
    model.fit(torch.tensor(UNEVEN), boundary=boundary)
    slow = Slow(UNEVEN, order, SIZE, boundary)
    text = [*UNEVEN[::-1], 12, 0, 0, 11, 3]
    raw = model.score_raw(torch.tensor(text)).exp().tolist()
    want = []
    for t in range(1, len(text)):
        past = text[:t]
        if boundary in past:
            past = past[t - 1 - past[::-1].index(boundary) :]
        context = tuple(past[max(0, len(past) - order + 1) :])
        want.append(slow.stupid_backoff(context, text[t], 0.3))
    assert raw == pytest.approx(want, rel=1e-9)


def test_by_hand():
    """0 1 0 1 0 2, α = 0.4: after 0 comes 1 twice in three, 2 never after 1."""
    model = NGramLM(2, vocabulary_size=3, smoothing="stupid-backoff")
    model.fit(torch.tensor([0, 1, 0, 1, 0, 2]))
    raw = model.score_raw(torch.tensor([0, 1, 2, 0])).exp().tolist()
    assert raw == pytest.approx([2 / 3, 0.4 / 6, 0.4 * 3 / 6], abs=1e-15)
    # S(· | 1) = 1, 0.4 * 2/6, 0.4 / 6: 1 + 0.4 / 2 in all.
    p = model.score(torch.tensor([1, 0])).item()
    assert math.exp(p) == pytest.approx(1 / 1.2, abs=1e-15)


def test_other_smoothings_have_no_raw_scores():
    model = NGramLM(2, vocabulary_size=SIZE).fit(torch.tensor(UNEVEN))
    with pytest.raises(InvalidValue, match="'kneser-ney' has no raw scores"):
        model.score_raw(torch.tensor([0, 1]))
