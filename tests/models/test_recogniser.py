"""Recognisers: one sequence at a time is the truth for batches of them."""

import pytest
import torch
from torch.nn import functional as F

from throughtime.data.examples import Examples
from throughtime.errors import InvalidType, InvalidValue
from throughtime.models.front_ends import VectorFrontEnd
from throughtime.models.network import NetworkConfig
from throughtime.models.recogniser import Recogniser
from throughtime.training import TrainingConfig, train

CELLS = ("lstm", "gru", "none")


def model_of(cell="lstm", subsample=1, size=3, **options):
    torch.manual_seed(0)
    options |= {"cell": cell, "hidden_size": 6}
    if cell != "none":
        options |= {"bidirectional": True}
    config = NetworkConfig(**options)
    model = Recogniser(VectorFrontEnd(size), 4, config, subsample=subsample)
    return model.double()


def examples(lengths=(7, 0, 4, 1), targets=((0, 1, 1), (), (3, 2), ())):
    generator = torch.Generator().manual_seed(1)
    return Examples(
        {
            "inputs": [
                torch.randn(n, 3, generator=generator, dtype=torch.double)
                for n in lengths
            ],
            "targets": [torch.tensor(t, dtype=torch.long) for t in targets],
        }
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("subsample", [1, 2, 3])
def test_batches_change_nothing(cell, subsample):
    """Neither padding nor company: against every example by itself."""
    targets = ((0, 1), (), (3,), ())
    model, data = model_of(cell, subsample).eval(), examples(targets=targets)
    together = data.batch(range(4))
    together["inputs"][4:, 2:] = 9.0  # beyond the lengths
    logits, lengths = model(together)
    assert lengths.tolist() == [-(-n // subsample) for n in (7, 0, 4, 1)]
    total = 0.0
    for b in range(4):
        alone = data.batch([b])
        want, _ = model(alone)
        torch.testing.assert_close(
            logits[: lengths[b], b], want[:, 0], atol=1e-12, rtol=0
        )
        total += model.batch_loss(alone)[0]
    loss, count = model.batch_loss(together)
    torch.testing.assert_close(loss, total, atol=1e-12, rtol=0)
    assert count == 2 + 1 + 1 + 1  # empty targets count as one
    assert model.read(together) == [model.read(data.batch([b]))[0] for b in range(4)]


def test_loss_is_torchs():
    model, batch = model_of(), examples().batch(range(4))
    logits, lengths = model(batch)
    want = F.ctc_loss(
        logits.log_softmax(-1),
        batch["targets"].t(),
        lengths,
        batch["targets_lengths"],
        blank=4,
        reduction="sum",
    )
    torch.testing.assert_close(model.batch_loss(batch)[0], want, atol=1e-12, rtol=0)


def test_steps_are_stacked():
    """The truth: the same network on inputs that were stacked by hand."""
    model, batch = model_of(subsample=2), examples().batch([0])
    x = torch.cat([batch["inputs"], torch.zeros(1, 1, 3)])
    by_hand = torch.cat([x[0::2], x[1::2]], -1)
    h, _ = model.network(by_hand, lengths=torch.tensor([4]))
    torch.testing.assert_close(model(batch)[0], model.output(h), atol=1e-12, rtol=0)


def test_truncation_between_stacked_steps():
    """A border at any of the steps taken together cuts the gradient between them."""
    config = NetworkConfig(cell="elman", hidden_size=6)
    torch.manual_seed(0)
    model = Recogniser(VectorFrontEnd(3), 4, config, subsample=2).double()
    batch = examples(lengths=(6,), targets=((0,),)).batch([0])
    batch["inputs"].requires_grad_()
    batch["carry_gain"] = torch.ones(6, 1, dtype=torch.double)
    batch["carry_gain"][3] = 0
    logits, _ = model(batch)
    (gradient,) = torch.autograd.grad(logits[-1].sum(), batch["inputs"])
    assert not gradient[:2].any()
    assert gradient[2:].abs().min() > 0


def test_beam_and_greedy_agree_on_a_sure_network():
    model, batch = model_of().eval(), examples().batch(range(4))
    with torch.no_grad():
        model.output.weight.mul_(40)
    assert model.read(batch) == model.read(batch, beam_size=8)
    silent = model.read(batch, beam_size=8, continuation=lambda before, s: -1e9)
    assert silent == [[], [], [], []]


@pytest.mark.parametrize("cell", CELLS)
def test_it_learns(cell):
    """Every symbol is one step here, so that even a network without memory can."""
    model, codes = model_of(cell, size=4).float(), torch.eye(4)
    target = [[0, 1], [2, 0, 3], [1], [3, 2]]
    steps = [[3, *[s for t in ts for s in (t, 3)]] for ts in target]
    target = [[s for s in ts if s != 3] for ts in target]
    data = Examples(
        {
            "inputs": [codes[torch.tensor(row)] for row in steps],
            "targets": [torch.tensor(row) for row in target],
        }
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    batch = data.batch(range(4))
    for _ in range(80):
        optimizer.zero_grad()
        loss, count = model.batch_loss(batch)
        (loss / count).backward()
        optimizer.step()
    assert model.eval().read(batch) == target


def test_what_cannot_be():
    with pytest.raises(InvalidValue, match="sequence 0 needs 4 steps, .* has 3"):
        model_of().batch_loss(examples((3,), ((1, 1, 2),)).batch([0]))
    with pytest.raises(InvalidValue, match="needs 2 steps, and the sequence has 1"):
        model_of(subsample=3).batch_loss(examples((3,), ((1, 2),)).batch([0]))
    with pytest.raises(InvalidType, match="subsample should be of type int"):
        model_of(subsample=1.5)
    with pytest.raises(InvalidValue, match="beam_size must be greater than zero"):
        model_of().read(examples().batch([0]), beam_size=0)


@pytest.mark.parametrize("options", [{}, {"truncation": "chunked", "tau": 3}], ids=str)
def test_the_loop_of_training_takes_it(options):
    """The loss that training reports first is that of the fresh model."""
    model = model_of(subsample=2)
    data = examples(targets=((0, 1), (), (3,), ()))
    with torch.no_grad():
        loss, count = model.batch_loss(data.batch(range(4)))
    config = TrainingConfig(batch_size=4, epochs=2, **options)
    first, last = train(model, data, config)
    assert first.loss == pytest.approx(loss.item() / count, rel=1e-12)
    assert last.loss < first.loss
