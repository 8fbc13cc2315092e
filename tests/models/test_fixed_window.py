"""The language model with a fixed window against its equations written out."""

import itertools

import numpy as np
import pytest
import torch

from throughtime.cells import ACTIVATIONS
from throughtime.cells.activations import Activation
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.losses import cross_entropy, own_loss
from throughtime.models import (
    LanguageModel,
    LanguageModelConfig,
    LanguageModelProtocol,
    evaluate,
    generate,
    log_prob,
)
from throughtime.models.fixed_window import (
    FixedWindowConfig,
    FixedWindowLM,
    ParameterCount,
)
from throughtime.training import TrainingConfig, train

V = 5


def model(**options):
    torch.manual_seed(0)
    config = FixedWindowConfig(**{"hidden_size": 6, **options})
    return FixedWindowLM(V, config).double()


def tokens(steps=7, batch=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(V, (steps, batch), generator=generator)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("window", [1, 2, 4])
def test_equations(window, direct):
    """e = [e_1; ...; e_n], h = f(W e + b_1), ŷ = softmax(U h + D e + b_2), in numpy."""
    lm = model(window=window, embedding_size=3, direct=direct)
    w = {name: p.detach().numpy() for name, p in lm.named_parameters()}
    x = tokens().numpy()
    found = lm.next_log_probs(tokens(), lm.initial_state(3))[0].exp().detach().numpy()
    for t, b in np.ndindex(x.shape):
        e = np.zeros((window, 3))
        for i in range(max(0, t - window + 1), t + 1):
            one_hot = np.eye(V)[x[i, b]]
            e[window - 1 - (t - i)] = w["embedding_weight"].T @ one_hot
        e = e.reshape(-1)
        h = np.tanh(w["hidden.weight"] @ e + w["hidden.bias"])
        z = w["output_weight"] @ (np.append(h, e) if direct else h) + w["output_bias"]
        want = np.exp(z) / np.exp(z).sum()
        np.testing.assert_allclose(found[t, b], want, rtol=1e-12)


def test_weights_belong_to_places():
    """W e_t is the sum of W_i E x_{t-n+i}; the same word elsewhere counts otherwise."""
    lm = model(window=3, nonlinearity="identity", embedding_size=4)
    places = lm.position_weights()
    assert places.shape == (3, 6, 4)
    x = tokens(3, 1)
    want = lm.hidden.bias + sum(
        places[i] @ lm.embedding_weight[x[i, 0]] for i in range(3)
    )
    h, _ = lm.features(x)
    torch.testing.assert_close(h[-1, 0], want, rtol=1e-12, atol=1e-14)
    swapped, _ = lm.features(x[[1, 0, 2]])
    assert float((swapped[-1] - h[-1]).detach().abs().max()) > 1e-3


def test_nothing_before_the_window_is_seen():
    lm, x = model(window=3), tokens()
    y = x.clone()
    y[0] = (y[0] + 1) % V
    changed = (lm(x)[0] != lm(y)[0]).any(-1).any(-1)
    assert changed.tolist() == [True] * 3 + [False] * 4


@pytest.mark.parametrize("window", [1, 2, 4, 9])
def test_carried_state_equals_the_whole(window):
    lm, x = model(window=window), tokens(9)
    assert isinstance(lm, LanguageModelProtocol)
    whole, last = lm(x)
    for cuts in ((0, 4, 9), (0, 1, 2, 9)):
        state, parts = None, []
        for start, stop in itertools.pairwise(cuts):
            part, state = lm(x[start:stop], state)
            parts.append(part)
        torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-12, atol=1e-14)
        assert torch.equal(state, last)
    one = lm.select_state(last, torch.tensor([2]))
    assert torch.equal(one, last[:, 2:])
    scores = [evaluate(lm, x[:-1], x[1:], chunk=c).nats for c in (1, 3, 100)]
    assert scores == pytest.approx([scores[0]] * 3, rel=1e-12)


def test_probabilities_of_all_texts_add_up():
    lm = model(window=3)
    every = torch.tensor(list(itertools.product(range(V), repeat=3))).t()
    total = log_prob(lm, every, start=0).exp().sum().item()
    assert total == pytest.approx(1, abs=1e-12)
    assert len(generate(lm, torch.tensor([1]), 4)) >= 4


@pytest.mark.parametrize("nonlinearity", ACTIVATIONS)
def test_every_nonlinearity(nonlinearity):
    lm, x = model(nonlinearity=nonlinearity, window=1), tokens()
    z = lm.embedding_weight[x] @ lm.hidden.weight.T + lm.hidden.bias
    want = Activation(nonlinearity)(z, lm.alpha)
    torch.testing.assert_close(lm.features(x)[0], want, rtol=1e-12, atol=1e-14)
    assert (lm.alpha is not None) == (nonlinearity == "prelu")


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"direct": True}])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_own_loss_is_that_of_the_logits(options, reduction):
    lm = model(dropout=0.3, **options).train()
    assert own_loss(lm) is lm
    x, y = tokens(), tokens().flip(0)
    mask = torch.arange(21).reshape(7, 3) % 5 != 0
    found = []
    for own in (True, False):
        lm.zero_grad()
        torch.manual_seed(4)
        if own:
            h, _ = lm.features(x)
            loss = lm.features_loss(h, y, mask=mask, reduction=reduction)
        else:
            loss = cross_entropy(lm(x)[0], y, mask=mask, reduction=reduction)
        loss.sum().backward()
        found.append([loss, *(p.grad for p in lm.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_gradients_of_the_whole_model():
    """Truth: central differences."""
    lm = model(window=2, embedding_size=2, direct=True)
    x, names = tokens(4, 2), [name for name, _ in lm.named_parameters()]

    def loss(*values):
        logits, _ = torch.func.functional_call(
            lm, dict(zip(names, values, strict=True)), x
        )
        return cross_entropy(logits, x)

    assert torch.autograd.gradcheck(loss, tuple(lm.parameters()))


@pytest.mark.parametrize(
    "options",
    [{}, {"tied": True}, {"direct": True}, {"nonlinearity": "prelu"}],
)
def test_growth_with_the_window(options):
    """Truth: the parameters of models built with each window."""
    windows = [1, 2, 4, 8]
    rows = model(**options).parameter_growth(windows)
    for row, window in zip(rows, windows, strict=True):
        built = model(window=window, **options)
        assert row.total == sum(p.numel() for p in built.parameters())
        assert row.window == window
        assert row.embedding == built.embedding_weight.numel()
    steps = [
        (b.hidden - a.hidden) / (b.window - a.window)
        for a, b in itertools.pairwise(rows)
    ]
    assert steps == [6 * 6] * 3
    assert model().parameter_count() == ParameterCount(4, 30, 150, 35)


def test_a_recurrent_model_does_not_grow():
    """One matrix for all steps: texts of any length need the parameters of one step."""
    lm = LanguageModel(V, LanguageModelConfig(cell="elman", hidden_size=6))
    count = sum(p.numel() for p in lm.parameters())
    assert count == V * 6 + 2 * 6 * 6 + 2 * 6 + V * 6 + V
    for steps in (1, 50):
        assert lm(tokens(steps))[0].shape == (steps, 3, V)


@pytest.mark.parametrize(
    ("truncation", "memory"),
    [("chunked", None), ("chunked", "1MB"), ("sliding", None), ("full", None)],
)
def test_it_learns_a_cycle(truncation, memory):
    """0 0 1 2 0 0 1 2 ...: two words decide the next one, one word does not."""
    stream = torch.tensor([0, 0, 1, 2] * 16, dtype=torch.int32)
    x, y = (part[:, None].expand(-1, 2) for part in (stream[:-1], stream[1:]))
    options = {"tau": 8} if truncation != "full" else {}
    config = TrainingConfig(
        truncation=truncation,
        epochs=3 if truncation == "sliding" else 20 if options else 60,
        batch_size=2,
        optimizer="adam",
        learning_rate=0.05,
        memory=memory,
        **options,
    )
    losses = {}
    for window in (1, 2):
        lm = model(window=window).float()
        list(train(lm, (x, y), config))
        losses[window] = evaluate(lm.eval(), x, y).loss
    assert losses[2] < 0.2 < losses[1]


def test_config_round_trip_and_errors():
    config = FixedWindowConfig(window=3, nonlinearity="relu", direct=True)
    assert FixedWindowConfig.from_dict(config.to_dict()) == config
    for error, options, says in (
        (InvalidValue, {"window": 0}, "window must be greater than zero"),
        (InvalidType, {"window": 2.0}, "window should be of type int"),
        (InvalidType, {"direct": 1}, "direct should be of type bool"),
        (InvalidValue, {"dropout": 2}, "dropout should be a number in range"),
        (InvalidValue, {"nonlinearity": "tan"}, "unknown nonlinearity 'tan'"),
        (InvalidType, {"nonlinearity": 3}, "nonlinearity should be a name"),
        (InvalidValue, {"tied": True, "embedding_size": 3}, "tied=true needs"),
        (InvalidValue, {"tied": True, "direct": True}, "cannot be tied"),
    ):
        with pytest.raises(error, match=says):
            FixedWindowConfig(**options)
    with pytest.raises(InvalidValue, match="unknown option .* 'cell': known are win"):
        FixedWindowConfig.from_dict({"cell": "gru"})
    with pytest.raises(InvalidShape, match=r"state must be the last tokens, \(3, 2\)"):
        model()(tokens(4, 2), torch.zeros(2, 2, dtype=torch.long))
    with pytest.raises(InvalidShape, match=r"tokens must be \(T, B\)"):
        model()(tokens()[0])
    with pytest.raises(InvalidValue, match="window must be greater than zero"):
        model().parameter_count(0)
    own = FixedWindowConfig(hidden_size=6, direct=True, output="class")
    wide = FixedWindowLM(V, own, counts=torch.ones(V))
    assert wide.parameter_count().total == sum(p.numel() for p in wide.parameters())
    with pytest.raises(InvalidValue, match="only the window of the model itself, 4"):
        wide.parameter_count(5)
