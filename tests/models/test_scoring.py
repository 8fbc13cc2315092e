"""Scores of whole texts against sums by hand."""

import math

import pytest
import torch

from tests.models.toy import TABLE, Markov
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models import (
    LanguageModel,
    LanguageModelConfig,
    NGramLM,
    evaluate,
    generate,
    next_distribution,
)
from throughtime.models.beam import beam_search
from throughtime.models.scoring import summarise, token_log_probs

MODEL = Markov(TABLE)
TEXT = torch.tensor([0, 1, 1, 2, 0, 2, 2, 1, 0])
PAIRS = [TABLE[a][b] for a, b in zip(TEXT[:-1], TEXT[1:], strict=True)]


def test_token_log_probs_are_those_of_the_pairs():
    for chunk in (1, 3, 256):
        got = token_log_probs(MODEL, TEXT, chunk=chunk)
        torch.testing.assert_close(got, torch.tensor(PAIRS, dtype=torch.float64).log())
    assert token_log_probs(MODEL, TEXT[:1]).shape == (0,)
    with pytest.raises(InvalidShape, match=r"tokens must be tokens \(n,\)"):
        token_log_probs(MODEL, TEXT[:0])
    with pytest.raises(InvalidType, match="tokens should be a Tensor of integers"):
        token_log_probs(MODEL, TEXT / 2)
    with pytest.raises(InvalidValue, match="chunk must be greater than zero"):
        token_log_probs(MODEL, TEXT, chunk=0)


def test_short_ways_agree_with_the_distributions():
    """An n-gram model's own scores, and a network's own loss."""
    torch.manual_seed(0)
    config = LanguageModelConfig(hidden_size=4, num_layers=2)
    network = LanguageModel(3, config).double().eval()
    for model in (NGramLM(3, vocabulary_size=3).fit(TEXT), network):
        rows, _ = model.next_log_probs(TEXT[:-1, None], model.initial_state(1))
        want = rows[:, 0].gather(1, TEXT[1:, None])[:, 0]
        for chunk in (2, 256):
            got = token_log_probs(model, TEXT, chunk=chunk)
            torch.testing.assert_close(got, want.detach(), rtol=1e-11, atol=0)
            assert not got.requires_grad


def test_a_changed_distribution_is_not_passed_by():
    class Uniform(NGramLM):
        def next_log_probs(self, tokens, state):
            rows, state = super().next_log_probs(tokens, state)
            return torch.full_like(rows, 1 / 3).log(), state

    got = token_log_probs(Uniform(2, vocabulary_size=3).fit(TEXT), TEXT)
    torch.testing.assert_close(got.exp(), torch.full_like(got, 1 / 3))


def test_unknowns_apart():
    targets = TEXT[1:]
    known = [p for p, token in zip(PAIRS, targets, strict=True) if token != 2]
    want = math.prod(known) ** (-1 / len(known))
    for score in (
        summarise(token_log_probs(MODEL, TEXT), targets, unknown_index=2),
        evaluate(MODEL, TEXT[:-1, None], targets[:, None], unknown_index=2),
    ):
        assert score.perplexity == pytest.approx(math.prod(PAIRS) ** (-1 / 8))
        assert (score.tokens, score.impossible) == (8, 0)
        assert score.known.tokens == len(known) == 5
        assert score.known.perplexity == pytest.approx(want, rel=1e-12)
    assert summarise(torch.zeros(2), targets[:2]).known is None
    with pytest.raises(InvalidValue, match="every target is the unknown token 1"):
        summarise(torch.zeros(2), torch.ones(2), unknown_index=1)
    with pytest.raises(InvalidShape, match="must have one shape"):
        summarise(torch.zeros(2), targets)


def test_infinite_only_where_a_probability_is_0():
    model = Markov([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    text = torch.tensor([0, 0, 1, 1, 0, 2, 2])
    score = evaluate(model, text[:-1, None], text[1:, None], unknown_index=2)
    assert (score.perplexity, score.impossible) == (math.inf, 2)
    assert (score.known.perplexity, score.known.impossible) == (math.inf, 1)
    fine = evaluate(model, text[:2, None], text[1:3, None])
    assert (fine.nats, fine.impossible) == (pytest.approx(math.log(4)), 0)


def test_prompts_a_model_cannot_read():
    class Limited(Markov):
        max_prompt = 3

    model = Limited(TABLE)
    assert next_distribution(model, TEXT[:3]).tolist() == pytest.approx(TABLE[1])
    for ask in (
        lambda prompt: next_distribution(model, prompt),
        lambda prompt: generate(model, prompt, 1),
        lambda prompt: beam_search(model, prompt, 1),
    ):
        with pytest.raises(
            InvalidValue, match="has 4 tokens, and the model can read 3"
        ):
            ask(TEXT[:4])
