"""Music as a task: from files to figures, answers and pictures."""

import json
import math
from dataclasses import replace

import pytest
import torch

from throughtime.data.midi import read_midi, write_midi
from throughtime.errors import DataError, InvalidType, InvalidValue
from throughtime.models.network import NetworkConfig
from throughtime.tasks.music import Music
from throughtime.tasks.music_options import MusicOptions
from throughtime.training import TrainingConfig, train

SCALE = [[60], [62], [64], [65, 60], [67], [65, 60], [64], [62]] * 2
CONFIG = NetworkConfig(cell="gru", hidden_size=8)
OPTIONS = MusicOptions(most_notes=4, continuation=3)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "scales.json"
    parts = {"train": [SCALE, SCALE[2:], []], "valid": [SCALE[1:]], "test": [SCALE[3:]]}
    path.write_text(json.dumps(parts))
    return path


@pytest.fixture
def raw(file):
    return Music.read([file], OPTIONS)


@pytest.fixture
def task(raw):
    return Music.fit(raw, OPTIONS)


@pytest.fixture
def model(task):
    torch.manual_seed(0)
    return task.build(CONFIG).eval()


def test_the_files_own_parts(raw, tmp_path):
    parts = Music.own_parts(raw, OPTIONS)
    assert parts is not None
    sizes = {name: len(part) for name, part in parts.items()}
    assert sizes == {"train": 3, "valid": 1, "test": 1}
    assert Music.measured(raw, OPTIONS) == parts["test"]
    assert parts["valid"][0].where.endswith("scales.json: valid piece 1")
    write_midi(tmp_path / "a.mid", [(60,), (62,)])
    midi = Music.read([tmp_path / "a.mid"], OPTIONS)
    assert Music.own_parts(midi, OPTIONS) is None
    with pytest.raises(DataError, match=r"train piece 1 belongs.*a\.mid to none"):
        Music.own_parts([*raw, *midi], OPTIONS)


def test_encoding(task, raw):
    examples = task.encode(raw[:3])
    assert set(examples.sequences) == {"inputs", "targets"}
    assert examples.lengths.tolist() == [15, 13, 0]
    for n, steps in enumerate((SCALE, SCALE[2:])):
        x, y = examples.sequences["inputs"][n], examples.sequences["targets"][n]
        assert [(row.nonzero()[:, 0] + 21).tolist() for row in x] == [
            sorted(step) for step in steps[:-1]
        ]
        assert torch.equal(x[1:], y[:-1])
    asked = task.encode(raw[:3], labelled=False)
    assert set(asked.sequences) == {"inputs"}
    assert asked.lengths.tolist() == [16, 14, 0]


def test_unknown_steps_are_no_input_and_no_target(task, model):
    known = task.read_inputs("[[60], [62], [64], [65]]")
    holes = task.read_inputs("[[60], [62], null, [65]]")
    examples = task.encode([*holes, *known])
    present = [part.tolist() for part in examples.sequences["inputs_present"]]
    masks = [part.tolist() for part in examples.sequences["targets_mask"]]
    assert present == [[True, True, False], [True, True, True]]
    assert masks == [[True, False, True], [True, True, True]]
    assert model.batch_loss(examples.batch([0, 1]))[1] == 5
    # The figures count the same steps.
    figures = task.evaluate(model, holes, task.encode(holes)).figures
    total, count = model.batch_loss(task.encode(holes).batch([0]))
    assert count == 2
    assert figures["nats_per_frame"] == pytest.approx(total.item() / 2, rel=1e-6)


def test_figures(task, model, raw):
    """The truth: the loss of training, and counting keys one by one."""
    parts = [e for e in raw if len(e.input.roll) != 1]
    examples = task.encode(parts)
    with torch.no_grad():  # so that some keys are likelier than not
        model.output.bias.fill_(-4.0)
        model.output.bias[39:42] = 4.0
    figures = task.evaluate(model, parts, examples).figures
    assert next(iter(figures)) == "nats_per_frame"
    total, count = 0.0, 0
    right = either = 0
    for n in range(len(examples)):
        batch = examples.batch([n])
        loss, frames = model.batch_loss(batch)
        total, count = total + loss.item(), count + frames
        said = (model(batch) > 0)[:, 0]
        for row, want in zip(said, examples.sequences["targets"][n], strict=True):
            for a, b in zip(row.tolist(), want.bool().tolist(), strict=True):
                right += a and b
                either += a or b
    assert figures["nats_per_frame"] == pytest.approx(total / count, rel=1e-6)
    assert 0 < figures["accuracy"] < 1
    assert figures["accuracy"] == pytest.approx(right / either)


def test_baselines(task, raw):
    """Of a constant piece everything is known after the first frame."""
    figures = {k: v.figures for k, v in task.baselines(raw[:2], raw[3:]).items()}
    assert list(figures) == [
        "each key by itself",
        "Markov, each key",
        "linear, last frame",
        "linear, last three frames",
    ]
    nats = [figure["nats_per_frame"] for figure in figures.values()]
    # The way up and the way down differ in the frame before the last.
    assert nats[3] < nats[2] < nats[0]


def test_it_survives_json(task, file):
    values = json.loads(json.dumps(task.to_dict()))
    again = Music.from_dict(values)
    assert again.to_dict() == task.to_dict()
    assert again.options == OPTIONS
    assert again.openings == [(60,), (60, 65), (62,), (64,)]
    assert again.describe() == "88 keys, 4 first chords"
    values["options"]["tmepo"] = 3
    with pytest.raises(InvalidValue, match="unknown option of music 'tmepo'"):
        Music.from_dict(values)


def test_what_cannot_be_learnt(task, model):
    for text in ("[[60]]", "[[60], []]", "[[60], null]", "[[[]], [[60]]]"):
        with pytest.raises(DataError, match="nothing to learn from"):
            Music.fit(task.read_inputs(text), OPTIONS)
    short = task.read_inputs("[[60]]")
    with pytest.raises(DataError, match="no piece has a second step"):
        task.evaluate(model, short, task.encode(short))


def test_answers_go_on_with_a_piece(task, model, tmp_path):
    raw = task.read_inputs("[[[60], null], [[62]]]")
    answers = task.predict(model, raw, folder=tmp_path)
    for n, answer in enumerate(answers):
        assert len(answer["steps"]) == OPTIONS.continuation
        assert len(answer["text"].split(" | ")) == OPTIONS.continuation
        begun = [pitches or () for pitches in raw[n].input.roll]
        roll = [*begun, *map(tuple, answer["steps"])]
        assert read_midi(tmp_path / f"00{n + 1}.mid") == roll
    # In whichever company, and without files, the same.
    assert task.predict(model, raw[1:])[0]["steps"] == answers[1]["steps"]
    with pytest.raises(DataError, match="input: piece 1 has no steps"):
        task.predict(model, task.read_inputs("[[], [[60]]]"))
    with pytest.raises(InvalidType, match="PianoRollModel, got: Linear"):
        task.predict(torch.nn.Linear(1, 1), raw)


def test_inputs_of_files(task, file, tmp_path):
    assert len(task.read_inputs(file)) == 5
    write_midi(tmp_path / "a.mid", [(60,)], step="8th")
    eighths = Music(replace(OPTIONS, step="8th"), [])
    assert eighths.read_inputs(tmp_path / "a.mid")[0].input.roll == [(60,)]


def test_making_music(task, model, tmp_path):
    out = tmp_path / "tune.mid"
    answer = task.generate(model, length=20, seed=3, out=out)
    assert answer["file"] == str(out)
    assert tuple(answer["steps"][0]) in task.openings
    assert read_midi(out) == [tuple(step) for step in answer["steps"]]
    assert all(len(step) <= 4 for step in answer["steps"])
    assert task.generate(model, length=20, seed=3)["steps"] == answer["steps"]
    assert task.generate(model, length=20, seed=4)["steps"] != answer["steps"]
    begun = task.generate(model, length=2, prompt="[[60], [64], null]")
    assert begun["steps"][:3] == [[60], [64], None]
    assert begun["text"].startswith("C4 | E4 | ? | ")
    assert len(begun["steps"]) == 5
    with pytest.raises(InvalidValue, match="length"):
        task.generate(model, length=0)


def test_the_report_shows_a_piece(task, model, raw):
    from throughtime.plots import to_svg
    from throughtime.report import Report, render

    evaluation = task.evaluate(model, raw, task.encode(raw))
    sections = task.sections(model, raw, evaluation)
    figure = sections[0].figure
    assert "as written" in to_svg(figure.draw(False))
    assert "scales.json: train piece 1" in render(Report("music", "done", sections))
    assert task.sections(model, task.read_inputs("[[60], [62]]"), evaluation) == []


def test_options():
    assert MusicOptions().step == "quarter"
    for wrong, says in (
        ({"step": "4th"}, "unknown step '4th'"),
        ({"tempo": 0.0}, "tempo"),
        ({"most_notes": 0}, "most_notes"),
        ({"continuation": 0}, "continuation"),
    ):
        with pytest.raises(InvalidValue, match=says):
            MusicOptions(**wrong)


@pytest.mark.parametrize("cell", ["gru", "none"])
def test_it_learns_scales(task, raw, cell):
    """A memory knows the way; without one up and down are a coin's throw at F."""
    torch.manual_seed(0)
    model = task.build(NetworkConfig(cell=cell, hidden_size=32))
    examples = task.encode(raw[:2])
    config = TrainingConfig(epochs=400, batch_size=2, learning_rate=0.03, max_norm=None)
    list(train(model, examples, config))
    model.eval()
    nats = task.evaluate(model, raw[:2], examples).figures["nats_per_frame"]
    # 62, 64 and (60, 65), most steps, come on the way up and on the way down, and two
    # keys then are as likely as not.
    assert nats < 0.1 if cell == "gru" else nats > 0.8


def test_the_chorales(data_folder):
    """The truth: published figures of static and of last-frame forecasts."""
    path = data_folder / "jsb-chorales" / "jsb-chorales-quarter.json.gz"
    parts = Music.own_parts(Music.read([path], OPTIONS), OPTIONS)
    assert parts is not None
    task = Music.fit(parts["train"], OPTIONS)
    examples = task.encode(parts["test"])
    assert int(examples.lengths.sum()) == 4725 - 77
    model = task.build(CONFIG).eval()
    with torch.no_grad():
        torch.nn.init.zeros_(model.output.weight)
        wanted = torch.cat(list(task.encode(parts["train"]).sequences["targets"]))
        chances = (wanted.sum(0) + 0.5) / (len(wanted) + 1)
        model.output.bias.copy_(chances.logit())
    figures = task.evaluate(model, parts["test"], examples).figures
    assert figures["nats_per_frame"] == pytest.approx(11.09, abs=0.01)
    assert math.isclose(figures["accuracy"], 0)
