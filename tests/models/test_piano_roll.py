"""A network over the frames of a piano roll."""

import math

import pytest
import torch
from torch.nn import functional as F

from throughtime.data.examples import Examples
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.models.network import NetworkConfig
from throughtime.models.piano_roll import PianoRollModel

K = 5
CELLS = ("lstm", "elman", "none")


def build(cell="gru", **options):
    torch.manual_seed(0)
    config = NetworkConfig(cell=cell, hidden_size=6, **options)
    return PianoRollModel(config, keys=K).double().eval()


def rolls(lengths=(4, 0, 2), seed=1):
    draw = torch.Generator().manual_seed(seed)
    size = (K,)
    return [
        torch.randint(2, (n, *size), generator=draw, dtype=torch.float64)
        for n in lengths
    ]


def examples():
    pieces = rolls((5, 0, 3, 1))
    known = [torch.arange(len(piece)) != 2 for piece in pieces]
    return Examples(
        {
            "inputs": pieces,
            "inputs_present": known,
            "targets": rolls((5, 0, 3, 1), seed=2),
            "targets_mask": [torch.arange(len(piece)) != 1 for piece in pieces],
        }
    )


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_the_loss_by_hand(cell):
    """The truth: the equation, step by step, frame by frame and key by key."""
    model, data = build(cell), examples()
    want, count = 0.0, 0
    for n in range(len(data)):
        state = model.initial_state(1)
        for t in range(int(data.lengths[n])):
            x = data.sequences["inputs"][n][t] * data.sequences["inputs_present"][n][t]
            h, state = model.network(x.view(1, 1, K), state)
            chances = torch.sigmoid(model.output.weight @ h[0, 0] + model.output.bias)
            if data.sequences["targets_mask"][n][t]:
                count += 1
                for p, y in zip(chances, data.sequences["targets"][n][t], strict=True):
                    want -= math.log(p if y else 1 - p)
    total, targets = model.batch_loss(data.batch(range(len(data))))
    assert float(total) == pytest.approx(want, rel=1e-12)
    assert targets == count == 5 - 1 + 3 - 1 + 1


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_each_piece_is_read_as_if_alone(cell):
    model, data = build(cell, dropout=0.5), examples()
    together = data.batch(range(len(data)))
    for name in ("inputs", "targets"):  # what padding holds changes nothing
        steps = torch.arange(5).view(5, 1, 1) >= data.lengths.view(1, -1, 1)
        together[name] = together[name] + 7.0 * steps
    logits = model(together)
    for n, length in enumerate(data.lengths.tolist()):
        alone = model(data.batch([n]))[:, 0]
        torch.testing.assert_close(logits[:length, n], alone, rtol=0, atol=1e-14)
    losses, counts = model.frame_losses(together)
    assert counts.sum(0).tolist() == [4, 0, 2, 1]
    assert losses[~counts].abs().max() == 0


@pytest.mark.parametrize("cell", CELLS)
def test_gradients(cell):
    """The truth: finite differences."""
    model, data = build(cell), examples()
    batch = data.batch(range(len(data)))
    names = [name for name, _ in model.named_parameters()]

    def loss(*values):
        weights = dict(zip(names, values, strict=True))
        losses, _ = torch.func.functional_call(Total(model), add(weights), (batch,))
        return losses

    def add(weights):
        return {f"model.{name}": value for name, value in weights.items()}

    assert torch.autograd.gradcheck(loss, tuple(model.parameters()))


class Total(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch):
        return self.model.batch_loss(batch)


def test_a_network_without_memory_sees_one_frame():
    model = build("none")
    a, b = rolls((4, 4))
    b[3] = a[3]
    batch = Examples({"inputs": [a, b]}).batch([0, 1])
    logits = model(batch)
    assert torch.equal(logits[3, 0], logits[3, 1])
    assert not torch.equal(logits[2, 0], logits[2, 1])


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_what_is_drawn_becomes_input(cell):
    """The truth: P of each frame from the whole piece at once, and the same draws."""
    model, prompt = build(cell), rolls((3,))[0]
    made = model.generate(prompt, 6, generator=torch.Generator().manual_seed(3))
    whole = torch.cat([prompt, made])
    logits = model({"inputs": whole[:, None], "inputs_lengths": torch.tensor([9])})
    draw = torch.Generator().manual_seed(3)
    for t in range(3, 9):
        chances = logits[t - 1].sigmoid()
        torch.testing.assert_close(
            whole[t], torch.bernoulli(chances, generator=draw)[0], rtol=0, atol=0
        )
    again = model.generate(prompt, 6, generator=torch.Generator().manual_seed(3))
    assert torch.equal(made, again)


@torch.no_grad()
def test_draws_follow_the_chances():
    """The truth: means of Bernoulli variables, within five standard deviations."""
    model, count = build("none"), 4000
    torch.nn.init.zeros_(model.output.weight)
    odds = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0]).double()
    model.output.bias.copy_(odds)
    for temperature in (1.0, 2.0):
        made = model.generate(
            torch.zeros(1, K),
            count,
            temperature=temperature,
            generator=torch.Generator().manual_seed(0),
        )
        chances = (odds / temperature).sigmoid()
        allowed = 5 * (chances * (1 - chances) / count).sqrt()
        assert ((made.mean(0) - chances).abs() < allowed).all()
    # Near temperature 0: what is likelier than not.
    model.output.bias.copy_(torch.tensor([-0.1, 0.1, -3.0, 0.2, 2.0]))
    made = model.generate(torch.zeros(1, K), 3, temperature=1e-4)
    assert made.tolist() == [[0, 1, 0, 1, 1]] * 3


@torch.no_grad()
def test_no_more_notes_than_allowed():
    model = build("none")
    torch.nn.init.zeros_(model.output.weight)
    model.output.bias.copy_(torch.tensor([40.0, -40.0, 60.0, 50.0, -40.0]))
    prompt = torch.zeros(1, K)
    # The likeliest of those that were drawn, and none that was not.
    wants = [(1, [0, 0, 1, 0, 0]), (2, [0, 0, 1, 1, 0]), (4, [1, 0, 1, 1, 0])]
    model.output.bias.div_(10)
    for most, want in wants:
        made = model.generate(prompt, 2, most_notes=most, temperature=1e-3)
        assert made.tolist() == [want] * 2
    assert model.generate(prompt, 1, most_notes=K + 3).shape == (1, K)


def test_it_learns_a_tune():
    """A scale up and down: the same key is followed by another on the way back."""
    torch.manual_seed(0)
    model = PianoRollModel(NetworkConfig(cell="gru", hidden_size=16), keys=K)
    tune = F.one_hot(torch.tensor([0, 1, 2, 3, 4, 3, 2, 1] * 4), K).float()
    batch = Examples({"inputs": [tune[:-1]], "targets": [tune[1:]]}).batch([0])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        loss, count = model.batch_loss(batch)
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    assert loss.item() / count < 0.3
    made = model.eval().generate(tune[:8], 8, temperature=0.01)
    assert torch.equal(made, tune[:8])


def test_what_cannot_be():
    with pytest.raises(InvalidValue, match="cannot be bidirectional"):
        PianoRollModel(NetworkConfig(bidirectional=True))
    with pytest.raises(InvalidValue, match="embedding_size is for tokens"):
        PianoRollModel(NetworkConfig(embedding_size=4))
    with pytest.raises(InvalidType, match="keys"):
        PianoRollModel(keys=1.5)  # pyright: ignore[reportArgumentType]
    model = build()
    with pytest.raises(InvalidShape, match=r"\(steps, batch, 5\), got \(3, 1, 4\)"):
        model({"inputs": torch.zeros(3, 1, 4), "inputs_lengths": torch.tensor([3])})
    for shape in ((0, K), (2, 4), (2, 1, K)):
        with pytest.raises(InvalidShape, match="at least one step"):
            model.generate(torch.zeros(shape), 1)
    prompt = torch.zeros(1, K)
    with pytest.raises(InvalidValue, match="length"):
        model.generate(prompt, 0)
    with pytest.raises(InvalidValue, match="temperature"):
        model.generate(prompt, 1, temperature=0.0)
    with pytest.raises(InvalidValue, match="most_notes"):
        model.generate(prompt, 1, most_notes=0)
