"""The textbook example "hello": four letters, three hidden units."""

import pytest
import torch
from torch.nn import functional as F

from throughtime.losses import cross_entropy
from throughtime.models import LanguageModel, LanguageModelConfig, generate
from throughtime.training import TrainingConfig, train

H, E, L, O = range(4)  # noqa: E741
LOGITS = torch.tensor(
    [
        [1.0, 2.2, -3.0, 4.1],
        [0.5, 0.3, -1.0, 1.2],
        [0.1, 0.5, 1.9, -1.1],
        [0.2, -1.5, -0.1, 2.2],
    ],
    dtype=torch.double,
)
TARGETS = torch.tensor([E, L, L, O])


def test_cross_entropies_of_the_table():
    """Published: 2.0785, 2.9001, 0.3796, 0.2314; the first two steps are wrong."""
    losses = cross_entropy(LOGITS, TARGETS, reduction="none")
    assert losses.tolist() == pytest.approx([2.0785, 2.9001, 0.3796, 0.2314], abs=5e-5)
    mean = cross_entropy(LOGITS, TARGETS).item()
    assert mean == pytest.approx(sum(losses.tolist()) / 4, rel=1e-12)
    assert (LOGITS.argmax(-1) == TARGETS).tolist() == [False, False, True, True]


def network():
    torch.manual_seed(0)
    config = LanguageModelConfig(cell="elman", hidden_size=3, one_hot=True)
    return LanguageModel(4, config)


def test_shapes_and_named_parameters():
    """4-dim one-hot, 3-dim hidden, 4-dim logits; W_xh, W_hh, W_hy, b_h, b_y."""
    model = network()
    x = torch.tensor([H, E, L, L])[:, None]
    assert torch.equal(model.embed(x)[:, 0], F.one_hot(x[:, 0], 4).float())
    logits, (state,) = model(x)
    assert logits.shape == (4, 1, 4)
    assert state.h.shape == (1, 3)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes == {
        "recurrent.weight_ih_l0": (3, 4),
        "recurrent.weight_hh_l0": (3, 3),
        "recurrent.bias_ih_l0": (3,),
        "recurrent.bias_hh_l0": (3,),
        "output_weight": (4, 3),
        "output_bias": (4,),
    }


def test_it_learns_to_spell():
    """After an l comes l, then o: the hidden state tells which l was read."""
    model = network()
    x, y = torch.tensor([H, E, L, L])[:, None], TARGETS[:, None]
    config = TrainingConfig(
        truncation="full",
        epochs=150,
        optimizer="adam",
        learning_rate=0.05,
        batch_size=1,
    )
    list(train(model, (x, y), config))
    spelt = generate(model.eval(), torch.tensor([H]), 4, method="greedy")
    assert spelt.tolist() == [E, L, L, O]
