"""Recognising what pictures say: stripes that stand for letters."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from throughtime.errors import DataError, InvalidValue
from throughtime.models.front_ends import VectorFrontEnd
from throughtime.models.network import NetworkConfig
from throughtime.report import Report
from throughtime.report.page import render
from throughtime.tasks.inputs import registry
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.recognise import UNKNOWN, Recognise, units
from throughtime.tasks.recognise_options import RecogniseOptions
from throughtime.tasks.task import RawExample

HEIGHT = 4


class Columns(Inputs):
    """Columns of pixels, without anything learnt."""

    kind = "image"

    @classmethod
    def fit(cls, raw, options):
        return cls()

    def to_dict(self):
        return {}

    @classmethod
    def from_dict(cls, values, options):
        return cls()

    def encode(self, example):
        pixels = np.asarray(Image.open(example.input), dtype=np.float32) / 255
        return {"inputs": torch.from_numpy(pixels.T.copy())}

    def front_end(self, config):
        return VectorFrontEnd(HEIGHT)

    def describe(self):
        return "columns"


@pytest.fixture(autouse=True)
def own_inputs(monkeypatch):
    place = f"{Columns.__module__}:{Columns.__name__}"
    monkeypatch.setitem(registry.KINDS, "image", place)


def draw(path, text):
    """Two columns per letter: the row says which; and an empty column between."""
    pixels = np.zeros((HEIGHT, 3 * max(len(text), 1)), np.uint8)
    for i, letter in enumerate(text):
        pixels["abcd".index(letter), 3 * i : 3 * i + 2] = 255
    Image.fromarray(pixels).save(path)


TEXTS = ["abc", "cab", "aab", "bcc", "a", "cb", "abcabc", "bb"]


@pytest.fixture
def folder(tmp_path):
    rows = ["path,text"]
    for i, text in enumerate(TEXTS):
        draw(tmp_path / f"{i}.png", text)
        rows.append(f"{i}.png,{text}")
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def task_of(folder, **options):
    chosen = RecogniseOptions(**options)
    raw = Recognise.read([folder / "train.csv"], chosen)
    return Recognise.fit(raw, chosen), raw


def trained(task, raw, steps=60, **config):
    torch.manual_seed(0)
    model = task.build(NetworkConfig(hidden_size=16, bidirectional=True, **config))
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    batch = task.encode(raw).batch(range(len(raw)))
    for _ in range(steps):
        optimizer.zero_grad()
        loss, count = model.batch_loss(batch)
        (loss / count).backward()
        optimizer.step()
    return model.eval()


def test_from_files_to_answers(folder):
    task, raw = task_of(folder, beam_size=4)
    assert task.symbols == [UNKNOWN, "a", "b", "c"]
    model = trained(task, raw)
    evaluation = task.evaluate(model, raw, task.encode(raw))
    assert evaluation.figures == {"character error rate": 0.0, "text accuracy": 1.0}
    draw(folder / "new.png", "ccab")
    (answer,) = task.predict(model, task.read_inputs(str(folder / "new.png")))
    assert answer == {"where": str(folder / "new.png"), "text": "ccab"}
    (folder / "new.csv").write_text("path\nnew.png\n3.png\n")
    answers = task.predict(model, task.read_inputs(folder / "new.csv"))
    assert [a["text"] for a in answers] == ["ccab", "bcc"]
    # What task.json keeps is the same task.
    again = Recognise.from_dict(json.loads(json.dumps(task.to_dict())))
    assert again.to_dict() == task.to_dict()
    assert again.predict(model, raw) == task.predict(model, raw)
    assert task.describe() == "3 symbols, columns"


@pytest.mark.parametrize("dark", [False, True])
def test_report(folder, dark):
    task, raw = task_of(folder)
    model = trained(task, raw, steps=1)
    evaluation = task.evaluate(model, raw, task.encode(raw))
    sections = task.sections(model, raw, evaluation)
    assert [s.title for s in sections] == ["Samples", "Errors", "What is seen when"]
    assert len(sections[0].table.rows) == len(TEXTS)
    assert sections[2].figure.draw(dark).axes
    assert "0.png" in render(Report("title", "outcome", sections))


def test_figures_of_answers(folder):
    """By hand: 'abd' for 'abc' and nothing for 'cab'."""
    task, raw = task_of(folder)
    figures = task._figures([["a", "b", "d"], []], raw[:2]).figures
    assert figures == {"character error rate": 4 / 6, "text accuracy": 0.0}


def test_the_most_frequent_text(folder):
    task, raw = task_of(folder)
    (name, baseline), *none = task.baselines([*raw, raw[1]], raw).items()
    assert name == "most frequent text"
    assert not none
    assert baseline.details["answers"] == ["cab"] * 8
    assert baseline.figures["text accuracy"] == 1 / 8


def test_words_and_lower_case():
    options = RecogniseOptions(unit="word", lowercase=True)
    assert units(" One  two ONE\n", options) == ["one", "two", "one"]
    assert units("A b", RecogniseOptions()) == ["A", " ", "b"]


def test_words(folder):
    rows = [f"{i}.png,{' '.join(text.upper())}" for i, text in enumerate(TEXTS)]
    (folder / "train.csv").write_text("path,text\n" + "\n".join(rows))
    task, raw = task_of(folder, unit="word")
    assert task.symbols == [UNKNOWN, "A", "B", "C"]
    model = trained(task, raw)
    evaluation = task.evaluate(model, raw, task.encode(raw))
    assert evaluation.figures == {"word error rate": 0.0, "text accuracy": 1.0}
    assert task.predict(model, raw)[0]["text"] == "A B C"


def test_rare_and_new_symbols_are_unknown_and_wrong(folder):
    draw(folder / "8.png", "ad")
    with (folder / "train.csv").open("a") as file:
        file.write("8.png,ad\n")
    task, raw = task_of(folder, min_frequency=2)
    assert task.symbols == [UNKNOWN, "a", "b", "c"]
    assert task.encode(raw).sequences["targets"][-1].tolist() == [1, 0]
    evaluation = task._figures([["a", UNKNOWN]], raw[-1:])
    assert evaluation.figures["character error rate"] == 0.5


def test_without_hidden_state_and_subsampled(folder):
    task, raw = task_of(folder, subsample=2)
    torch.manual_seed(0)
    model = task.build(NetworkConfig(cell="none", hidden_size=8)).eval()
    assert model.subsample == 2
    loss, count = model.batch_loss(task.encode(raw).batch(range(8)))
    assert loss.isfinite()
    assert count == sum(map(len, TEXTS))


def test_texts_longer_than_their_pictures(folder):
    draw(folder / "0.png", "a")
    with (folder / "train.csv").open("a") as file:
        file.write("0.png,aba\n0.png,aab\n")
    task, raw = task_of(folder)
    says = r"train.csv:11: .*0.png has 3 steps, and 'aab' needs 4; leave it out$"
    with pytest.raises(DataError, match=says):
        task.encode(raw[-1:])
    task.encode(raw[-2:-1])
    task, raw = task_of(folder, subsample=2)
    says = (
        "train.csv:10: .* has 2 steps, 2 taken together, and 'aba' needs 3; .* smaller"
    )
    with pytest.raises(DataError, match=says):
        task.encode(raw[-2:-1])
    task.encode(raw[-2:], labelled=False)


def test_nothing_to_tell_apart(folder):
    (folder / "train.csv").write_text("path,text\n0.png,abc\n1.png, abc\n")
    with pytest.raises(DataError, match="all 2 training examples say 'abc'"):
        task_of(folder)


def test_nothing_left(folder):
    with pytest.raises(DataError, match="leaves no symbol, the most frequent one occ"):
        task_of(folder, min_frequency=100)


def test_files_of_another_kind(folder):
    task, _ = task_of(folder)
    (folder / "a.wav").write_bytes(b"")
    with pytest.raises(DataError, match="a.wav is of kind audio, and .* reads image"):
        task.read_inputs(folder / "a.wav")
    with pytest.raises(DataError, match="nothing.png does not exist; give a sound"):
        task.read_inputs("nothing.png")
    (folder / "train.csv").write_text("path,text\n0.png,abc\na.wav,b\n")
    with pytest.raises(DataError, match="is a sound and"):
        task_of(folder)


def test_options():
    with pytest.raises(InvalidValue, match="unknown unit 'bpe': known are char, word"):
        RecogniseOptions(unit="bpe")
    with pytest.raises(InvalidValue, match="subsample must be greater than zero"):
        RecogniseOptions(subsample=0)
    assert RawExample(1, 2, "").group is None
