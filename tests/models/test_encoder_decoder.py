"""Encoder and decoder: teacher forcing against single steps, padding, options."""

import pytest
import torch

from tests.models.encoder_decoder_cases import (
    CASES,
    END,
    SOURCES,
    TARGETS,
    batch_of,
    one_of,
    small,
)
from throughtime.cells import CELLS
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.losses import cross_entropy
from throughtime.models.encoder_decoder import EncoderDecoder
from throughtime.models.encoder_decoder_config import EncoderDecoderConfig
from throughtime.models.front_ends import TokenFrontEnd, VectorFrontEnd
from throughtime.models.network import valid_steps

LENGTHS = ([4, 0, 2], [3, 2, 5])


def step_by_step(model, one):
    """-log P of one target, token by token from the state before."""
    encoded = model.encode(one)
    state, before, total = model.start(encoded), END, torch.zeros(())
    for target in one["targets"][:, 0].tolist():
        read, _, state = model.decode(torch.tensor([[before]]), state, encoded)
        total = total - model.logits(read[0, 0]).log_softmax(-1)[target]
        before = target
    return total


@pytest.mark.parametrize("case", CASES)
def test_whole_targets_at_once_are_single_steps(case):
    """Loss and gradients, in a batch with padding and without: truth is the loop."""
    model, batch = small(**CASES[case]), batch_of(*LENGTHS)
    loss, count = model.batch_loss(batch)
    want = sum(step_by_step(model, one_of(batch, b)) for b in range(3))
    assert count == 10
    torch.testing.assert_close(loss, want, rtol=1e-12, atol=1e-11)
    parameters = list(model.parameters())
    slopes = torch.autograd.grad(loss, parameters, allow_unused=True)
    wanted = torch.autograd.grad(want, parameters, allow_unused=True)
    for slope, other in zip(slopes, wanted, strict=True):
        if slope is not None and other is not None:
            torch.testing.assert_close(slope, other, rtol=1e-9, atol=1e-10)
        else:
            assert slope is None or not slope.any()


@pytest.mark.parametrize("case", CASES)
def test_scores_are_of_the_loss(case):
    model, batch = small(**CASES[case]), batch_of(*LENGTHS)
    mask = valid_steps(batch["targets_lengths"], batch["targets"])
    known = torch.rand(mask.shape) < 0.7
    loss, count = model.batch_loss(batch | {"targets_mask": known})
    want = cross_entropy(
        model(batch), batch["targets"], mask=mask & known, reduction="sum"
    )
    torch.testing.assert_close(loss, want, rtol=1e-12, atol=1e-12)
    assert count == int((mask & known).sum())


def test_without_targets_that_count():
    model, batch = small(), batch_of([2, 1], [0, 0])
    loss, count = model.batch_loss(batch)
    assert (loss.item(), count) == (0.0, 0)
    loss.backward()
    fed = small(input_feeding=True)
    assert fed.batch_loss(batch)[1] == 0


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell):
    """All of them start from the inputs, not from zeros alone."""
    model = small(cell=cell, attention="none")
    batch = batch_of([4, 2], [3, 3])
    other = batch | {"inputs": batch["inputs"].flip(0).roll(1, -1)}
    assert not torch.allclose(model(batch), model(other))


def test_attention_weights():
    model, batch = small(bidirectional=True), batch_of(*LENGTHS)
    weights = model.align(batch)
    assert weights.shape == (5, 3, 4)
    for b, length in enumerate(LENGTHS[0]):
        assert not weights[:, b, length:].any()
    ones = torch.ones(5, dtype=torch.float64)
    torch.testing.assert_close(weights[:, 0].sum(-1), ones)
    assert small(attention="none").align(batch) is None


def test_label_smoothing_is_for_training():
    batch = batch_of(*LENGTHS)
    model = small(label_smoothing=0.3)
    mask = valid_steps(batch["targets_lengths"], batch["targets"])
    plain, _ = model.batch_loss(batch)
    smooth, _ = model.train().batch_loss(batch)
    for loss, smoothing in ((plain, 0.0), (smooth, 0.3)):
        want = cross_entropy(
            model(batch),
            batch["targets"],
            mask=mask,
            label_smoothing=smoothing,
            reduction="sum",
        )
        torch.testing.assert_close(loss, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("feeding", [False, True])
def test_schedule_that_has_not_begun_is_teacher_forcing(feeding):
    """ε = 1 at the first update; updates are counted in training alone."""
    model = small(input_feeding=feeding, teacher_forcing="linear", forcing_decay=2)
    batch = batch_of(*LENGTHS)
    want, _ = model.batch_loss(batch)
    assert int(model.updates) == 0
    got, _ = model.train().batch_loss(batch)
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-11)
    assert int(model.updates) == 1


def test_decoder_is_shown_what_it_said():
    """ε = 0: a model that says token 3 with certainty reads nothing else."""
    model = small(teacher_forcing="linear", forcing_decay=1, cell="elman").train()
    batch = batch_of([2, 3], [4, 4])
    with torch.no_grad():
        model.output_bias[3] = 1000.0
        model.updates += 1
    said = batch | {"targets": torch.full_like(batch["targets"], 3)}
    with torch.no_grad():
        loss, _ = model.batch_loss(batch)
        # The inputs of the decoder are the end and then 3s, the targets as they were.
        rows = model(said).log_softmax(-1)
    want = -rows.gather(-1, batch["targets"].unsqueeze(-1)).sum()
    torch.testing.assert_close(loss, want, rtol=1e-12, atol=1e-9)


def test_shared_and_tied_embeddings():
    config = EncoderDecoderConfig(hidden_size=4, shared=True, tied=True)
    model = EncoderDecoder(TokenFrontEnd(TARGETS, 4), TARGETS, END, config)
    assert model.embedding is model.front_end.embedding
    assert model.output_weight is None
    sizes = [p.numel() for p in model.parameters() if p.shape == (TARGETS, 4)]
    assert sizes == [TARGETS * 4]
    for front_end in (TokenFrontEnd(SOURCES, 4), VectorFrontEnd(4)):
        with pytest.raises(InvalidValue, match="one vocabulary"):
            EncoderDecoder(front_end, TARGETS, END, config)


def test_other_front_ends():
    """Anything can be told in tokens: here two numbers at each step."""
    model = EncoderDecoder(VectorFrontEnd(2), TARGETS, END).eval()
    batch = {"inputs": torch.randn(3, 2, 2), "inputs_lengths": torch.tensor([3, 1])}
    assert len(model.search(batch, longest=3)) == 2


def test_learns_to_reverse():
    """Not by chance: 5^4 answers are possible."""
    torch.manual_seed(0)
    inputs = torch.randint(1, TARGETS, (4, 64))
    ends = torch.zeros(1, 64, dtype=torch.long)
    lengths = torch.full((64,), 4)
    batch = {"inputs": inputs, "inputs_lengths": lengths}
    batch["targets"] = torch.cat([inputs.flip(0), ends])
    batch["targets_lengths"] = lengths + 1
    config = EncoderDecoderConfig(cell="gru", hidden_size=16, bidirectional=True)
    model = EncoderDecoder(TokenFrontEnd(TARGETS, 16), TARGETS, END, config)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        loss, count = model.batch_loss(batch)
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    found = model.eval().search(batch, longest=8, beam_size=1)
    answers = torch.stack([f[0].tokens for f in found if len(f[0].tokens) == 5], 1)
    assert torch.equal(answers, batch["targets"])


@pytest.mark.parametrize(
    ("entries", "error", "says"),
    [
        ({"attention": "self"}, InvalidValue, "unknown attention 'self'.*bilinear"),
        ({"attention": None}, InvalidType, "attention should be a name"),
        ({"teacher_forcing": "no"}, InvalidValue, "unknown schedule.*'no'"),
        ({"forcing_least": 2}, InvalidValue, "least"),
        ({"label_smoothing": -1}, InvalidValue, "label_smoothing"),
        ({"decoder_layers": 0}, InvalidValue, "decoder_layers"),
        ({"tied": 1}, InvalidType, "tied"),
        ({"cell": "none", "input_feeding": True}, InvalidValue, "remember nothing"),
    ],
)
def test_bad_config(entries, error, says):
    with pytest.raises(error, match=says):
        EncoderDecoderConfig(**entries)


def test_config_as_values():
    config = EncoderDecoderConfig(attention="additive", tied=True, cell="gru")
    assert EncoderDecoderConfig.from_dict(config.to_dict()) == config
    with pytest.raises(InvalidValue, match="unknown option of the network 'heads'"):
        EncoderDecoderConfig.from_dict({"heads": 2})


def test_output_begins_at_frequencies():
    """With weights of 0 it says log of the counts, each taken 0.1 larger."""
    counts = torch.tensor([6, 3, 0, 1, 0])
    config = EncoderDecoderConfig(hidden_size=4)
    model = EncoderDecoder(TokenFrontEnd(SOURCES, 4), TARGETS, END, config, counts)
    with torch.no_grad():
        model.output_weight.zero_()
    scores = model(batch_of([2], [2])).softmax(-1)
    want = torch.tensor([6.1, 3.1, 0.1, 1.1, 0.1]) / 10.5
    torch.testing.assert_close(scores, want.expand_as(scores))
    with pytest.raises(InvalidShape, match="counts"):
        EncoderDecoder(TokenFrontEnd(SOURCES, 4), TARGETS, END, config, counts[:3])


def test_end_index_in_range():
    with pytest.raises(InvalidValue, match="end_index"):
        EncoderDecoder(TokenFrontEnd(3, 128), 4, 4)
