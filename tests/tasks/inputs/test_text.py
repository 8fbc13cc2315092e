"""Texts as inputs."""

import json

import pytest
import torch

from throughtime.data.examples import Examples
from throughtime.errors import DataError, InvalidType, InvalidValue
from throughtime.models.network import NetworkConfig
from throughtime.tasks.inputs.text import TextInputs, words
from throughtime.tasks.inputs.text_options import TextOptions
from throughtime.tasks.task import RawExample


def raw(*texts) -> list[RawExample]:
    return [RawExample(t, None, f"a.csv:{i}") for i, t in enumerate(texts, start=2)]


def indices(inputs: TextInputs, text: str) -> list[int]:
    return inputs.encode(raw(text)[0])["inputs"].tolist()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Good, so good!", ["Good", ",", "so", "good", "!"]),
        (
            "wo n't polanski 's `` x ''",
            ["wo", "n't", "polanski", "'s", "``", "x", "''"],
        ),
        ("3.5 of 1,000,000 50% 7.", ["3.5", "of", "1,000,000", "50", "%", "7", "."]),
        ("well...?! \n ü’s\ta_b", ["well", "...", "?", "!", "ü’s", "a_b"]),
        (" \n ", []),
    ],
)
def test_words(text, want):
    assert words(text) == want


def test_words_between_spaces():
    assert words("so, so <unk> 's", marks=False) == ["so,", "so", "<unk>", "'s"]


def test_tokenised_text_stays_as_it_is(data_folder):
    """Of SST-2, tokenised as the Penn Treebank is, all but a few words of 1,000."""
    lines = (data_folder / "sst2" / "dev.tsv").read_text().splitlines()
    texts = [line.partition("\t")[0] for line in lines]
    same = [words(text) == text.split() for text in texts]
    assert sum(same) > 0.99 * len(same)


def test_words_by_frequency():
    """Each example is its words alone: no line end, in whatever place."""
    inputs = TextInputs.fit(raw("so good", "so, so\ngood", ""), TextOptions())
    assert inputs.vocabulary.tokens == ["so", "<eos>", "good", ",", "<unk>"]
    assert indices(inputs, "good\nso bad ,") == [2, 0, 4, 3]
    assert indices(inputs, "") == []
    assert inputs.tokens(raw("so bad")[0]) == ["so", "<unk>"]
    assert inputs.describe() == "5 words"


@pytest.mark.parametrize(
    ("options", "text", "want"),
    [
        ({"lowercase": True}, "SO", ["so"]),
        ({}, "SO", ["<unk>"]),
        ({"min_frequency": 2}, "so good", ["so", "<unk>"]),
        ({"vocabulary_size": 3}, "so good", ["so", "<unk>"]),
        ({"marks": False}, "so good,", ["so", "<unk>"]),
        ({"unit": "char"}, "do g", ["d", "o", " ", "g"]),
        ({"unit": "char", "lowercase": True}, "Dx", ["d", "<unk>"]),
        ({"unit": "bpe", "vocabulary_size": 258}, "so ü", ["so", " ", "�", "�"]),
    ],
)
def test_options(options, text, want):
    texts = raw("so so so good so", "so", "so dumb") if options else raw("so good")
    inputs = TextInputs.fit(texts, TextOptions(**options))
    assert inputs.tokens(raw(text)[0]) == want


@pytest.mark.parametrize("unit", ["char", "word", "bpe"])
def test_saved_and_restored(unit):
    options = TextOptions(unit=unit, lowercase=True)
    inputs = TextInputs.fit(raw("It's so good", "so-so"), options)
    values = json.loads(json.dumps(inputs.to_dict()))
    restored = TextInputs.from_dict(values, options)
    for text in ("It's not so", "", "so good"):
        assert indices(restored, text) == indices(inputs, text)
    assert restored.describe() == inputs.describe()


def test_front_end():
    """The truth: rows of the embedding, zeros beyond the end; in training unknowns."""
    options = TextOptions(word_dropout=0.5)
    inputs = TextInputs.fit(raw("a b c d"), options)
    front_end = inputs.front_end(NetworkConfig(hidden_size=8, embedding_size=3))
    assert front_end.output_size == 3
    rows = [inputs.encode(e)["inputs"] for e in raw("a b c", "", "d")]
    batch = Examples({"inputs": rows}).batch([0, 1, 2])
    table = front_end.embedding.weight
    outputs = front_end.eval()(batch)
    assert torch.equal(outputs[:, 0], table[rows[0]])
    assert outputs[:, 1].eq(0).all()
    assert torch.equal(outputs[0, 2], table[rows[2][0]])
    assert outputs[1:, 2].eq(0).all()
    torch.manual_seed(0)
    unknown = table[inputs.vocabulary.unknown_index]
    front_end.train()
    hidden = torch.stack(
        [(front_end(batch)[:, 0] == unknown).all(-1) for _ in range(200)]
    )
    assert 0.4 < hidden.double().mean() < 0.6


@pytest.mark.parametrize("texts", [(), ("",), (" \n", "")])
def test_nothing_to_read(texts):
    with pytest.raises(DataError, match="no training text holds anything to read"):
        TextInputs.fit(raw(*texts), TextOptions())


def test_inputs_that_are_no_text():
    with pytest.raises(DataError, match="a.csv:2: the input should be a text, got int"):
        TextInputs.fit(raw(3), TextOptions())
    inputs = TextInputs.fit(raw("a"), TextOptions())
    with pytest.raises(DataError, match="a.csv:2: .*half a surrogate pair"):
        indices(inputs, "\ud800")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"unit": "words"}, InvalidValue, "unknown unit 'words': known are char, word"),
        ({"lowercase": "yes"}, InvalidType, "lowercase"),
        ({"marks": 1}, InvalidType, "marks"),
        ({"vocabulary_size": 0}, InvalidValue, "vocabulary_size"),
        ({"min_frequency": 0}, InvalidValue, "min_frequency"),
        ({"word_dropout": 2}, InvalidValue, "word_dropout"),
        ({"word_dropout": 0.1, "unit": "bpe"}, InvalidValue, "needs an unknown token"),
    ],
)
def test_wrong_options(options, error, says):
    with pytest.raises(error, match=says):
        TextOptions(**options)
