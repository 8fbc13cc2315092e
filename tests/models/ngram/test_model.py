"""An n-gram model as a language model: texts, lines, states and errors."""

import itertools

import numpy as np
import pytest
import torch

from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models import LanguageModelProtocol, NGramLM, evaluate, log_prob
from throughtime.models.ngram import model as model_file
from throughtime.models.ngram.tables import Level


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


def test_arrays_and_mapped_files_are_texts_too(tmp_path):
    text = np.array([0, 1, 2, 0, 0, 1, 1, 0, 2, 2, 1], dtype=np.uint16)
    text.tofile(tmp_path / "text")
    mapped = np.memmap(tmp_path / "text", dtype=np.uint16, mode="r")
    tensor = torch.from_numpy(text.astype(np.int64))
    want = NGramLM(3, vocabulary_size=3).fit(tensor).score(tensor)
    for same in (text, mapped):
        given = NGramLM(3, vocabulary_size=3).fit(same).score(same)
        assert torch.equal(given, want)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_long_texts_are_scored_in_parts(monkeypatch, order):
    text = np.random.default_rng(0).integers(0, 3, 50)
    model = NGramLM(order, vocabulary_size=3).fit(text)
    whole = model.score(text)
    monkeypatch.setattr(model_file, "CHUNK", 7)
    assert torch.equal(model.score(text), whole)


def test_histories_are_cut_between_lines():
    text = torch.tensor([1, 2, 0, 2, 1, 1, 0, 1, 2, 2, 0, 0, 2, 1, 0])
    model = NGramLM(4, vocabulary_size=3).fit(text, boundary=0)
    assert model.boundary == 0
    alone, _ = model.next_log_probs(torch.tensor([[0], [1]]), model.initial_state(1))
    for before in ([1, 2], [2, 1, 1], [0]):
        tokens = torch.tensor([*before, 0, 1]).unsqueeze(1)
        after, _ = model.next_log_probs(tokens, model.initial_state(1))
        assert torch.equal(after[-2:], alone)
    stream = NGramLM(4, vocabulary_size=3).fit(text)
    tokens = torch.tensor([[1], [1], [0], [1]])
    after, _ = stream.next_log_probs(tokens, stream.initial_state(1))
    first, _ = stream.next_log_probs(tokens[-2:], stream.initial_state(1))
    assert not torch.allclose(after[-2:], first)


def test_a_model_of_given_levels():
    model = small_model()
    same = NGramLM.from_levels(model.levels, boundary=1, smoothing="katz", k=3)
    assert (same.order, same.vocabulary_size, same.boundary) == (3, 3, 1)
    assert (same.smoothing, same.estimator.k) == ("katz", 3)
    text = torch.tensor([2, 0, 0, 1, 2, 2])
    assert torch.equal(same.score(text), model.score(text))
    assert model.normalised
    assert same.normalised
    one = Level(np.arange(2), np.array([0, 2]), np.log([0.5, 0.5]), np.zeros(2))
    two = Level(np.array([1]), np.array([0, 1, 1]), np.log([0.8]))
    assert not NGramLM.from_levels([one, two]).normalised


def test_a_text_shorter_than_the_order():
    model = NGramLM(5, vocabulary_size=3).fit(torch.tensor([0, 1]))
    assert len(model.levels) == 2
    lines = NGramLM(5, vocabulary_size=3).fit(torch.tensor([0, 1] * 4), boundary=1)
    assert [order.ngrams for order in lines.storage()] == [3, 2, 1]
    assert lines.score(torch.tensor([1, 0, 1, 2])).isfinite().all()


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
    with pytest.raises(InvalidValue, match="empty vocabulary: .* got 0"):
        NGramLM(2, vocabulary_size=0)
    with pytest.raises(InvalidType, match="tokens should be integers, got float64"):
        NGramLM(2, vocabulary_size=3).fit(np.zeros(3))
    with pytest.raises(InvalidValue, match=r"tokens must lie in \[0, 3\), got .* 3"):
        NGramLM(2, vocabulary_size=3).fit(np.array([0, 3]))
    for boundary in (3, -1, "<eos>", True):
        with pytest.raises(InvalidValue, match=r"boundary must be a token in \[0, 3\)"):
            NGramLM(2, vocabulary_size=3).fit(np.array([0, 1]), boundary=boundary)
    with pytest.raises(InvalidValue, match="levels is empty"):
        NGramLM.from_levels([])
    model = small_model()
    for outside in (3, -1):
        with pytest.raises(InvalidValue, match=r"tokens must lie in \[0, 3\)"):
            model.next_log_probs(torch.tensor([[outside]]), model.initial_state(1))
    with pytest.raises(InvalidShape, match=r"got \(1, 2\) and \(0, 1\)"):
        model.next_log_probs(torch.tensor([[0, 1]]), model.initial_state(1))
    with pytest.raises(InvalidValue, match="batch_size must be greater than zero"):
        model.initial_state(0)
