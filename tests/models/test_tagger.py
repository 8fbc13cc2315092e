"""Labels of steps: losses, answers, and what a direction can know."""

import pytest
import torch

from throughtime.data.examples import Examples
from throughtime.errors import InvalidType, InvalidValue
from throughtime.models.front_ends import TokenFrontEnd, VectorFrontEnd
from throughtime.models.tagger import OUTPUTS, Tagger, TaggerConfig
from throughtime.models.word_characters import WordCharacterFrontEnd

WORDS, LABELS = 12, 4


def words(sizes, seed=0, longest=5):
    """Random words of random letters, with labels, some of them missing."""
    generator = torch.Generator().manual_seed(seed)

    def draw(high, *shape):
        return torch.randint(high, shape, generator=generator)

    characters = []
    for size in sizes:
        spelt = draw(6, size, longest) + 1
        ends = draw(longest, size, 1) + 1
        characters.append(spelt * (torch.arange(longest) < ends))
    return Examples(
        {
            "inputs": [draw(WORDS, size) for size in sizes],
            "characters": characters,
            "targets": [draw(LABELS, size) for size in sizes],
            "targets_mask": [draw(3, size) > 0 for size in sizes],
        }
    )


def tagger(seed=0, characters=True, **options):
    torch.manual_seed(seed)
    if characters:
        front_end = WordCharacterFrontEnd(WORDS, 7, 5, character_size=3)
    else:
        front_end = TokenFrontEnd(WORDS, 5)
    defaults = {"hidden_size": 6, "bidirectional": options.get("cell") != "none"}
    config = TaggerConfig(**(defaults | options))
    return Tagger(front_end, LABELS, config).double().eval()


@pytest.mark.parametrize("cell", ["lstm", "gru", "none"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_neighbours_in_the_batch_change_nothing(cell, output):
    """Nor does padding: the truth is each sequence alone. A length may be 0."""
    model = tagger(cell=cell, output=output)
    if model.crf is not None:
        torch.nn.init.normal_(model.crf.transitions)
    sizes = [3, 7, 0, 1]
    examples = words(sizes)
    together = examples.batch(range(len(sizes)))
    losses, count = 0.0, 0
    for i, size in enumerate(sizes):
        alone = examples.batch([i])
        loss, targets = model.batch_loss(alone)
        losses, count = losses + loss, count + targets
        for method in (model.predict, model.probabilities):
            got = method(together)[:, i]
            want = method(alone)[:, 0]
            torch.testing.assert_close(got[:size], want, rtol=0, atol=1e-12)
            assert not got[size:].any()
    total, all_targets = model.batch_loss(together)
    torch.testing.assert_close(total, losses, rtol=0, atol=1e-12)
    assert all_targets == count == int(together["targets_mask"].sum())


@pytest.mark.parametrize("output", OUTPUTS)
def test_masked_labels_do_not_count(output):
    """What stands where the mask is False changes neither loss nor gradients."""
    model, batch = tagger(output=output), words([4, 2]).batch([0, 1])
    changed = dict(batch)
    changed["targets"] = batch["targets"].where(batch["targets_mask"], 3)
    found = []
    for each in (batch, changed):
        model.zero_grad()
        loss, _ = model.batch_loss(each)
        loss.backward()
        found.append([loss, *(p.grad for p in model.parameters())])
    assert all(map(torch.equal, *found))
    nothing = {**batch, "targets_mask": torch.zeros(4, 2, dtype=torch.bool)}
    loss, count = model.batch_loss(nothing)
    assert (loss.item(), count) == (0.0, 0)
    loss.backward()


def test_loss_is_that_of_torch():
    model, batch = tagger(), words([4, 2]).batch([0, 1])
    loss, _ = model.batch_loss(batch)
    scores = model(batch)
    want = sum(
        -scores[t, b].log_softmax(-1)[batch["targets"][t, b]]
        for t in range(4)
        for b in range(2)
        if batch["targets_mask"][t, b]
    )
    torch.testing.assert_close(loss, want, rtol=0, atol=1e-12)


def test_a_word_without_hidden_state_has_one_label():
    """Without a cell the answer depends on the word alone, wherever it stands."""
    model = tagger(cell="none", characters=False)
    inputs = torch.tensor([[3], [5], [3], [0], [3]])
    scores = model({"inputs": inputs, "inputs_lengths": torch.tensor([5])})
    assert torch.equal(scores[0], scores[2])
    assert torch.equal(scores[0], scores[4])
    assert not torch.allclose(scores[0], scores[1])


def test_a_shared_prefix_is_tagged_alike_unless_the_future_is_read():
    """She said: Teddy bears are on sale. She said: Teddy Roosevelt was president."""
    bears = torch.tensor([1, 2, 3, 4, 5, 6, 7])
    roosevelt = torch.tensor([1, 2, 3, 8, 9, 10, 11])
    batch = {
        "inputs": torch.stack([bears, roosevelt], 1),
        "inputs_lengths": torch.tensor([7, 7]),
    }
    forward = tagger(characters=False, bidirectional=False)(batch)
    assert torch.equal(forward[:3, 0], forward[:3, 1])
    both = tagger(characters=False, bidirectional=True)(batch)
    assert bool((both[2, 0] != both[2, 1]).all())


def test_one_matrix_reads_both_directions():
    """o_t = W_f h_f + W_b h_b + b: two read-outs summed are one of both."""
    model = tagger(characters=False)
    batch = words([5, 3]).batch([0, 1])
    features, _ = model.network(model.front_end(batch), lengths=[5, 3])
    ahead, back = features.chunk(2, -1)
    of_ahead, of_back = model.output.weight.chunk(2, -1)
    want = ahead @ of_ahead.t() + back @ of_back.t() + model.output.bias
    torch.testing.assert_close(model(batch), want, rtol=0, atol=1e-12)


def fit(model, batch, steps):
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss, count = model.batch_loss(batch)
        (loss / count).backward()
        optimizer.step()
    return model


def test_teddy_is_learnt_by_both_directions_alone():
    """The label of the shared word depends on the next one: forward ln 2, both 0."""
    bears = torch.tensor([1, 2, 3, 4, 5, 6, 7])
    roosevelt = torch.tensor([1, 2, 3, 8, 9, 10, 11])
    targets = torch.zeros(7, 2, dtype=torch.long)
    targets[2, 1] = 1
    mask = torch.zeros(7, 2, dtype=torch.bool)
    mask[2] = True
    batch = {
        "inputs": torch.stack([bears, roosevelt], 1),
        "inputs_lengths": torch.tensor([7, 7]),
        "targets": targets,
        "targets_mask": mask,
    }
    forward = fit(tagger(characters=False, bidirectional=False), batch, 60)
    loss, count = forward.batch_loss(batch)
    assert loss.item() / count == pytest.approx(0.6931, abs=2e-3)
    both = fit(tagger(characters=False, bidirectional=True), batch, 60)
    assert both.predict(batch)[2].tolist() == [0, 1]
    assert both.batch_loss(batch)[0].item() < 0.05


def test_later_steps_hold_the_answer():
    """Label of step t: the bit of step t + 1. Nothing before t tells about it."""
    generator = torch.Generator().manual_seed(0)
    bits = torch.randint(2, (21, 64), generator=generator)
    held_out = torch.randint(2, (21, 64), generator=generator)

    def batch(bits):
        return {
            "inputs": bits[:-1].unsqueeze(-1).double(),
            "inputs_lengths": torch.full((64,), 20),
            "targets": bits[1:],
            # The bit behind the last step is in no input.
            "targets_mask": (torch.arange(20) < 19).unsqueeze(1).expand(20, 64),
        }

    def accuracy(bidirectional):
        torch.manual_seed(0)
        config = TaggerConfig(cell="elman", hidden_size=8, bidirectional=bidirectional)
        model = Tagger(VectorFrontEnd(1), 2, config).double()
        fit(model, batch(bits), 80)
        test = batch(held_out)
        right = model.eval().predict(test) == test["targets"]
        return float(right[:19].double().mean())

    assert accuracy(True) == 1.0
    # 1,216 fair coins: four standard deviations are 0.057.
    assert abs(accuracy(False) - 0.5) < 0.057


def test_config():
    config = TaggerConfig(output="crf", hidden_size=9, character_size=0)
    assert TaggerConfig.from_dict(config.to_dict()) == config
    with pytest.raises(InvalidValue, match="unknown output 'crv': known are softmax, "):
        TaggerConfig(output="crv")
    with pytest.raises(InvalidValue, match="character_size must not be negative"):
        TaggerConfig(character_size=-1)
    with pytest.raises(InvalidType, match="character_size should be of type int"):
        TaggerConfig(character_size=True)
    with pytest.raises(InvalidValue, match="word_dropout"):
        TaggerConfig(word_dropout=2.0)
    with pytest.raises(InvalidValue, match="bidirectional is about hidden states"):
        TaggerConfig(cell="none", bidirectional=True)
