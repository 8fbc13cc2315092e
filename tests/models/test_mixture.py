"""Mixtures against sums by hand, and their weights against a grid and the bound."""

import itertools
import math

import pytest
import torch

from tests.models.toy import TABLE, Markov
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models import LanguageModel, LanguageModelConfig, NGramLM, evaluate
from throughtime.models.mixture import Mixture, em_gain, fit_weights, mix
from throughtime.models.protocol import LanguageModelProtocol
from throughtime.models.scoring import log_prob, token_log_probs

TEXT = torch.tensor([0, 1, 2, 0, 0, 1, 1, 0, 2, 2, 1, 0, 0, 2, 0, 0, 1, 2, 2, 2])


def network():
    torch.manual_seed(0)
    return LanguageModel(3, LanguageModelConfig(hidden_size=4)).double().eval()


def mixture():
    models = [Markov(TABLE), NGramLM(3, vocabulary_size=3).fit(TEXT), network()]
    return Mixture(models, [0.5, 0.2, 0.3])


def test_probability_is_the_weighted_sum():
    mixed = mixture()
    assert isinstance(mixed, LanguageModelProtocol)
    want = sum(
        weight * token_log_probs(model, TEXT).exp()
        for model, weight in zip(mixed.models, mixed.weights, strict=True)
    )
    torch.testing.assert_close(token_log_probs(mixed, TEXT).exp(), want)
    column = TEXT.unsqueeze(1)
    for chunk in (3, 100):  # the state of every model is carried
        score = evaluate(mixed, column[:-1], column[1:], chunk=chunk)
        assert score.nats == pytest.approx(-want.log().sum().item(), abs=1e-12)
    log_probs, _ = mixed.next_log_probs(column, mixed.initial_state(1))
    picked = log_probs[:-1, 0].gather(1, column[1:])[:, 0]
    torch.testing.assert_close(picked.exp(), want)


def test_all_texts_sum_to_one():
    every = torch.tensor(list(itertools.product(range(3), repeat=3))).t()
    total = log_prob(mixture(), every, start=1).exp().sum().item()
    assert total == pytest.approx(1, abs=1e-12)


def test_state_of_selected_sequences():
    mixed = mixture()
    tokens = TEXT[:12].view(4, 3)
    _, state = mixed.next_log_probs(tokens, mixed.initial_state(3))
    chosen = torch.tensor([2, 0])
    read = torch.tensor([[1, 2]])
    got, _ = mixed.next_log_probs(read, mixed.select_state(state, chosen))
    whole = torch.cat([tokens[:, chosen], read])
    want, _ = mixed.next_log_probs(whole, mixed.initial_state(2))
    torch.testing.assert_close(got[-1], want[-1])


def log_probs(models=3, count=200):
    generator = torch.Generator().manual_seed(models)
    return list(torch.rand((models, count), generator=generator).double().log())


def test_em_never_falls_and_reaches_the_top_of_a_grid():
    found = log_probs(3)
    shares = torch.stack(found, 1).exp()
    weights, values = torch.full((3,), 1 / 3, dtype=torch.float64), []
    for _ in range(50):
        values.append(mix(found, weights.tolist()).mean().item())
        weights = weights * em_gain(shares, weights)
    assert all(b >= a - 1e-15 for a, b in itertools.pairwise(values))
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    fitted = fit_weights(found, tolerance=1e-10)
    best = mix(found, fitted).mean().item()
    steps = 60
    for i, j in itertools.product(range(steps + 1), repeat=2):
        if i + j <= steps:
            point = [i / steps, j / steps, (steps - i - j) / steps]
            assert mix(found, point).mean().item() <= best + 1e-10
    # In the interior the derivative along the simplex is 0: every g_m is 1.
    gain = em_gain(shares, torch.tensor(fitted, dtype=torch.float64))
    for g, weight in zip(gain.tolist(), fitted, strict=True):
        assert g == pytest.approx(1, abs=1e-4) if weight > 1e-3 else g <= 1 + 1e-9


def test_bound_on_what_is_left_to_gain():
    found = log_probs(2)
    shares = torch.stack(found, 1).exp()
    best = mix(found, fit_weights(found, tolerance=1e-13)).mean().item()
    for tolerance in (1e-2, 1e-4):
        value = mix(found, fit_weights(found, tolerance=tolerance)).mean().item()
        assert best - value <= tolerance
    for steps in (1, 3, 10):
        value = mix(found, fit_weights(found, tolerance=1e-13, max_steps=steps))
        assert best - value.mean().item() <= math.log(2) / steps
    for weight in (0.0, 0.2, 0.9):
        gap = best - mix(found, [weight, 1 - weight]).mean().item()
        point = torch.tensor([weight, 1 - weight], dtype=torch.float64)
        assert gap <= em_gain(shares, point).max().item() - 1 + 1e-12


def test_fit_finds_who_wrote_the_text():
    """Half of the tokens are certain for one model, half for the other."""
    a, b = torch.tensor([1.0, 1, 0, 0, 0]).log(), torch.tensor([0.0, 0, 1, 1, 0]).log()
    # The last token nobody can predict: it tells nothing.
    assert fit_weights([a, b]) == pytest.approx([0.5, 0.5], abs=1e-12)
    assert fit_weights([a[:3], b[:3]]) == pytest.approx([2 / 3, 1 / 3], abs=1e-6)
    mixed = Mixture.fit([NGramLM(1, vocabulary_size=3).fit(TEXT), Markov(TABLE)], TEXT)
    grid = [
        Mixture(mixed.models, [i / 100, 1 - i / 100]).score(TEXT).sum().item()
        for i in range(101)
    ]
    assert mixed.score(TEXT).sum().item() >= max(grid) - 1e-6


def test_a_weight_of_zero_and_probability_zero():
    impossible = torch.full((2,), -torch.inf)
    some = torch.tensor([0.25, 0.5]).log()
    for weights, want in (([0.0, 1.0], [0.25, 0.5]), ([0.5, 0.5], [0.125, 0.25])):
        got = mix([impossible, some], weights).exp().tolist()
        assert got == pytest.approx(want, rel=1e-6)
    assert mix([impossible, some], [1.0, 0.0]).exp().tolist() == [0.0, 0.0]


def test_errors():
    model = Markov(TABLE)
    other = NGramLM(2, vocabulary_size=4)
    for models, weights, says in (
        ([], [], "there is no model to mix"),
        ([model, other], [0.5, 0.5], r"one vocabulary, got vocabulary_size \[3, 4\]"),
        ([model], [0.5, 0.5], "one number per model, 1, got 2"),
        ([model, model], [0.5, 0.6], "must sum to 1, got 1.1"),
        ([model, model], [1.5, -0.5], r"weights\[0\] should be a number in range"),
        ([model, model], [1.0, math.nan], r"weights\[1\] should be a number in range"),
    ):
        with pytest.raises(InvalidValue, match=says):
            Mixture(models, weights)
    values = torch.zeros(3)
    with pytest.raises(InvalidValue, match="no model to weigh"):
        fit_weights([])
    with pytest.raises(InvalidShape, match=r"\(N,\) of one length"):
        fit_weights([values, values[:2]])
    with pytest.raises(InvalidValue, match="holds NaN"):
        fit_weights([values * math.nan])
    with pytest.raises(InvalidValue, match="no token can be predicted"):
        fit_weights([values - math.inf])
    with pytest.raises(InvalidValue, match="tolerance should be a number in range"):
        fit_weights([values], tolerance=0)
    with pytest.raises(InvalidValue, match="no token can be predicted"):
        Mixture.fit([model], TEXT[:1])
