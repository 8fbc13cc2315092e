"""The task of tags, from files to answers."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from throughtime.errors import DataError, InvalidValue
from throughtime.models.tagger import TaggerConfig
from throughtime.tasks.tag import Tag
from throughtime.tasks.tag_figures import measure
from throughtime.tasks.tag_options import TagOptions

CONLL = """\
I PRON
saw VERB
Teddy PROPN
. PUNCT

Bears NOUN
saw VERB
_ _
me PRON
"""
SPANS = "In O\nParis B-place\nFrance I-place\n\nBob B-name\nleft O\n\nGo O\n"
TOKENS = "sentence,token,label\n1,I,PRON\n1,saw,VERB\n2,Go,VERB\n1,it,\n"
LETTERS = "1\ta\t7\t0\t1.5\n2\tb\t7\t1\t2.5\n3\tb\t8\t1\t0.5\n4\ta\t8\t0\t1.5\n"


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def videos(folder):
    """Two videos of bright and dark frames, one of them missing."""
    for name, value in (("dark.png", 20), ("bright.png", 230)):
        Image.new("L", (12, 10), value).save(folder / name)
    rows = ["video,frame,label", "a,dark.png,night", "a,bright.png,day", "a,,day"]
    return write(folder, "v.csv", "\n".join([*rows, "b,bright.png,day"]))


def trained(task, raw, steps=60, **config):
    torch.manual_seed(0)
    defaults = {"hidden_size": 8, "embedding_size": 8, "character_size": 4}
    model = task.build(TaggerConfig(**(defaults | config)))
    batch = task.encode(raw).batch(range(len(raw)))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss, count = model.batch_loss(batch)
        (loss / count).backward()
        optimizer.step()
    return model.eval()


CASES = {
    "words": ("a.conll", CONLL, {}),
    "spans": ("a.conll", SPANS, {}),
    "tokens": ("a.csv", TOKENS, {}),
    "numbers": ("a.data", LETTERS, {"header": False, "group": "3", "label": "2"}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("output", ["softmax", "crf"])
def test_from_file_to_answers(tmp_path, case, output):
    """Few examples are learnt by heart; what is kept in JSON gives the same answers."""
    name, text, options = CASES[case]
    if case == "numbers":
        options = options | {"values": "4-5"}
    options = TagOptions(**options)
    path = write(tmp_path, name, text)
    raw = Tag.read([path], options)
    task = Tag.fit(raw, options)
    model = trained(task, raw, output=output)
    evaluation = task.evaluate(model, raw, task.encode(raw))
    assert evaluation.figures["accuracy"] == 1.0
    assert evaluation.figures["sequence accuracy"] == 1.0
    assert ("F1" in evaluation.figures) == (case == "spans")
    again = Tag.from_dict(json.loads(json.dumps(task.to_dict())))
    assert again.to_dict() == task.to_dict()
    inputs = again.read_inputs(path)
    answers = again.predict(model, inputs)
    for example, answer in zip(raw, answers, strict=True):
        pairs = zip(example.target, answer["labels"], strict=True)
        assert all(label in (None, k) for label, k in pairs)
        assert len(answer["probabilities"]) == len(example.input)
        assert all(0 <= p <= 1 for p in answer["probabilities"])
    json.dumps(answers)
    sections = task.sections(model, raw, evaluation)
    assert [s.title for s in sections][-1] == "Some held-out sequences"
    assert str(len(task.labels)) in task.describe()


def test_videos(tmp_path):
    options = TagOptions(frame="frame", missing="skip", picture_size=8)
    raw = Tag.read([videos(tmp_path)], options)
    assert [example.group for example in raw] == ["a", "b"]
    assert raw[0].input.present.tolist() == [True, True, False]
    task = Tag.fit(raw, options)
    examples = task.encode(raw)
    assert examples.batch([0, 1])["inputs"].shape == (3, 2, 1, 8, 8)
    model = trained(task, raw, steps=40)
    assert task.evaluate(model, raw, examples).figures["accuracy"] == 1.0
    baselines = task.baselines(raw, raw)
    assert baselines["most frequent label"].figures["accuracy"] == 0.75
    # The missing frame is black to it, which is night.
    assert baselines["logistic regression of one step"].figures["accuracy"] == 0.75
    again = Tag.from_dict(json.loads(json.dumps(task.to_dict())))
    answers = again.predict(model, again.read_inputs(tmp_path / "v.csv"))
    assert answers[0] | {"probabilities": None} == {
        "group": "a",
        "text": "night day day",
        "labels": ["night", "day", "day"],
        "probabilities": None,
    }
    in_colour = TagOptions(frame="frame", missing="skip", picture_size=8, colour=True)
    assert Tag.read([tmp_path / "v.csv"], in_colour)[0].input.pictures.shape[1] == 3


def test_words_of_a_string(tmp_path):
    options = TagOptions()
    raw = Tag.read([write(tmp_path, "a.conll", CONLL)], options)
    task = Tag.fit(raw, options)
    model = trained(task, raw, steps=1)
    inputs = task.read_inputs("I saw\n\nnever heard")
    assert [e.input for e in inputs] == [("I", "saw"), (), ("never", "heard")]
    answers = task.predict(model, inputs)
    assert answers[1] == {"text": "", "words": [], "labels": [], "probabilities": []}
    assert answers[2]["text"].startswith("never/")
    plain = task.read_inputs(write(tmp_path, "b.txt", "I saw\nit\n"))
    assert [e.input for e in plain] == [("I", "saw"), ("it",)]
    columns = task.read_inputs(write(tmp_path, "b.conll", "I\nsaw\n\nit\n"))
    assert [e.input for e in columns] == [("I", "saw"), ("it",)]
    assert task.predict(model, []) == []


def test_words_are_looked_up_in_lower_case_and_spelt_as_they_are(tmp_path):
    text = "Abba X\nabba Y\nbab X\n"
    path = write(tmp_path, "a.conll", text)
    task = Tag.fit(Tag.read([path], TagOptions()), TagOptions())
    # "A" occurs in one word alone.
    assert (task.inputs.words, task.inputs.characters) == (["abba", "bab"], ["a", "b"])
    steps = task.encode(Tag.read([path], TagOptions())).batch([0])
    assert steps["inputs"][:, 0].tolist() == [1, 1, 2]
    assert steps["characters"][:, 0].tolist() == [
        [1, 3, 3, 2],
        [2, 3, 3, 2],
        [3, 2, 3, 0],
    ]
    options = TagOptions(lowercase=False, min_frequency=1, vocabulary_size=2)
    assert Tag.fit(Tag.read([path], options), options).inputs.words == ["Abba", "abba"]
    long = task.inputs.encode(task.read_inputs("a" * 20 + "b" * 20)[0])
    assert long["characters"].tolist() == [[2] * 16 + [3] * 16]


def test_baseline_is_the_most_frequent_label_of_the_word(tmp_path):
    """The truth: counted by hand. A tie and an unknown word take the usual label."""
    train = "a X\na X\na Y\nb Y\nc Y\nc Z\nd Y\n"
    test = "A Y\nb Y\nc Z\nnew Y\n"
    options = TagOptions()
    raw = Tag.read([write(tmp_path, "train", train)], options)
    held_out = Tag.read([write(tmp_path, "test", test)], options)
    task = Tag.fit(raw, options)
    found = task.baselines(raw, held_out)
    assert list(found) == ["most frequent label of each word"]
    evaluation = found["most frequent label of each word"]
    assert evaluation.details["predicted"] == [["X", "Y", "Y", "Y"]]
    assert evaluation.figures == {
        "accuracy": 0.5,
        "sequence accuracy": 0.0,
        "accuracy of unknown words": 1.0,
    }


def test_labels_that_training_has_not_seen_are_errors_without_a_loss(tmp_path):
    options = TagOptions()
    raw = Tag.read([write(tmp_path, "train", "a X\nb Y\n")], options)
    held_out = Tag.read([write(tmp_path, "test", "a X\nb NEW\n")], options)
    task = Tag.fit(raw, options)
    model = trained(task, raw)
    examples = task.encode(held_out)
    assert examples.batch([0])["targets_mask"][:, 0].tolist() == [True, False]
    assert task.evaluate(model, held_out, examples).figures["accuracy"] == 0.5


def test_forbidden_is_what_the_scheme_forbids_and_training_does_not_hold(tmp_path):
    options = TagOptions()
    text = SPANS + "\nOf O\nFrance I-name\n"
    raw = Tag.read([write(tmp_path, "a.conll", text)], options)
    task = Tag.fit(raw, options)
    assert ("O", "I-place") in task.rules.pairs
    assert ("O", "I-name") not in task.rules.pairs
    model = task.build(TaggerConfig(output="crf", hidden_size=4))
    place = [task.labels.index(label) for label in ("O", "I-place")]
    assert model.crf.transition_penalty[tuple(place)] < -1e6
    assert model.crf.first_penalty[place[1]] < -1e6
    # Whatever the weights are, no answer breaks a rule.
    torch.nn.init.normal_(model.output.weight, std=20)
    words = " ".join(f"w{i}" for i in range(50))
    (answer,) = task.predict(model.eval(), task.read_inputs(words))
    labels = answer["labels"]
    assert not set(zip(labels, labels[1:], strict=False)) & task.rules.pairs


def test_figures_by_hand():
    """The truth: counted by hand; a sequence without labels does not count."""
    truth = [["a", "b", None], ["b", "b"], [None], None, []]
    predicted = [["a", "a", "a"], ["b", "b"], ["a"], ["b"], []]
    found = measure(truth, predicted)
    assert found.figures == {"accuracy": 0.75, "sequence accuracy": 0.5}
    assert found.details["labels"]["b"] == {
        "precision": 1.0,
        "recall": 2 / 3,
        "f1": 0.8,
        "count": 3.0,
    }
    with pytest.raises(DataError, match="no labels to compare with"):
        measure([[None]], [["a"]])


def test_many_labels_are_shown_by_their_mistakes(tmp_path):
    text = "".join(f"w{i} L{i}\n" for i in range(15))
    options = TagOptions()
    raw = Tag.read([write(tmp_path, "a.conll", text)], options)
    task = Tag.fit(raw, options)
    evaluation = task.baselines(raw, raw)["most frequent label of each word"]
    wrong = measure([e.target for e in raw], [["L0"] * 15])
    assert evaluation.figures["accuracy"] == 1.0
    tables = [s.table for s in task.sections(None, raw, wrong)]
    assert len(tables[1].rows) == 14
    assert tables[1].rows[0][1:] == ("L0", "1")
    sample = task.sections(None, raw, wrong)[-1].sample
    assert "w1/L0[L1]" in sample
    assert "w0/L0 " in sample


TABLE = {"group": "g", "values": "x,y"}
BAD = {
    "one label": ("a.conll", "a X\nb X\n", {}, "'X' is the only label"),
    "no label": ("a.conll", "a _\nb _\n", {}, "no labels to learn from"),
    "mixed": ("a.conll", "a 10\nb NOUN\n", {}, "labels are numbers and words: '10'"),
    "ragged": ("a.conll", "a X\nb\n", {}, r"a.conll:2: 1 columns instead of 2"),
    "ragged table": ("a.csv", "sentence,token,label\n1,a\n", {}, r"a.csv:2: 2 fields"),
    "no group": (
        "a.csv",
        "token,label\na,X\n",
        {},
        "no column named sentence or .*--gr",
    ),
    "no words": ("a.csv", "video,label\na,X\n", {}, "no column named token or word"),
    "no such": ("a.csv", TOKENS, {"text": "t"}, "no column 't': there are sentence, "),
    "no label column": ("a.csv", "video,text\na,b\n", {}, "no column 'label'"),
    "empty group": ("a.csv", TOKENS + ",x,VERB\n", {}, r"a.csv:6: nothing in column"),
    "empty word": ("a.csv", TOKENS + "3,,VERB\n", {}, r"a.csv:6: no word.*--missing"),
    "word": ("a.csv", "g,x,y,label\n1,2,z,X\n", TABLE, r"a.csv:2: y is 'z', no numb"),
    "nan": ("a.csv", "g,x,y,label\n1,2,nan,X\n", TABLE, r"a.csv:2: y has no number"),
    "blank": ("a.csv", "g,x,y,label\n1,2,3,X\n1,,2,Y\n", TABLE, r"a.csv:3: x has no"),
    "inf": ("a.csv", "g,x,y,label\n1,2,inf,X\n", TABLE, r"a.csv:2: y is inf, no fin"),
    "range": (
        "a.csv",
        "g,x,label\n1,2,X\n",
        TABLE | {"values": "2-9"},
        "columns 1 to 3",
    ),
    "all missing": (
        *("a.csv", "g,x,y,label\n1,2,,X\n1,,,Y\n"),
        *(TABLE | {"missing": "skip"}, "no step of the training data has all its"),
    ),
    "missing picture": (
        *("a.csv", "video,frame,label\n1,a.png,X\n"),
        *({"frame": "frame"}, r"a.csv:2: .*a.png does not exist"),
    ),
    "no picture": (
        *("a.csv", "video,frame,label\n1,a.csv,X\n"),
        *({"frame": "frame"}, r"a.csv:2: .*a.csv cannot be read as a picture"),
    ),
    "empty frame": (
        *("a.csv", "video,frame,label\n1,,X\n"),
        *({"frame": "frame"}, r"a.csv:2: no picture; .*--missing skip"),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_files_that_cannot_be_used(tmp_path, case):
    name, text, options, says = BAD[case]
    options = TagOptions(**options)
    with pytest.raises(DataError, match=says):
        Tag.fit(Tag.read([write(tmp_path, name, text)], options), options)


def test_characters_of_pictures_may_be_digits(tmp_path):
    options = TagOptions()
    raw = Tag.read([write(tmp_path, "a.conll", "a 1\nb x\n")], options)
    assert Tag.fit(raw, options).labels == ["1", "x"]


def test_steps_without_input_are_kept(tmp_path):
    """NaN enters nothing: what is said about other steps is as with a zero vector."""
    options = TagOptions(**TABLE, missing="skip")
    text = "g,x,y,label\n1,2,3,X\n1,,9,Y\n1,4,5,X\n2,1,1,Y\n"
    raw = Tag.read([write(tmp_path, "a.csv", text)], options)
    assert np.isnan(raw[0].input[1, 0])
    task = Tag.fit(raw, options)
    assert task.inputs.mean == pytest.approx([7 / 3, 3])
    batch = task.encode(raw).batch([0, 1])
    assert batch["inputs_present"].tolist() == [
        [True, True],
        [False, False],
        [True, False],
    ]
    model = trained(task, raw, steps=1)
    assert bool(model(batch).isfinite().all())
    assert not model.front_end(batch)[1].any()


def test_inputs_that_do_not_fit(tmp_path):
    options = TagOptions(**TABLE)
    path = write(tmp_path, "a.csv", "g,x,y,label\n1,2,3,X\n1,5,6,Y\n")
    task = Tag.fit(Tag.read([path], options), options)
    with pytest.raises(DataError, match="numbers cannot be written as a text"):
        task.read_inputs("1 2")
    other = Tag.read([path], TagOptions(group="g", values="x"))
    with pytest.raises(DataError, match=r"a.csv:2: 1 numbers a step"):
        task.encode(other)
    unlabelled = task.read_inputs(write(tmp_path, "b.csv", "g,x,y\n1,2,3\n"))
    with pytest.raises(DataError, match=r"b.csv:2: no labels"):
        task.encode(unlabelled)


def test_options():
    with pytest.raises(InvalidValue, match="values and frame exclude each other"):
        TagOptions(values="x", frame="y")
    with pytest.raises(InvalidValue, match="unknown value of missing 'no'"):
        TagOptions(missing="no")
    with pytest.raises(InvalidValue, match="min_frequency"):
        TagOptions(min_frequency=0)


def test_letters_of_real_handwriting(data_folder):
    """The truth: counted in the file by other tools."""
    options = TagOptions(values="7-134", label="2", group="4", header=False)
    raw = Tag.read([data_folder / "ocr-letters" / "letter.data.gz"], options)
    assert (len(raw), sum(len(e.input) for e in raw)) == (5089, 39531)
    assert raw[0].input.shape == (9, 128)
    assert "".join(raw[0].target) == "ommanding"
    task = Tag.fit(raw, options)
    assert task.describe() == "26 labels, 128 numbers a step"
