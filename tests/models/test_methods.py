"""The methods of every language model against the sums of a small one."""

import itertools
import math

import pytest
import torch
from torch import nn

from tests.models.toy import TABLE, Markov
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models import LanguageModel, LanguageModelConfig
from throughtime.models.methods import LanguageModelMethods
from throughtime.models.mixture import Mixture


class Model(LanguageModelMethods, Markov):
    pass


MODEL = Model(TABLE)
TEXT = torch.tensor([0, 1, 1, 2])
WANT = math.log(0.6 * 0.25 * 0.25)


def test_log_prob():
    assert float(MODEL.log_prob(TEXT)) == pytest.approx(WANT, abs=1e-12)
    started = float(MODEL.log_prob(TEXT, start=2))
    assert started == pytest.approx(WANT + math.log(0.2), abs=1e-12)
    several = torch.stack([TEXT, TEXT.flip(0)], 1)
    second = math.log(0.2 * 0.25 * 0.5)
    got = MODEL.log_prob(several)
    assert got.tolist() == pytest.approx([WANT, second], abs=1e-12)
    got = MODEL.log_prob(several, start=torch.tensor([1, 2]))
    want = [WANT + math.log(0.2), second + math.log(0.6)]
    assert got.tolist() == pytest.approx(want, abs=1e-12)
    every = torch.tensor(list(itertools.product(range(3), repeat=3))).t()
    total = MODEL.log_prob(every, start=1).exp().sum().item()
    assert total == pytest.approx(1, abs=1e-12)


def test_perplexity_and_distribution():
    assert MODEL.perplexity(TEXT) == pytest.approx(math.exp(-WANT / 3), rel=1e-12)
    assert MODEL.next_distribution(TEXT).tolist() == pytest.approx(TABLE[2])
    impossible = Model([[0.0, 1.0, 0.0]] * 3)
    assert impossible.perplexity(TEXT) == math.inf
    with pytest.raises(InvalidValue, match="no target counts"):
        MODEL.perplexity(TEXT[:1])
    with pytest.raises(InvalidShape, match=r"tokens must be tokens \(n,\)"):
        MODEL.perplexity(TEXT[:, None])


def test_samples():
    """Shares of 20,000 draws within 4 standard errors; one draw is one text."""
    generator = torch.Generator().manual_seed(0)
    texts = MODEL.sample(TEXT, 2, count=20_000, generator=generator)
    assert texts.shape == (2, 20_000)
    for a, b in itertools.product(range(3), repeat=2):
        p = TABLE[2][a] * TABLE[a][b]
        share = ((texts[0] == a) & (texts[1] == b)).double().mean().item()
        assert abs(share - p) <= 4 * math.sqrt(p * (1 - p) / 20_000)
    assert MODEL.sample(TEXT, 5, method="greedy").tolist() == [2, 2, 2, 2, 2]
    with pytest.raises(InvalidValue, match="count must be greater than zero"):
        MODEL.sample(TEXT, 2, count=0)
    with pytest.raises(TypeError, match="temprature"):
        MODEL.sample(TEXT, 2, temprature=0.5)


def test_columns_of_a_sample_have_their_own_state():
    torch.manual_seed(0)
    config = LanguageModelConfig(hidden_size=4, init_range=3.0)
    model = LanguageModel(3, config).eval()
    texts = model.sample(TEXT, 6, count=4, generator=torch.Generator().manual_seed(1))
    assert len({tuple(text) for text in texts.t().tolist()}) > 1
    # Fed its own choices: the likeliest token after each text read from the start.
    greedy = model.sample(TEXT, 6, count=2, method="greedy")
    text = TEXT
    for token in greedy[:, 1]:
        assert int(model.next_distribution(text).argmax()) == int(token)
        text = torch.cat([text, token[None]])


def test_networks_answer_as_in_eval_mode_and_stay_in_theirs():
    torch.manual_seed(0)
    model = LanguageModel(3, LanguageModelConfig(hidden_size=4, dropout=0.5)).train()
    model.recurrent.eval()
    text = TEXT.repeat(5)
    mixture = Mixture([model, MODEL], [0.9, 0.1])
    for asked in (model, mixture):
        first = asked.perplexity(text)
        assert first == asked.perplexity(text)
        assert model.training
        assert not model.recurrent.training
    assert not model.log_prob(text).requires_grad
    assert isinstance(model, nn.Module)
