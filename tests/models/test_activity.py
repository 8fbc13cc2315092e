"""AR and TAR against their formulas, and the set-up they belong to."""

import pytest
import torch

from throughtime import kernels
from throughtime.errors import InvalidType, InvalidValue
from throughtime.layers import unroll
from throughtime.losses import cross_entropy
from throughtime.models import LanguageModel, LanguageModelConfig, evaluate
from throughtime.models.activity import activity_penalty
from throughtime.training import TrainingConfig, train

V = 7
ALPHA, BETA = 2.0, 1.0


def model(**options):
    torch.manual_seed(0)
    chosen = {
        "hidden_size": 5,
        "activation_regularization": ALPHA,
        "temporal_activation_regularization": BETA,
        **options,
    }
    return LanguageModel(V, LanguageModelConfig(**chosen)).double().train()


def tokens(steps=6, batch=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(V, (steps, batch), generator=generator)


@pytest.mark.parametrize("masked", [False, True])
def test_penalties_by_the_formula(masked):
    """Means over what counts, by loops; nothing else changes value or gradient."""
    generator = torch.Generator().manual_seed(2)
    h = torch.randn(4, 3, 5, generator=generator, dtype=torch.double)
    m = torch.rand(4, 3, 5, generator=generator, dtype=torch.double)
    mask = torch.arange(12).reshape(4, 3) % 5 != 1 if masked else None
    steps = [
        (t, b) for t in range(4) for b in range(3) if mask is None or bool(mask[t, b])
    ]
    size = [(m[t, b] * h[t, b]).square().mean() for t, b in steps]
    pairs = [(t, b) for t, b in steps if (t + 1, b) in steps]
    change = [(h[t, b] - h[t + 1, b]).square().mean() for t, b in pairs]
    want = ALPHA * sum(size) / len(size) + BETA * sum(change) / len(change)
    dropped = m * h
    if mask is not None:
        h = h.masked_fill(~mask.unsqueeze(-1), torch.nan)
        dropped = dropped.masked_fill(~mask.unsqueeze(-1), torch.nan)
    h = h.requires_grad_()
    for reduction, factor in (("mean", 1), ("sum", len(steps))):
        found = activity_penalty(
            dropped,
            h,
            activation=ALPHA,
            temporal=BETA,
            mask=mask,
            reduction=reduction,
        )
        assert found.item() == pytest.approx(factor * want.item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(found, h)
    assert bool(gradient.isfinite().all())


def test_one_step_has_no_change_and_nothing_no_penalty():
    h = torch.ones(1, 2, 3)
    none = torch.zeros(1, 2, dtype=torch.bool)
    for mask, want in ((None, 2.0), (none, 0.0)):
        found = activity_penalty(h, h, activation=2.0, temporal=1.0, mask=mask)
        assert found.item() == want


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_loss_of_training_has_them(reduction, tied):
    """α on the dropped output, β on the other, by the same draws, with gradients."""
    lm = model(output_dropout=0.5, dropout=0.2, tied=tied)
    x, y = tokens(), tokens().flip(0)
    found = []
    for own in (True, False):
        lm.zero_grad()
        torch.manual_seed(4)
        if own:
            features, _ = lm.features(x)
            assert features.shape == (6, 3, 10)
            loss = lm.features_loss(features, y, reduction=reduction)
        else:
            kept = []
            hook = lm.recurrent.register_forward_hook(
                lambda layer, args, result, kept=kept: kept.append(result[0])
            )
            logits, _ = lm(x)
            hook.remove()
            (h,) = kept
            torch.manual_seed(4)
            dropped, _ = lm.read(x, None)
            loss = cross_entropy(logits, y, reduction=reduction)
            penalty = ALPHA * dropped.pow(2).mean()
            penalty = penalty + BETA * (h[1:] - h[:-1]).pow(2).mean()
            loss = loss + penalty * (18 if reduction == "sum" else 1)
        loss.backward()
        found.append([loss, *(p.grad for p in lm.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_gradients_by_differences():
    lm = model()
    names = [name for name, _ in lm.named_parameters()]
    weights = [p.detach().clone().requires_grad_() for p in lm.parameters()]

    def loss(*values):
        with torch.no_grad():
            for name, value in zip(names, values, strict=True):
                lm.get_parameter(name).copy_(value)
        features, _ = lm.features(tokens(4, 2))
        return lm.features_loss(features, tokens(4, 2))

    value = loss(*weights)
    found = torch.autograd.grad(value, list(lm.parameters()))
    for i, (weight, gradient) in enumerate(zip(weights, found, strict=True)):
        direction = torch.randn_like(weight)
        ends = []
        for sign in (1, -1):
            moved = [w.detach() for w in weights]
            moved[i] = moved[i] + sign * 1e-5 * direction
            ends.append(loss(*moved).item())
        slope = (ends[0] - ends[1]) / 2e-5
        want = (gradient * direction).sum().item()
        assert slope == pytest.approx(want, rel=1e-6, abs=1e-9)


def test_evaluation_is_without():
    lm = model()
    plain = LanguageModel(V, LanguageModelConfig(hidden_size=5)).double()
    plain.load_state_dict(lm.state_dict())
    x = tokens()
    scores = [evaluate(m.eval(), x[:-1], x[1:]).nats for m in (lm, plain)]
    assert scores[0] == scores[1]
    features, _ = lm.features(x)
    assert features.shape == (6, 3, 5)
    lm.train()
    each = [m.features_loss(m.features(x)[0], x, reduction="none") for m in (lm, plain)]
    assert torch.equal(*each)


@pytest.mark.parametrize(
    "options",
    [
        {"truncation": "sliding", "tau": 4},
        {"tau": 6, "stride": 3},
        {"truncation": "random", "tau": 4},
        {"memory": "1MB", "tau": 6},
        {"tau": 6, "loss_reduction": "sum", "learning_rate": 1e-3},
    ],
)
def test_every_way_of_training_takes_them(options):
    lm, x = model().float(), tokens(19, 2)
    config = TrainingConfig(epochs=2, batch_size=2, optimizer="adam", **options)
    losses = [
        r.loss
        for r in train(lm, (x[:-1], x[1:]), config)
        if hasattr(r, "grad_norm") and not r.skipped
    ]
    assert len(losses) >= 2
    assert all(torch.isfinite(p).all() for p in lm.parameters())


# ---- layers of another last size, and the whole set-up


def test_the_last_layer_may_have_a_size_of_its_own():
    lm = model(num_layers=3, hidden_size=9, last_hidden_size=4, tied=True)
    sizes = [(cell.input_size, cell.hidden_size) for cell in lm.recurrent.cells]
    assert sizes == [(4, 9), (9, 9), (9, 4)]
    assert lm.embedding_weight is not None
    assert lm.embedding_weight.shape == (V, 4)
    free = model(num_layers=2, hidden_size=9, last_hidden_size=4)
    sizes = [(cell.input_size, cell.hidden_size) for cell in free.recurrent.cells]
    assert sizes == [(9, 9), (9, 4)]
    hot = model(num_layers=2, hidden_size=9, last_hidden_size=4, one_hot=True)
    assert hot.recurrent.input_size == V


def test_equal_sizes_are_the_usual_stack():
    same = model(num_layers=2, last_hidden_size=5)
    usual = model(num_layers=2)
    assert list(same.state_dict()) == list(usual.state_dict())
    same.load_state_dict(usual.state_dict())
    assert torch.equal(same.eval()(tokens())[0], usual.eval()(tokens())[0])


def test_parameters_of_the_published_awd_lstm():
    """24.2 million on Penn Treebank: Merity et al., arXiv 1708.02182, table 1 (24M)."""
    sizes = [(400, 1150), (1150, 1150), (1150, 400)]
    want = 10_000 * 400 + 10_000 + sum(4 * h * (i + h + 2) for i, h in sizes)
    config = LanguageModelConfig(
        hidden_size=1150, num_layers=3, last_hidden_size=400, tied=True
    )
    with torch.device("meta"):
        lm = LanguageModel(10_000, config)
    assert sum(p.numel() for p in lm.parameters()) == want == 24_221_600


def test_the_whole_set_up_trains(monkeypatch):
    """All regularisers of the AWD-LSTM at once, by the compiled core where it is."""
    torch.manual_seed(0)
    config = LanguageModelConfig(
        hidden_size=12,
        num_layers=3,
        last_hidden_size=8,
        tied=True,
        dropout=0.1,
        output_dropout=0.1,
        embedding_dropout=0.05,
        weight_drop=0.2,
        recurrent_dropout=0.1,
        variational=True,
        activation_regularization=0.2,
        temporal_activation_regularization=0.1,
    )
    lm = LanguageModel(V, config)
    if kernels.missing() is None:
        monkeypatch.setattr(unroll, "_by_torch", None)
    stream = torch.tensor([0, 1, 2, 3, 4, 5, 6, 3, 2] * 60)
    x, y = (part[:538].view(2, -1).t() for part in (stream[:-1], stream[1:]))
    training = TrainingConfig(
        tau=20, epochs=25, batch_size=2, optimizer="adam", learning_rate=0.02
    )
    list(train(lm, (x, y), training))
    loss = evaluate(lm.eval(), x, y).loss
    assert loss < 0.7


def test_errors():
    for error, options, says in (
        (InvalidValue, {"activation_regularization": -1}, "activation_regularization"),
        (
            InvalidType,
            {"temporal_activation_regularization": "x"},
            "temporal_activation_regularization should be a number",
        ),
        (InvalidValue, {"last_hidden_size": 3}, "last_hidden_size needs num_layers"),
        (InvalidValue, {"last_hidden_size": 0}, "last_hidden_size must be greater"),
        (
            InvalidValue,
            {
                "last_hidden_size": 3,
                "num_layers": 2,
                "tied": True,
                "embedding_size": 5,
            },
            "tied=true needs embedding_size equal to the features of h_t, 3",
        ),
        (
            InvalidValue,
            {"last_hidden_size": 3, "num_layers": 2, "residual": True},
            "residual=True needs layers of equal width",
        ),
    ):
        with pytest.raises(error, match=says):
            model(**options)
