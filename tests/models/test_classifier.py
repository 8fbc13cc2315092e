"""Pooling and classification of sequences."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from throughtime.errors import InvalidValue
from throughtime.models.classifier import Classifier, ClassifierConfig
from throughtime.models.front_ends import VectorFrontEnd
from throughtime.models.pooling import POOLINGS, Pooling

LENGTHS = torch.tensor([4, 1, 0])


def features():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, 2, generator=generator, dtype=torch.float64)


def slow(kind, sequence, pooling):
    """One sequence (T, D) by the equations, in plain loops."""
    if len(sequence) == 0:
        return torch.zeros(2, dtype=torch.float64)
    if kind == "last":
        return sequence[-1]
    if kind == "mean":
        return sum(sequence) / len(sequence)
    if kind == "max":
        return torch.stack([max(column) for column in sequence.t()])
    scores = [
        float(pooling.context(torch.tanh(pooling.score(h))).detach()) for h in sequence
    ]
    shares = [math.exp(s) / sum(math.exp(o) for o in scores) for s in scores]
    return sum(share * h for share, h in zip(shares, sequence, strict=True))


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_against_plain_loops(kind):
    pooling, x = Pooling(2, kind).double(), features()
    found = pooling(x, LENGTHS)
    for column, length in enumerate(LENGTHS.tolist()):
        expected = slow(kind, x[:length, column], pooling)
        torch.testing.assert_close(found[column], expected, rtol=1e-12, atol=1e-14)
    padding = torch.arange(4)[:, None] >= LENGTHS
    changed = x.masked_fill(padding.unsqueeze(-1), 9.0)
    torch.testing.assert_close(pooling(changed, LENGTHS), found)


@pytest.mark.parametrize("kind", POOLINGS)
def test_pooling_has_gradients_also_of_nothing(kind):
    pooling = Pooling(2, kind).double()
    x = features().requires_grad_()
    assert gradcheck(lambda x: pooling(x, LENGTHS), (x,))
    gradient = torch.autograd.grad(pooling(x, LENGTHS).sum(), x)[0]
    assert gradient.isfinite().all()
    assert not gradient[:, 2].any()


def test_weights_of_attention_add_up_to_one():
    weights = Pooling(2, "attention").double().weights(features(), LENGTHS)
    torch.testing.assert_close(weights.sum(0), torch.tensor([1.0, 1, 0]).double())


def test_unknown_pooling_lists_the_known():
    with pytest.raises(InvalidValue, match="known are last, mean, max, attention"):
        Pooling(2, "sum")
    with pytest.raises(InvalidValue, match="known are last"):
        ClassifierConfig(pooling="first")


def batch(labels=(0, 1, 2)):
    return {
        "inputs": features(),
        "inputs_lengths": LENGTHS,
        "labels": torch.tensor(labels),
    }


def small(num_labels=3, **options):
    torch.manual_seed(0)
    config = ClassifierConfig(**{"hidden_size": 4, **options})
    return Classifier(VectorFrontEnd(2), num_labels, config).double().eval()


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", ["lstm", "none"])
def test_answers_do_not_depend_on_neighbours(pooling, cell):
    model = small(pooling=pooling, cell=cell)
    together = model(batch())
    for column, length in enumerate(LENGTHS.tolist()):
        alone = {
            "inputs": features()[:length, column : column + 1],
            "inputs_lengths": torch.tensor([length]),
        }
        torch.testing.assert_close(model(alone)[0], together[column])


def test_loss_is_cross_entropy_summed_over_known_labels():
    model = small()
    logits = model(batch())
    expected = -(logits[0].log_softmax(0)[0] + logits[2].log_softmax(0)[2])
    loss, count = model.batch_loss(batch((0, -1, 2)))
    torch.testing.assert_close(loss, expected)
    assert count == 2
    nothing, count = model.batch_loss(batch((-1, -1, -1)))
    assert (nothing.item(), count) == (0.0, 0)


def test_numbers_are_learnt_in_units_of_their_spread():
    config = ClassifierConfig(hidden_size=4)
    model = Classifier(VectorFrontEnd(2), None, config, mean=10.0, std=2.0)
    model = model.double().eval()
    numbers = torch.tensor([9.0, float("nan"), 14.0], dtype=torch.float64)
    asked = {**batch(), "numbers": numbers}
    found = model(asked)
    loss, count = model.batch_loss(asked)
    assert count == 2
    expected = ((found - numbers)[[0, 2]] / 2).square().sum()
    torch.testing.assert_close(loss, expected)
    # A read-out of 0 says the mean.
    torch.nn.init.zeros_(model.read.weight)
    torch.nn.init.zeros_(model.read.bias)
    assert model(asked).tolist() == [10.0] * 3


def test_label_smoothing_is_for_training_only():
    model = small(label_smoothing=0.5)
    plain, _ = small().batch_loss(batch())
    torch.testing.assert_close(model.batch_loss(batch())[0], plain)
    assert model.train().batch_loss(batch())[0] != plain


def test_order_matters_to_a_recurrent_network_only():
    """Truth: a mean over steps that see themselves alone knows no order."""
    turned = {
        **batch(),
        "inputs": features().flip(0),
        "inputs_lengths": LENGTHS * 0 + 4,
    }
    straight = {**turned, "inputs": features()}
    for cell, same in (("lstm", False), ("none", True)):
        model = small(cell=cell, pooling="mean")
        assert torch.allclose(model(turned), model(straight), rtol=1e-12) is same


def test_attention_is_readable():
    weights = small(pooling="attention").attention(batch())
    torch.testing.assert_close(weights.sum(0), torch.tensor([1.0, 1, 0]).double())
    with pytest.raises(InvalidValue, match="needs pooling='attention'"):
        small().attention(batch())


def test_one_label_is_refused():
    with pytest.raises(InvalidValue, match="at least 2, got 1"):
        Classifier(VectorFrontEnd(2), 1)
