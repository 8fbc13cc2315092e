"""Translation from files to figures and answers."""

import json
import math
import subprocess
import sys

import pytest
import torch

from throughtime.errors import DataError, InvalidValue
from throughtime.models.encoder_decoder_config import EncoderDecoderConfig
from throughtime.tasks.task import RawExample
from throughtime.tasks.translate import Translate
from throughtime.tasks.translate_options import TranslateOptions

WORDS = ["cat", "dog", "bird", "red", "big", "old"]
TEXTS = [f"{a} {b}" for a in WORDS for b in WORDS]
RAW = [
    RawExample(text, " ".join(reversed(text.upper().split())), f"x.txt:{i}", text)
    for i, text in enumerate(TEXTS, start=1)
]


def fitted(**options):
    return Translate.fit(RAW, TranslateOptions(**options))


def model_of(task, **entries):
    torch.manual_seed(0)
    return task.build(EncoderDecoderConfig(hidden_size=8, **entries)).eval()


def trained(task, updates=60, **entries):
    torch.manual_seed(0)
    config = EncoderDecoderConfig(
        cell="gru", hidden_size=24, bidirectional=True, **entries
    )
    model, batch = task.build(config), task.encode(RAW).batch(range(len(RAW)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(updates):
        loss, count = model.batch_loss(batch)
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize("unit", ["word", "char", "bpe"])
def test_from_examples_to_answers(unit):
    task = fitted(unit=unit, vocabulary_size=None if unit != "bpe" else 290)
    task = Translate.from_dict(json.loads(json.dumps(task.to_dict())))
    model = trained(task, updates=100)
    evaluation = task.evaluate(model, RAW, task.encode(RAW))
    assert evaluation.figures["exact %"] == 100
    assert evaluation.figures["chrF"] == pytest.approx(100)
    assert 1 < evaluation.figures["perplexity"] < 1.5
    (answer,) = task.predict(model, task.read_inputs(" red  cat\n"))
    assert answer["text"] == "CAT RED"
    assert answer["score"] < 0
    json.dumps(answer)


def test_tokens_and_their_ends():
    task = fitted()
    examples = task.encode(RAW[:2])
    words, end = task.target.tokens, task.target.boundary_index
    assert [words[i] for i in examples.sequences["targets"][1]] == [
        "DOG",
        "CAT",
        "<eos>",
    ]
    assert examples.sequences["inputs"][0][-1] == task.source.boundary_index
    assert list(task.encode(RAW, labelled=False).sequences) == ["inputs"]
    assert model_of(task).end_index == end
    # Words that training has not seen, and nothing at all.
    unseen = task.encode(
        [RawExample("fish cat", None, ""), RawExample("", None, "")], labelled=False
    )
    assert unseen.sequences["inputs"][0][0] == task.source.unknown_index
    assert unseen.lengths.tolist() == [3, 1]


def test_the_word_for_the_end_within_a_text():
    """It is a token of this text, and no border between texts."""
    task = fitted()
    raw = [RawExample("red <eos> cat", None, ""), RawExample("dog", None, "")]
    assert task.encode(raw, labelled=False).lengths.tolist() == [4, 2]


def test_perplexity_is_of_whole_targets():
    """exp of the mean loss, by one batch of all; cut targets do not make it better."""
    task = fitted()
    model = model_of(task)
    loss, count = model.batch_loss(task.encode(RAW).batch(range(len(RAW))))
    want = math.exp(loss.item() / count)
    short = fitted(max_target=1)
    for one in (task, short):
        figures = one.evaluate(model, RAW, one.encode(RAW)).figures
        assert figures["perplexity"] == pytest.approx(want, rel=1e-5)


def test_long_texts_are_cut_and_counted():
    task = fitted(unit="char", max_source=6, max_target=7)
    examples = task.encode([RAW[0], RawExample("old bird", "BIRD OLD", "")])
    assert examples.lengths.tolist() == [6, 6]
    assert [len(t) for t in examples.sequences["targets"]] == [8, 7]
    # "cat cat" has 7 characters; the two words of four or less letters decide.
    sources = sum(len(text) > 6 for text in TEXTS)
    targets = sum(len(text) > 7 for text in TEXTS)
    assert f"{sources} sources cut to 6" in task.describe()
    assert f"{targets} targets cut to 7" in task.describe()


def test_sources_with_several_targets():
    """All of them are right, and the source counts once."""
    task = fitted()
    model = trained(task)
    raw = [*RAW[:2], RawExample(RAW[1].input, "something else", "x.txt:3")]
    evaluation = task.evaluate(model, raw, task.encode(raw))
    assert evaluation.details["sources"] == [RAW[0].input, RAW[1].input]
    assert evaluation.details["references"][1] == [RAW[1].target, "something else"]
    assert evaluation.figures["exact %"] == 100


def test_unknown_words():
    """They are never said, or copied from where attention looks."""
    raw = [*RAW, RawExample("old zebra", "ZEBRA OLD", "x.txt:40", "old zebra")]
    plain = Translate.fit(raw, TranslateOptions())
    copying = Translate.fit(raw, TranslateOptions(copy_unknown=True))
    model = model_of(plain)
    with torch.no_grad():
        model.output_bias[plain.target.unknown_index] = 100.0
    asked = [RawExample("old fish", None, "")]
    assert "<unk>" not in plain.predict(model, asked)[0]["text"]
    words = copying.predict(model, asked)[0]["text"].split()
    assert words
    assert set(words) <= {"old", "fish"}
    # Without attention there is nothing to copy from.
    other = model_of(copying, attention="none")
    with torch.no_grad():
        other.output_bias[copying.target.unknown_index] = 100.0
    assert "<unk>" not in copying.predict(other, asked)[0]["text"]


def test_attention_of_answers():
    task = fitted(show_attention=True)
    model = trained(task)
    first, second, empty = task.predict(
        model, [RawExample(t, None, "") for t in ("big dog", "old fish red", "")]
    )
    assert first["tokens"] == ["DOG", "BIG", "<eos>"]
    assert first["source_tokens"] == ["big", "dog", "<eos>"]
    weights = torch.tensor(first["attention"])
    assert weights.shape == (3, 3)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    assert second["source_tokens"][1] == "fish"
    assert empty == {"text": "", "score": 0.0}


def test_baselines():
    task = fitted()
    found = task.baselines([*RAW, RAW[0]], RAW)
    copied = found["copy of the source"].figures
    assert copied["exact %"] == 0
    assert found["most frequent target"].figures["exact %"] == pytest.approx(100 / 36)
    # Word for word, in the order of the source: right where both words are one.
    table = found["word for word (IBM model 1)"].figures
    assert table["exact %"] == pytest.approx(600 / 36)
    assert "word for word (IBM model 1)" not in fitted(unit="char").baselines(RAW, RAW)


def test_sections():
    task = fitted()
    model = model_of(task)
    evaluation = task.evaluate(model, RAW, task.encode(RAW))
    answers, attention = task.sections(model, RAW, evaluation)
    assert answers.table.rows[0][:2] == (RAW[0].input, RAW[0].target)
    assert len(answers.table.rows) == 12
    assert "Each token looked most at" in attention.figure.text
    assert attention.figure.draw(True).axes
    assert not task.options.show_attention
    bare = model_of(task, attention="none")
    assert len(task.sections(bare, RAW, evaluation)) == 1


def test_one_vocabulary():
    task = fitted(joint_vocabulary=True)
    assert task.source is task.target
    again = Translate.from_dict(json.loads(json.dumps(task.to_dict())))
    assert again.source is again.target
    model = model_of(again, shared=True, tied=True)
    assert model.embedding is model.front_end.embedding
    assert "of both sides" in task.describe()
    with pytest.raises(InvalidValue, match="joint_vocabulary"):
        model_of(fitted(), shared=True)


@pytest.mark.parametrize(
    "entries", [{"cell": "none"}, {"attention": "none"}, {"input_feeding": True}]
)
def test_other_networks(entries):
    task = fitted()
    model = model_of(task, **entries)
    assert len(task.predict(model, RAW[:3])) == 3
    assert task.evaluate(model, RAW[:3], task.encode(RAW[:3])).figures


def test_reading(tmp_path):
    source, target = tmp_path / "a.en", tmp_path / "a.de"
    source.write_text("A Dog\nTwo  Dogs\n")
    target.write_text("Ein Hund\nZwei Hunde\n")
    raw = Translate.read([source, target], TranslateOptions(lowercase=True))
    assert raw[1] == RawExample("two dogs", "zwei hunde", f"{source}:2", "two dogs")
    asked = Translate.fit(raw, TranslateOptions(lowercase=True, min_frequency=1))
    assert [e.input for e in asked.read_inputs(source)] == ["a dog", "two dogs"]


def test_what_cannot_be_learnt():
    same = [RawExample(text, "x", "a:1") for text in TEXTS]
    with pytest.raises(DataError, match="all 36 targets are the same"):
        Translate.fit(same, TranslateOptions())
    with pytest.raises(DataError, match="end of a line is none of the entries"):
        fitted(unit="char", vocabulary_size=2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"unit": "letter"}, "unknown unit 'letter'.*char, word, bpe"),
        ({"target_unit": "words"}, "unknown target_unit 'words'"),
        ({"missing": "no"}, "error, skip"),
        ({"beam_size": 0}, "beam_size"),
        ({"max_source": 0}, "max_source"),
        ({"length_penalty": -1}, "length_penalty"),
        ({"tokenise": "moses"}, "unknown way to tokenise 'moses'"),
        ({"joint_vocabulary": True, "target_unit": "char"}, "leave out target_unit"),
    ],
)
def test_bad_options(options, says):
    with pytest.raises(InvalidValue, match=says):
        TranslateOptions(**options)


def test_options_are_light():
    """The help of the command line is to come at once."""
    code = (
        "import sys, throughtime.tasks.translate_options;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
