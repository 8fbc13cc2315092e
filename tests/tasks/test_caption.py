"""Captions of coloured squares, and of numbers."""

import gzip
import io
import json
import sys
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from sacrebleu.metrics.bleu import BLEU

from throughtime.errors import DataError, InvalidType, InvalidValue
from throughtime.models.captioner import CaptionerConfig
from throughtime.models.front_ends import VectorFrontEnd
from throughtime.models.picture_encoder import PictureEncoder
from throughtime.report import Report
from throughtime.report.page import render
from throughtime.tasks import caption_inputs
from throughtime.tasks.caption import Caption
from throughtime.tasks.caption_baselines import (
    best_constant,
    bleu_figures,
    most_frequent,
)
from throughtime.tasks.caption_options import CaptionOptions
from throughtime.tasks.pictures import Picture
from throughtime.tasks.splitting import random_split

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
SMALL = {"size": 8, "min_frequency": 1}


def content(colour):
    buffer = io.BytesIO()
    Image.new("RGB", (12, 10), COLOURS[colour]).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Three pictures with two texts each."""
    (tmp_path / "in").mkdir()
    rows = ["image,caption"]
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as packed:
        for colour in COLOURS:
            (tmp_path / "in" / f"{colour}.png").write_bytes(content(colour))
            packed.writestr(f"photos/{colour}.png", content(colour))
            rows += [
                f"{colour}.png,A {colour}  square is",
                f"{colour}.png,it is all {colour}",
            ]
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def task_of(file, **options):
    chosen = CaptionOptions(**options)
    raw = Caption.read([file], chosen)
    return Caption.fit(raw, chosen), raw


def trained(task, raw, steps=60, **config):
    torch.manual_seed(0)
    config = {"cell": "gru", "hidden_size": 16, "encoded_size": 8, **config}
    model = task.build(CaptionerConfig(**config))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    batch = task.encode(raw).batch(range(len(raw)))
    for _ in range(steps):
        optimizer.zero_grad()
        loss, count = model.batch_loss(batch)
        (loss / count).backward()
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize("attention", [False, True])
def test_from_files_to_answers(folder, attention):
    images = str(folder / ("in.zip" if attention else "in"))
    task, raw = task_of(folder / "train.csv", images=images, **SMALL)
    assert len({example.group for example in raw}) == 3
    model = trained(task, raw, attention=attention)
    assert model.front_end.grid is attention
    evaluation = task.evaluate(model, raw, task.encode(raw))
    # One text for each picture, not for each row, and one of those written about it.
    answers = evaluation.details["answers"]
    assert len(answers) == 3
    for colour, answer in zip(COLOURS, answers, strict=True):
        assert answer in (f"a {colour} square is", f"it is all {colour}")
    assert evaluation.figures["BLEU-4"] == evaluation.figures["BLEU-1"] == 100
    # The words are certain but for the first, which is one of two: 2^(6 / 30).
    found = evaluation.figures["perplexity per word"]
    assert found == pytest.approx(2 ** (1 / 5), abs=0.1)
    (folder / "new.png").write_bytes(content("blue"))
    (answer,) = task.predict(model, task.read_inputs(str(folder / "new.png")))
    assert answer == {"where": str(folder / "new.png"), "text": answers[2]}
    assert task.predict(model, raw) == [
        {"where": f"{folder}/train.csv:{line}", "text": text}
        for line, text in zip((2, 4, 6), answers, strict=True)
    ]
    again = Caption.from_dict(json.loads(json.dumps(task.to_dict())))
    assert again.to_dict() == task.to_dict()
    assert again.predict(model, raw) == task.predict(model, raw)


def test_tables_without_texts_are_asked(folder):
    task, raw = task_of(folder / "train.csv", images=str(folder / "in"), **SMALL)
    model = trained(task, raw, steps=1)
    (folder / "new.jsonl").write_text('{"image": "red.png"}\n{"image": "blue.png"}\n')
    assert len(task.predict(model, task.read_inputs(folder / "new.jsonl"))) == 2


def test_pictures_are_held_out_with_all_their_texts(folder):
    _, raw = task_of(folder / "train.csv", images=str(folder / "in"), **SMALL)
    train, held_out = random_split(raw, 0.2, 0)
    assert len(held_out) == 2
    assert not {e.input for e in train} & {e.input for e in held_out}


def test_a_picture_is_read_once(folder):
    task, raw = task_of(folder / "train.csv", images=str(folder / "in"), **SMALL)
    inputs = task.encode(raw).sequences["inputs"]
    assert inputs[0].data_ptr() == inputs[1].data_ptr()
    assert inputs[0].shape == (1, 3, 8, 8)
    assert (inputs[0][0, 0] == 255).all()
    assert not inputs[0][0, 1:].any()
    grey, raw = task_of(
        folder / "train.csv", images=str(folder / "in"), grey=True, **SMALL
    )
    assert grey.encode(raw).sequences["inputs"][0].shape == (1, 1, 8, 8)
    assert grey.build(CaptionerConfig(encoded_size=4)).front_end.shape == (1, 8, 8)


@pytest.mark.parametrize("dark", [False, True])
def test_report(folder, dark):
    task, raw = task_of(folder / "train.csv", images=str(folder / "in"), **SMALL)
    model = trained(task, raw, steps=1)
    evaluation = task.evaluate(model, raw, task.encode(raw))
    (section,) = task.sections(model, raw, evaluation)
    axes = section.figure.draw(dark).axes
    assert sum(bool(a.images) for a in axes) == 3
    assert "square" in render(Report("title", "outcome", [section]))


@pytest.mark.parametrize("unit", ["char", "bpe"])
def test_other_units(folder, unit):
    task, raw = task_of(
        folder / "train.csv", images=str(folder / "in"), unit=unit, **SMALL
    )
    target = task.encode(raw).sequences["targets"][0]
    assert target[-1] == task.vocabulary.boundary_index
    assert task.vocabulary.decode(target[:-1]) == "a red square is"
    model = trained(task, raw, steps=1)
    name = {"char": "perplexity per character", "bpe": "perplexity per subword"}[unit]
    assert name in task.evaluate(model, raw, task.encode(raw)).figures


def test_baselines(folder):
    task, raw = task_of(folder / "train.csv", images=str(folder / "in"), **SMALL)
    more = [*raw, *raw[3:4]]
    found = task.baselines(more, raw)
    assert list(found) == ["most frequent text", "best single text"]
    assert found["most frequent text"].details["text"] == "it is all green"
    want = bleu_figures(["it is all green"] * 3, task._references(raw))
    assert found["most frequent text"].figures == want


def test_bleu_is_sacrebleus():
    answers = ["a dog runs on grass", "two men sit"]
    streams = [["a dog runs on the grass", "two men sit down"], ["the dog runs", None]]
    references = [["a dog runs on the grass", "the dog runs"], ["two men sit down"]]
    found = bleu_figures(answers, references)
    for order in (4, 1):
        bleu = BLEU(max_ngram_order=order, tokenize="none", force=True)
        want = bleu.corpus_score(answers, streams).score
        assert found[f"BLEU-{order}"] == pytest.approx(want, abs=1e-9)
    # By characters: "ab" against "ac" has one of two right.
    assert bleu_figures(["ab"], [["ac"]], " ".join)["BLEU-1"] == 50
    assert bleu_figures([], []) == {}


def test_single_texts():
    """The truth: BLEU-4 of each text there is."""
    references = [
        ["a dog runs on the grass", "the brown dog is fast"],
        ["a dog runs on the sand", "a man and a dog"],
        ["a man runs on the grass", "he is there"],
    ]
    assert most_frequent([["a", "b"], ["b", "c"], ["c"]]) == "b"
    texts = [text for its in references for text in its]
    best = max(texts, key=lambda t: bleu_figures([t] * 3, references)["BLEU-4"])
    assert best_constant(references) == best


# ---- numbers instead of pictures


NUMBERS = "x_1,x_2,text\n0,5,small one\n10,5,large one\n0,5,tiny one\n10,5,huge one\n"


def test_numbers(tmp_path):
    (tmp_path / "a.csv").write_text(NUMBERS)
    task, raw = task_of(tmp_path / "a.csv", columns="x_*", min_frequency=1)
    assert task.inputs.mean == [5.0, 5.0]
    assert task.inputs.std == [5.0, 0.0]
    model = trained(task, raw)
    assert isinstance(model.front_end, VectorFrontEnd)
    for given, words in (("0, 5", "small tiny"), ("10 5", "large huge")):
        (answer,) = task.predict(model, task.read_inputs(given))
        assert answer["text"].split()[0] in words.split()
        assert answer["text"].split()[1:] == ["one"]
    (tmp_path / "b.csv").write_text("x_2,x_1\n5,10\n")
    assert [e.input for e in task.read_inputs(tmp_path / "b.csv")] == [(5.0, 10.0)]
    again = Caption.from_dict(json.loads(json.dumps(task.to_dict())))
    assert again.predict(model, raw) == task.predict(model, raw)
    (section,) = task.sections(model, raw, task.evaluate(model, raw, task.encode(raw)))
    assert section.figure is None
    with pytest.raises(InvalidValue, match="attention looks at the parts of a picture"):
        task.build(CaptionerConfig(attention=True))


def test_arrays(tmp_path):
    texts = np.array(["small one", "large one"])
    np.savez(tmp_path / "a.npz", inputs=np.array([[0, 5], [10, 5]]), texts=texts)
    task, raw = task_of(tmp_path / "a.npz", min_frequency=1)
    assert [(e.input, e.target) for e in raw] == [
        ((0.0, 5.0), "small one"),
        ((10.0, 5.0), "large one"),
    ]
    np.savez(tmp_path / "b.npz", inputs=np.array([[0.5, 5]]))
    assert task.read_inputs(tmp_path / "b.npz")[0].input == (0.5, 5.0)


# ---- what cannot be used


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "image,caption\nred.png,a\npink.png,b\n",
            "train.csv:3: no picture pink.png in",
        ),
        ("image,caption\nred.png,a\n,b\n", "train.csv:3: no picture in column 'image'"),
        ("image,caption\nred.png, \n", "train.csv:2: no text in column 'caption'"),
        ("image,words\nred.png,a\n", "has no column of texts: none of image, words"),
        ("place,caption\nred.png,a\n", "has no column of paths: none of place, cap"),
        ("image,caption\nred.png\n", "train.csv:2: 1 field instead of 2"),
        ("image,caption\nred.png,a\nblue.png,A \n", "all 2 training .* text 'a'"),
        ("image,caption\nred.png,a\nbad.png,b\n", "train.csv:3: .*bad.png cannot be"),
        ("image,caption\nred.png,a\ncut.png,b\n", "train.csv:3: .*cut.png cannot be"),
    ],
)
def test_tables_that_cannot_be_used(folder, content, says):
    (folder / "in" / "bad.png").write_bytes(b"no picture")
    cut = (folder / "in" / "red.png").read_bytes()[:45]
    (folder / "in" / "cut.png").write_bytes(cut)
    (folder / "train.csv").write_text(content)

    def use():
        task, raw = task_of(folder / "train.csv", images=str(folder / "in"), **SMALL)
        task.encode(raw)

    with pytest.raises(DataError, match=says):
        use()


def test_places_that_cannot_be_used(folder):
    file = folder / "train.csv"
    with pytest.raises(DataError, match="nowhere does not exist; check --images"):
        task_of(file, images=str(folder / "nowhere"))
    with pytest.raises(DataError, match="is neither a folder nor a zip file"):
        task_of(file, images=str(file))
    with pytest.raises(DataError, match=r"train.csv:2: no picture red.png in .*--imag"):
        task_of(file)
    (folder / "train.csv").write_text("image,caption\npink.png,a\n")
    with pytest.raises(DataError, match="no picture pink.png in .*in.zip"):
        task_of(file, images=str(folder / "in.zip"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "x_1,text\n1,a\ntwo,b\n",
            "a.csv:3: expected a number in column 'x_1', got 'two'",
        ),
        ("x_1,text\nnan,a\n", "a.csv:2: expected a number in column 'x_1', got 'nan'"),
        ("x_1,text\n,a\n", "a.csv:2: expected a number in column 'x_1', got ''"),
        ("y,text\n1,a\n", r"has no column like 'x_\*': there are y, text"),
    ],
)
def test_numbers_that_cannot_be_used(tmp_path, content, says):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=says):
        task_of(tmp_path / "a.csv", columns="x_*")


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"inputs": np.zeros((1, 2))}, "has no array 'texts': there are inputs"),
        ({"texts": np.array(["a"])}, "has no array 'inputs'"),
        ({"inputs": np.zeros(2), "texts": np.array(["a"])}, "should be numbers .N, F."),
        (
            {"inputs": np.zeros((2, 1)), "texts": np.array(["a"])},
            "each of the 2 inputs",
        ),
        (
            {"inputs": np.array([[np.nan]]), "texts": np.array(["a"])},
            "npz:1: inputs hold",
        ),
        ({"inputs": np.zeros((1, 1)), "texts": np.array([" "])}, "npz:1: no text"),
        ({"inputs": np.array([[{}]]), "texts": np.array(["a"])}, "or damaged"),
    ],
)
def test_arrays_that_cannot_be_used(tmp_path, arrays, says):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=says):
        task_of(tmp_path / "a.npz")


def test_inputs_that_do_not_fit(tmp_path, folder):
    (tmp_path / "a.csv").write_text(NUMBERS)
    task, _ = task_of(tmp_path / "a.csv", columns="x_*", min_frequency=1)
    with pytest.raises(DataError, match="3 numbers, and what was trained reads 2"):
        task.read_inputs("1, 2, 3")
    with pytest.raises(DataError, match="expected a number in column '2', got 'b'"):
        task.read_inputs("1 b")
    task, _ = task_of(folder / "train.csv", images=str(folder / "in"), **SMALL)
    with pytest.raises(DataError, match="nowhere.png does not exist; give a picture"):
        task.read_inputs("nowhere.png")
    (folder / "a.txt").write_text("words")
    raw = task.read_inputs(folder / "a.txt")
    assert raw[0].input == Picture(folder / "a.txt")
    with pytest.raises(DataError, match=r"a.txt cannot be read as a picture"):
        task.encode(raw, labelled=False)


def test_options():
    with pytest.raises(InvalidValue, match="unknown unit 'letter': known are word"):
        CaptionOptions(unit="letter")
    with pytest.raises(InvalidValue, match="leave one of them out"):
        CaptionOptions(columns="x_*", images="in")
    with pytest.raises(InvalidType, match="flip should be of type bool"):
        CaptionOptions(flip="no")


# ---- networks that others trained


def test_without_torchvision(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match=r"pip install 'throughtime\[vision\]'"):
        task_of(
            folder / "train.csv",
            images=str(folder / "in"),
            network="resnet18",
            **SMALL,
        )


def test_features_of_another_network(folder, monkeypatch):
    """The mean colour in place of a network: pictures keep their files and lines."""

    def features(name, load):
        assert name == "resnet18"
        return load(16).float().mean((1, 2))

    monkeypatch.setattr(caption_inputs, "pretrained_features", features)
    task, raw = task_of(
        folder / "train.csv", images=str(folder / "in"), network="resnet18", **SMALL
    )
    assert task.encode(raw).sequences["inputs"][0].tolist() == [[255.0, 0.0, 0.0]]
    model = trained(task, raw)
    assert not isinstance(model.front_end, PictureEncoder)
    answers = task.evaluate(model, raw, task.encode(raw)).details["answers"]
    for colour, answer in zip(COLOURS, answers, strict=True):
        assert answer in (f"a {colour} square is", f"it is all {colour}")
    again = Caption.from_dict(json.loads(json.dumps(task.to_dict())))
    assert again.predict(model, raw) == task.predict(model, raw)


def test_real_pictures(data_folder):
    """Counts of the data set; pictures of the size asked for."""
    folder = data_folder / "flickr8k-mini"
    options = CaptionOptions(images=str(folder / "images.zip"))
    raw = Caption.read([folder / "captions.csv"], options)
    assert len(raw) == 4000
    assert len({example.group for example in raw}) == 800
    task = Caption.fit(raw, options)
    examples = task.encode(raw[:5])
    assert examples.sequences["inputs"][0].shape == (1, 3, 64, 64)
    with gzip.open(folder / "images-64x64.npy.gz") as file:
        pixels = np.load(file, allow_pickle=False)[0]
    ours = examples.sequences["inputs"][0][0].permute(1, 2, 0).numpy()
    difference = np.abs(ours.astype(int) - pixels.astype(int))
    assert difference.mean() < 4  # the same middle, filtered in another order
