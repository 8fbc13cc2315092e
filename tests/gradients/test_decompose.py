"""The sums of the terms of a gradient against autograd."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence

import throughtime as tt
from tests.gradients.common import (
    BATCH,
    DOUBLE,
    STEPS,
    TOLERANCE,
    check,
    make,
    squares,
    weighted,
    x_of,
)
from throughtime import kernels
from throughtime.cells import CELLS
from throughtime.gradients import decompose
from throughtime.models import LanguageModel, LanguageModelConfig


@pytest.mark.parametrize("name", CELLS)
def test_every_cell(name):
    terms = check(make(name), x_of(), squares)
    assert set(terms.norms) == set(terms.total)
    assert not any(terms.outside[n].any() for n in terms.outside)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gru", {"reset_after": False}),
        ("lstm", {"projection": 2}),
        ("lstm", {"layer_norm": True, "peephole": True}),
        ("elman", {"nonlinearity": "prelu"}),
        ("elman", {"bias": False}),
    ],
)
def test_options_of_cells(name, options):
    check(make(name, options), x_of(), squares)


@pytest.mark.parametrize("name", ["elman", "gru", "peephole_lstm", "mut3", "clockwork"])
def test_deep_both_ways_ragged_reset_with_a_learned_start(name):
    layer = make(
        name,
        num_layers=2,
        bidirectional=True,
        residual=True,
        learned_initial_state=True,
    )
    reset = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    reset[2, 0] = reset[4, 0] = reset[3, 2] = True

    class Ragged(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, lengths=[6, 0, 4], reset=reset)

    terms = check(Ragged(), x_of(), squares)
    assert "layer.initial_h_l0" not in terms.norms
    assert terms.outside["layer.initial_h_l0"].any()
    assert terms.reverse == {
        "layer.l0": False,
        "layer.l0_reverse": True,
        "layer.l1": False,
        "layer.l1_reverse": True,
    }


@pytest.mark.parametrize("kind", [tt.RNN, tt.GRU, tt.LSTM])
@pytest.mark.parametrize("backend", ["loop", "native"])
def test_the_layers_of_torch_on_every_backend(kind, backend):
    if backend == "native" and kernels.missing():
        pytest.skip(str(kernels.missing()))
    layer = kind(3, 4, 2, bidirectional=True, dtype=DOUBLE)
    layer.backend = backend
    check(layer, x_of(), squares)
    check(layer, x_of(), weighted)


def test_random_masks_are_those_of_the_same_seed():
    layer = make(
        "lstm",
        num_layers=2,
        dropout=0.3,
        recurrent_dropout=0.3,
        zoneout=0.2,
        weight_drop=0.3,
    )
    layer.backend = "loop"
    check(layer, x_of(), squares)


class ByMatmul(tt.cells.Elman):
    """Multiplies in its own way, and with a parameter twice in a step."""

    def input_part(self, x, weights):
        return x @ weights["weight_ih"].t() + weights["bias_ih"]

    def recurrent_part(self, h, weights):
        weight = weights["weight_hh"]
        low = torch.nn.functional.linear(h, weight[:2]) @ weight[:2].exp()
        return low + torch.nn.functional.linear(weights["bias_hh"], weight)


def test_a_cell_that_multiplies_in_its_own_way():
    layer = tt.Recurrent(ByMatmul(3, 4, dtype=DOUBLE), 2, backend="loop")
    terms = check(layer, x_of(), squares)
    assert set(terms.norms) == set(terms.total)


def test_batch_first_unbatched_and_packed():
    layer = make("gru", batch_first=True)
    check(layer, x_of().transpose(0, 1), lambda r: r[0].square().sum((0, 2)))
    check(make("gru"), x_of()[:, 0], lambda r: r[0].square().sum(1))
    packed = pack_padded_sequence(x_of(), torch.tensor([6, 4, 1]))
    check(make("gru"), packed, lambda r: r[0].data.square().sum())


def test_a_parametrised_weight():
    """Terms of a function of parameters are those of the parameters."""
    layer = make("gru")
    weight_norm(layer, "weight_hh_l0")
    terms = check(layer, x_of(), squares)
    assert "parametrizations.weight_hh_l0.original1" in terms.norms


@pytest.mark.parametrize(
    "options", [{}, {"tied": True}, {"one_hot": True}], ids=["plain", "tied", "one_hot"]
)
def test_a_language_model(options):
    torch.manual_seed(0)
    config = LanguageModelConfig(cell="lstm", hidden_size=5, num_layers=2, **options)
    model = LanguageModel(9, config).double()
    tokens, targets = torch.randint(9, (2, STEPS, BATCH))

    def loss_fn(result):
        losses = tt.losses.cross_entropy(result[0], targets, reduction="none")
        return losses.mean(1)

    terms = check(model, tokens, loss_fn)
    assert set(terms.norms) == set(terms.total)

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, tokens):
            h, _ = self.model.features(tokens)
            return self.model.features_loss(h, targets, reduction="none").mean(1)

    own = decompose(Own(), tokens, lambda losses: losses)
    for name, norms in terms.norms.items():
        torch.testing.assert_close(own.norms[f"model.{name}"], norms, **TOLERANCE)


class Tagger(nn.Module):
    """Before, between and behind the layers stands what acts in and out of time."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 3, padding_idx=0)
        self.first = nn.Linear(3, 3)
        self.recurrent = tt.GRU(3, 4, bidirectional=True)
        self.norm = nn.LayerNorm(8)
        self.read_out = nn.Linear(8, 2)
        self.of_the_end = nn.Linear(4, 2)

    def forward(self, tokens):
        h, last = self.recurrent(self.first(self.embedding(tokens)))
        return self.read_out(self.norm(h)), self.of_the_end(last[-1])


def test_what_stands_around_the_layers():
    torch.manual_seed(0)
    model = Tagger().double()
    tokens = torch.randint(7, (STEPS, BATCH))

    def both(result):
        return squares(result) + result[1].sum()

    terms = check(model, tokens, both)
    outside = {"norm.weight", "norm.bias", "of_the_end.weight", "of_the_end.bias"}
    assert set(terms.total) - set(terms.norms) == outside
    read_out = terms.norms["read_out.weight"]
    assert torch.equal(read_out, read_out.diagonal().diag())
    check(model, tokens, lambda result: result[1].square().sum())


def test_is_shown_by_its_tables():
    layer = tt.RNN(2, 3, bias=False)
    terms = tt.gradients.decompose(
        layer, torch.zeros(4, 1, 2), lambda result: result[0].sum((1, 2))
    )
    tables = "weight_ih_l0, weight_hh_l0"
    assert repr(terms) == f"Decomposition of 4 loss steps, with tables of {tables}"
