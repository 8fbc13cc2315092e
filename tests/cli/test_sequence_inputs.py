"""Bad files of the tasks that answer with sequences: one sentence, nothing written."""

import json

import numpy as np
import pytest

from tests.cli.task_files import (
    CAPTIONS,
    DAYS,
    NUMBERS,
    PATHS,
    PICTURES,
    PIECES,
    REVIEWS,
    ROW,
    SENTENCES,
    SMALL,
    SOUNDS,
    TOKENS,
    conllu,
    write,
)
from tests.cli.test_bad_input import refused, snapshot
from throughtime.cli.train_task import start_task

# What is written, what is said after ``train``, and what is answered.
FILES = {
    # ---- recognise
    "a sound that is not there": (
        {"a.csv": "path,text\n" + PATHS + "s/9.wav,no\n", **SOUNDS},
        "recognise a.csv",
        "s/9.wav does not exist; paths start from",
    ),
    "a damaged sound": (
        {"a.csv": "path,text\n" + PATHS, **SOUNDS, "s/3.wav": b"RIFF"},
        "recognise a.csv --valid a.csv",
        "a.csv:5: ",
    ),
    "a sound that says nothing": (
        {"a.csv": "path,text\n" + PATHS + "s/1.wav,\n", **SOUNDS},
        "recognise a.csv",
        "a.csv:6: no text in column 'text'",
    ),
    "a text that is too long for its sound": (
        {"a.csv": "path,text\n" + PATHS, "t.csv": f"path,text\ns/0.wav,{'no' * 50}\n"}
        | SOUNDS,
        "recognise a.csv --test t.csv",
        "needs 100; leave it out",
    ),
    "a folder for a table": (SOUNDS, "recognise s", "s is a folder; give a file"),
    # ---- caption
    "a picture that is not there": (
        {"a.csv": "image,caption\n" + CAPTIONS + "p/9.png,nine\n", **PICTURES},
        "caption a.csv",
        "a.csv:6: no picture p/9.png in ",
    ),
    "a picture that is none": (
        {"a.csv": "image,caption\n" + CAPTIONS, **PICTURES, "p/3.png": b"none"},
        "caption a.csv --valid a.csv --min-frequency 1",
        "p/3.png cannot be read as a picture (it is of no known kind)",
    ),
    "no zip file": (
        {"a.csv": "image,caption\n" + CAPTIONS, **PICTURES, "p.zip": b"none"},
        "caption a.csv --images p.zip",
        "p.zip is neither a folder nor a zip file",
    ),
    "a picture without a text": (
        {"a.csv": "image,caption\n" + CAPTIONS + "p/1.png,\n", **PICTURES},
        "caption a.csv",
        "a.csv:6: no text in column 'caption'",
    ),
    "a column of numbers that is not there": (
        {"a.csv": "x,y,text\n" + NUMBERS},
        "caption a.csv --columns x,z",
        "a.csv has no column like 'z': there are x, y, text",
    ),
    # ---- tag
    "a token with more columns": (
        {"a.conll": SENTENCES + "the the O\n"},
        "tag a.conll",
        "a.conll:25: 3 columns instead of 2, in 'the the O'",
    ),
    "one label": (
        {"a.conll": "the O\n\n" * 9},
        "tag a.conll",
        "'O' is the only label of the training data",
    ),
    "no token": ({"a.conll": "\n\n"}, "tag a.conll", "a.conll holds no token"),
    "no such column of CoNLL-U": (
        {"a.conllu": conllu(ROW)},
        "tag a.conllu --label POS",
        "a.conllu has no column 'POS' for labels: there are 10, ID, FORM",
    ),
    "a short line of CoNLL-U": (
        {"a.conllu": conllu(ROW, ROW[:3])},
        "tag a.conllu",
        "a.conllu:2: 3 columns instead of 10",
    ),
    "a table of tokens without sentences": (
        {"a.csv": "s,word,label\n" + TOKENS},
        "tag a.csv",
        "a.csv has no column named sentence or sequence or video: there are s, word",
    ),
    "a token without a word": (
        {"a.csv": "sentence,word,label\n" + TOKENS + "9,,A\n"},
        "tag a.csv",
        "a.csv:18: no word; fill it in, or keep the step without input with --missing",
    ),
    "a step that is no number": (
        {"a.csv": "sequence,word,label\n" + TOKENS},
        "tag a.csv --values word",
        "a.csv:2: word is 'w0', no number",
    ),
    "a frame that is missing": (
        {"a.csv": "video,frame,label\n1,p/0.png,A\n1,p/9.png,B\n", **PICTURES},
        "tag a.csv --frame frame",
        "p/9.png does not exist",
    ),
    # ---- translate
    "more sources than targets": (
        {"a.en": "a\nb\nc\n", "a.de": "d\ne\n"},
        "translate a.en a.de",
        "a.en has 3 lines and ",
    ),
    "an empty target": (
        {"a.en": "a\nb\nc\n", "a.de": "d\n\ne\n"},
        "translate a.en a.de",
        "a.de:2: the target is empty; fill it in, or leave such pairs out",
    ),
    "a line without a tab": (
        {"a.txt": "a\tb\nc\n"},
        "translate a.txt",
        "a.txt:2: 1 field instead of 2; give every row as many, with a tab between",
    ),
    "sources alone": ({"a.en": "a\nb\n"}, "translate a.en", "pairs need two"),
    "one target for all": (
        {"a.csv": "source,target\na,b\nc,b\nd,b\n"},
        "translate a.csv",
        "all 2 targets are the same ('b')",
    ),
    # ---- forecast
    "no such target": (
        {"a.csv": "day,x,y\n" + DAYS},
        "forecast a.csv --targets z",
        "a.csv has no column 'z': there are day, x, y",
    ),
    "a gap in a column": (
        {"a.csv": "day,x,y\n" + DAYS + "2024-01-31,,1\n"},
        "forecast a.csv --horizon 1 --look-back 2",
        "a.csv:32: no value in column 'x'; fill it in, or go on without the values",
    ),
    "a word among numbers": (
        {"a.csv": "day,x,y\n" + DAYS + "2024-01-31,many,1\n"},
        "forecast a.csv",
        "a.csv:32: 'many' in column 'x' is no number",
    ),
    "no time": (
        {"a.csv": "day,x,y\n" + DAYS + "soon,1,1\n"},
        "forecast a.csv",
        "a.csv:32: 'soon' is no time of the form %Y-%m-%d",
    ),
    "times that go back": (
        {"a.csv": "day,x,y\n" + DAYS + "2024-01-03,1,1\n"},
        "forecast a.csv",
        "a.csv:32: the time 2024-01-03 00:00:00 comes after 2024-01-30 00:00:00",
    ),
    "too few steps": (
        {"a.csv": "day,x,y\n" + DAYS},
        "forecast a.csv --horizon 90",
        "are too few for one window: 180 to look back and 90 to forecast",
    ),
    "a gap in what is tested on": (
        {
            "a.csv": "day,x,y\n" + DAYS,
            "t.csv": "day,x,y\n" + DAYS + "2024-01-31,,1\n",
        },
        "forecast a.csv --horizon 1 --look-back 2 --test t.csv",
        "t.csv:32: no value in column 'x'",
    ),
    # ---- music
    "a note that no piano has": (
        {"a.json": json.dumps([*PIECES, [[200]]])},
        "music a.json",
        "a.json: piece 9, step 1: expected MIDI pitches from 21 to 108",
    ),
    "JSON that breaks off": ({"a.json": "[[[60],\n"}, "music a.json", "a.json:2: exp"),
    "no MIDI file": (
        {"a.mid": b"none"},
        "music a.mid",
        "a.mid is no complete MIDI file (EOFError)",
    ),
    "nothing to train on": (
        {"a.json": json.dumps({"valid": PIECES})},
        "music a.json",
        "a.json has no examples to train on",
    ),
    "nothing to foretell": (
        {"a.json": json.dumps(PIECES), "v.json": "[[[60]]]"},
        "music a.json --valid v.json",
        "v.json: piece 1: none of the 1 examples of this part has a target",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files(command, tmp_path, case):
    files, arguments, says = FILES[case]
    write(tmp_path, files)
    before = snapshot(tmp_path)
    refused(command("train", *arguments.split(), *SMALL), 1, says)
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "content", "arguments"),
    [
        ("a.csv", "text,label\n" + REVIEWS + ",pos\nb,\n", ["classify"]),
        (
            "a.csv",
            "x,y,label\n" + NUMBERS + "1,,a\n,,\n",
            ["classify", "--inputs=series"],
        ),
        ("a.csv", "sentence,word,label\n" + TOKENS + "9,,A\n9,b,\n", ["tag"]),
        (
            "a.csv",
            "source,target\n" + "a,b\nb,c\nc,b\n" * 2 + ",d\ne,\n",
            ["translate"],
        ),
        ("a.csv", "day,x,y\n" + DAYS + "2024-01-31,,1\n", ["forecast", "--horizon=1"]),
    ],
)
def test_missing_parts_can_be_skipped(command, tmp_path, name, content, arguments):
    (tmp_path / name).write_text(content)
    task, *more = arguments
    refused(command("train", task, name, *more, *SMALL), 1, "--missing skip")
    found = start_of(task, tmp_path / name, more, tmp_path / "run")
    losses = found.run.model.batch_loss(found.train.batch(range(len(found.train))))
    assert np.isfinite(float(losses[0].detach()))
    assert losses[1] > 0


def start_of(task, file, more, out):
    given = dict(pair.removeprefix("--").split("=") for pair in more)
    given = {k: int(v) if v.isdigit() else v for k, v in given.items()}
    return start_task(
        task,
        [file],
        valid=["0.3"],
        test=[],
        given={"hidden_size": 4, "missing": "skip", **given},
        settings=[],
        out=out,
        overwrite=False,
    )
