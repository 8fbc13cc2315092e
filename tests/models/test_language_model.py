"""The recurrent language model against its equations written out."""

import itertools

import numpy as np
import pytest
import torch

from throughtime.cells import CELLS
from throughtime.errors import InvalidType, InvalidValue
from throughtime.losses import cross_entropy
from throughtime.models import (
    LanguageModel,
    LanguageModelConfig,
    LanguageModelProtocol,
    evaluate,
    log_prob,
)


def model(**options):
    torch.manual_seed(0)
    config = LanguageModelConfig(**{"hidden_size": 6, **options})
    return LanguageModel(5, config).double()


def tokens(steps=4, batch=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(5, (steps, batch), generator=generator)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("learned", [False, True])
def test_equations_of_the_textbook_model(learned, bias):
    """h = σ(W_h h + W_e e + b_1), ŷ = softmax(U h + b_2), e = E x, h^(0), in numpy.

    Mikolov et al., 2010. Without a bias the recurrent neuron f(W_h h + W_x x).
    """
    lm = model(
        cell="elman",
        cell_options={"nonlinearity": "sigmoid", "bias": bias},
        embedding_size=4,
        learned_initial_state=learned,
    )
    w = {name: p.detach().numpy() for name, p in lm.named_parameters()}
    if learned:
        w["recurrent.initial_h_l0"][:] = np.linspace(-1, 1, 6)
    assert ("recurrent.bias_ih_l0" in w) == bias
    b_1 = w["recurrent.bias_ih_l0"] + w["recurrent.bias_hh_l0"] if bias else 0.0
    x = tokens()
    found = lm.next_log_probs(x, lm.initial_state(3))[0].exp().detach().numpy()
    embedded = lm.embed(x).detach().numpy()
    for b in range(3):
        h = w["recurrent.initial_h_l0"] if learned else np.zeros(6)
        for t in range(4):
            one_hot = np.eye(5)[x[t, b]]
            e = w["embedding_weight"].T @ one_hot
            np.testing.assert_array_equal(embedded[t, b], e)
            a = w["recurrent.weight_hh_l0"] @ h + w["recurrent.weight_ih_l0"] @ e + b_1
            h = 1 / (1 + np.exp(-a))
            z = w["output_weight"] @ h + w["output_bias"]
            want = np.exp(z) / np.exp(z).sum()
            np.testing.assert_allclose(found[t, b], want, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"one_hot": True}])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_tokens_of_any_integer_type(options, dtype):
    """As they stream from a file: equal to long in logits and loss."""
    lm, x = model(**options), tokens()
    small = x.to(dtype)
    assert torch.equal(lm(small)[0], lm(x)[0])
    losses = [lm.features_loss(lm.features(t)[0], t) for t in (small, x)]
    assert torch.equal(*losses)
    scores = [evaluate(lm, t[:-1], t[1:]).nats for t in (small, x)]
    assert scores[0] == scores[1]
    with pytest.raises(InvalidType, match="targets should be of dtype long"):
        lm.features_loss(lm.features(x)[0], x.double())


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_a_language_model(cell):
    lm = model(cell=cell, num_layers=2)
    assert isinstance(lm, LanguageModelProtocol)
    log_probs, state = lm.next_log_probs(tokens(), lm.initial_state(3))
    torch.testing.assert_close(
        log_probs.exp().sum(-1), torch.ones(4, 3, dtype=torch.float64)
    )
    one = lm.select_state(state, torch.tensor([2]))
    torch.testing.assert_close(one[1].h, state[1].h[2:])
    every = torch.tensor(list(itertools.product(range(5), repeat=2))).t()
    assert log_prob(lm, every, start=0).exp().sum().item() == pytest.approx(
        1, abs=1e-12
    )


def test_carried_state_equals_the_whole():
    lm = model(num_layers=2)
    x = tokens(9)
    whole, _ = lm(x)
    first, state = lm(x[:4])
    second, _ = lm(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-12, atol=0)
    scores = [evaluate(lm, x[:-1], x[1:], chunk=c).nats for c in (1, 3, 100)]
    assert scores == pytest.approx([scores[0]] * 3, rel=1e-12)


def test_tied_weights_are_one_parameter():
    lm = model(tied=True)
    names = dict(lm.named_parameters())
    assert "output_weight" not in names
    logits, _ = lm(tokens())
    h, _ = lm.recurrent(lm.embed(tokens()))
    want = h @ names["embedding_weight"].T + names["output_bias"]
    torch.testing.assert_close(logits, want)


def test_one_hot_input_equals_an_embedding():
    hot, embedded = model(one_hot=True), model(embedding_size=5)
    with torch.no_grad():
        embedded.embedding_weight.copy_(torch.eye(5))
    embedded.load_state_dict(hot.state_dict(), strict=False)
    torch.testing.assert_close(hot(tokens())[0], embedded(tokens())[0])


def test_projection_sets_the_embedding_size():
    lm = model(cell_options={"projection": 3}, tied=True)
    assert lm.embedding_weight is not None
    assert lm.embedding_weight.shape == (5, 3)


def test_embedding_dropout_drops_whole_words():
    lm = model(embedding_dropout=0.5).train()
    torch.manual_seed(3)
    e = lm.embed(torch.arange(5)[:, None])[:, 0]
    assert lm.embedding_weight is not None
    for row, weight in zip(e, lm.embedding_weight, strict=True):
        assert not row.any() or torch.allclose(row, 2 * weight)
    assert {bool(row.any()) for row in e} == {True, False}


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.5},
        {"input_dropout": 0.5},
        {"output_dropout": 0.5},
        {"recurrent_dropout": 0.5},
        {"zoneout": 0.5},
        {"weight_drop": 0.5},
        {"embedding_dropout": 0.5},
        {"dropout": 0.5, "variational": True},
    ],
)
def test_dropouts_act_in_training_only(options):
    lm = model(num_layers=2, **options)
    assert not torch.equal(lm.train()(tokens())[0], lm(tokens())[0])
    assert torch.equal(lm.eval()(tokens())[0], lm(tokens())[0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    "options",
    [{}, {"tied": True}, {"one_hot": True}, {"tied": True, "embedding_dropout": 0.4}],
)
def test_own_loss_is_that_of_the_logits(options, reduction):
    """In value and gradients, dense where an optimiser looks, with a mask."""
    lm = model(**options).train()
    x, y = tokens(), tokens().flip(0)
    mask = torch.arange(12).reshape(4, 3) % 5 != 0
    found = []
    for own in (True, False):
        lm.zero_grad()
        torch.manual_seed(4)
        if own:
            h, (state,) = lm.features(x)
            loss = lm.features_loss(h, y, mask=mask, reduction=reduction)
        else:
            logits, (state,) = lm(x)
            loss = cross_entropy(logits, y, mask=mask, reduction=reduction)
        loss.sum().backward()
        gradients = [p.grad for p in lm.parameters()]
        assert all(g is not None and not g.is_sparse for g in gradients)
        found.append([loss, state.h, *gradients])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_scores_come_from_the_own_loss(monkeypatch):
    """Truth: log-probabilities of all tokens, picked."""
    lm, x = model(tied=True), tokens(6)
    mask = torch.arange(15).reshape(5, 3) % 4 != 0
    log_probs, _ = lm.next_log_probs(x[:-1], None)
    picked = log_probs.gather(-1, x[1:].unsqueeze(-1)).squeeze(-1)
    monkeypatch.setattr(LanguageModel, "next_log_probs", None)
    score = evaluate(lm, x[:-1], x[1:], mask, chunk=2)
    assert score.nats == pytest.approx(-picked[mask].sum().item(), rel=1e-12)
    given = log_prob(lm, x[1:, :1], start=x[:1, 0])
    torch.testing.assert_close(given, picked.sum(0)[:1], rtol=1e-12, atol=0)
    assert log_prob(lm, x[:0], start=0).tolist() == [0.0] * 3


def test_config_round_trip_and_errors():
    config = LanguageModelConfig(cell="gru", tied=True)
    assert LanguageModelConfig.from_dict(config.to_dict()) == config
    for error, options, says in (
        (InvalidValue, {"hidden_size": 0}, "hidden_size must be greater than zero"),
        (InvalidType, {"hidden_size": 1.5}, "hidden_size should be of type int"),
        (InvalidType, {"tied": 1}, "tied should be of type bool, got: int"),
        (InvalidValue, {"dropout": 2}, "dropout should be a number in range"),
        (
            InvalidValue,
            {"one_hot": True, "tied": True},
            "one_hot=true has no embedding",
        ),
    ):
        with pytest.raises(error, match=says):
            LanguageModelConfig(**options)
    with pytest.raises(
        InvalidValue, match="unknown option .* 'layers': known are cell"
    ):
        LanguageModelConfig.from_dict({"layers": 2})
    with pytest.raises(InvalidValue, match="unknown cell 'lstn': known are elman"):
        LanguageModel(5, LanguageModelConfig(cell="lstn"))
    with pytest.raises(InvalidValue, match="tied=true needs embedding_size equal"):
        model(tied=True, embedding_size=4)


def test_recompute_reaches_the_layers_and_changes_no_gradient():
    torch.manual_seed(0)
    usual = LanguageModel(9, LanguageModelConfig(hidden_size=6))
    saving = LanguageModel(9, LanguageModelConfig(hidden_size=6, recompute=True))
    saving.load_state_dict(usual.state_dict())
    assert saving.recurrent.recompute
    assert not usual.recurrent.recompute
    tokens = torch.randint(0, 9, (5, 3))
    found = (
        torch.autograd.grad(
            model(tokens)[0].logsumexp(-1).sum(), list(model.parameters())
        )
        for model in (usual, saving)
    )
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)
