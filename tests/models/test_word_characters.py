"""Words as entries and as letters."""

import pytest
import torch

from throughtime.errors import InvalidValue
from throughtime.models.word_characters import WordCharacterFrontEnd


@pytest.fixture
def front_end():
    torch.manual_seed(0)
    return WordCharacterFrontEnd(9, 6, 4, character_size=3).double().eval()


BATCH = {
    "inputs": torch.tensor([[7, 2], [0, 7], [1, 0]]),
    "characters": torch.tensor(
        [[[1, 4, 0, 0], [2, 0, 0, 0]], [[5, 5, 1, 3], [1, 4, 0, 0]], [[0] * 4, [0] * 4]]
    ),
    "inputs_lengths": torch.tensor([3, 2]),
}


def test_every_word_is_spelt_by_itself(front_end):
    """The truth: torch's LSTM over the letters of each word, one word at a time."""
    lstm = torch.nn.LSTM(25, 3, bidirectional=True).double()
    lstm.load_state_dict(front_end.spelling.state_dict())
    outputs = front_end(BATCH)
    for t, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
        letters = [c for c in BATCH["characters"][t, b].tolist() if c]
        _, (last, _) = lstm(front_end.characters(torch.tensor(letters)))
        word = front_end.words.weight[BATCH["inputs"][t, b]]
        want = torch.cat([word, last.flatten()])
        torch.testing.assert_close(outputs[t, b], want, rtol=0, atol=1e-12)
    # A word without letters has the initial state; there is no third word beside it.
    assert not outputs[2, 0, 4:].any()
    assert outputs[2, 0, :4].any()
    assert not outputs[2, 1].any()


def test_steps_without_a_word(front_end):
    present = torch.tensor([[True, True], [False, True], [True, True]])
    outputs = front_end({**BATCH, "inputs_present": present})
    assert not outputs[1, 0].any()
    assert torch.equal(outputs[0], front_end(BATCH)[0])


def test_dropped_words_are_unknown_but_spelt(front_end):
    front_end.train()
    front_end.word_dropout = 1.0
    outputs = front_end(BATCH)
    assert torch.equal(outputs[0, 0, :4], front_end.words.weight[0])
    assert torch.equal(outputs[:, :, 4:], front_end.eval()(BATCH)[:, :, 4:])


def test_gradients_reach_all_of_it(front_end):
    front_end(BATCH).square().sum().backward()
    assert all(bool(p.grad.any()) for p in front_end.parameters())


def test_words_alone_and_empty_batches():
    front_end = WordCharacterFrontEnd(9, 1, 4, character_size=0)
    assert front_end(BATCH).shape == (3, 2, 4)
    empty = {
        "inputs": torch.zeros(0, 2, dtype=torch.long),
        "characters": torch.zeros(0, 2, 0, dtype=torch.long),
        "inputs_lengths": torch.zeros(2, dtype=torch.long),
    }
    assert WordCharacterFrontEnd(9, 6, 4)(empty).shape == (0, 2, 104)


def test_bad_arguments():
    with pytest.raises(InvalidValue, match="alphabet_size"):
        WordCharacterFrontEnd(9, 0, 4)
    with pytest.raises(InvalidValue, match="word_dropout"):
        WordCharacterFrontEnd(9, 2, 4, word_dropout=1.5)
