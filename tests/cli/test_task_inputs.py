"""What is given to tasks by mistake: one sentence, and nothing is written or lost."""

import io
import json
import os
import shutil
from functools import cache

import numpy as np
import pytest

from tests.cli.test_bad_input import refused, snapshot
from throughtime.cli.train_task import start_task
from throughtime.tasks.registry import TASKS

SMALL = ["--hidden-size", "4", "--epochs", "1", "--batch-size", "4", "--out", "run"]
REVIEWS = "".join(f"a good film {i},pos\na bad thing {i},neg\n" for i in range(8))
NUMBERS = "".join(f"{i},{i * i},{'ab'[i % 2]}\n" for i in range(8))
SENTENCES = "".join(f"the O\nAnna{i} NAME\n\n" for i in range(8))
TOKENS = "".join(f"{i // 2},w{i % 3},{'AB'[i % 2]}\n" for i in range(16))
DAYS = "".join(f"2024-01-{i + 1:02d},{i},{i % 7}\n" for i in range(30))
BINARY = bytes(range(256))
TS = "@univariate true\n@classLabel true a b\n@data\n"
PIECES = [[[60, 64], [62], [60]]] * 8


def sound(samples=2000, rate=8000):
    import soundfile

    content = io.BytesIO()
    noise = np.random.default_rng(0).normal(size=samples) / 9
    soundfile.write(content, noise, rate, format="WAV")
    return content.getvalue()


def picture(width=8, height=8):
    from PIL import Image

    content = io.BytesIO()
    Image.new("L", (width, height), 99).save(content, "png")
    return content.getvalue()


def arrays(**parts):
    content = io.BytesIO()
    np.savez(content, **parts)
    return content.getvalue()


def conllu(*rows):
    return "".join("\t".join(row) + "\n" for row in rows) + "\n"


SERIES = np.random.default_rng(0).normal(size=(6, 5, 2))
LABELS = np.arange(6) % 2
PATHS = "".join(f"s/{i}.wav,{'yes' if i % 2 else 'no'}\n" for i in range(4))
SOUNDS = {f"s/{i}.wav": sound() for i in range(4)}
CAPTIONS = "".join(f"p/{i}.png,a picture of {i}\n" for i in range(4))
PICTURES = {f"p/{i}.png": picture() for i in range(4)}
ROW = ("1", "cat", "cat", "NOUN", "_", "_", "0", "_", "_", "_")

# What is written, what is said after ``train``, and what is answered.
FILES = {
    # ---- texts with labels
    "no such column": (
        {"a.csv": "text,label\n" + REVIEWS},
        "classify a.csv --label stars",
        "a.csv has no column 'stars': there are text, label",
    ),
    "a row that is too long": (
        {"a.csv": "text,label\na,pos\nb,c,neg\n"},
        "classify a.csv",
        "a.csv:3: 3 fields instead of 2; put fields that hold ',' or newlines in",
    ),
    "a row that is too short": (
        {"a.tsv": "text\tlabel\na\tpos\nb\n"},
        "classify a.tsv",
        "a.tsv:3: 1 field instead of 2; give every row as many, with a tab between",
    ),
    "labels of two sorts": (
        {"a.csv": "text,label\na,1\nb,neg\nc,2\n"},
        "classify a.csv",
        "a.csv:3: the label 'neg' stands among 2 numbers",
    ),
    "one class": (
        {"a.csv": "text,label\n" + "a,pos\n" * 9},
        "classify a.csv",
        "all have the label 'pos' of 8 training examples",
    ),
    "an empty text": (
        {"a.csv": "text,label\na,pos\n,neg\n"},
        "classify a.csv",
        "a.csv:3: the text is empty; fill it in",
    ),
    "an empty label": (
        {"a.jsonl": '{"text": "a", "label": "pos"}\n{"text": "b"}\n'},
        "classify a.jsonl",
        "a.jsonl:2: the label is empty; fill it in, or say --missing skip",
    ),
    "broken JSON": (
        {"a.jsonl": '{"text": "a", "label": "pos"}\n{"text"\n'},
        "classify a.jsonl",
        "a.jsonl:2: no JSON",
    ),
    "no parquet": (
        {"a.parquet": b"PAR1 but no more"},
        "classify a.parquet",
        "a.parquet is no parquet file, or damaged",
    ),
    "an empty file": ({"a.csv": ""}, "classify a.csv", "a.csv is empty"),
    "a header alone": (
        {"a.csv": "text,label\n"},
        "classify a.csv",
        "a.csv holds nothing but one row",
    ),
    "another encoding": (
        {"a.csv": b"text,label\nok,pos\n" + b"caf\xe9,neg\n"},
        "classify a.csv",
        "a.csv:3: not utf-8 (byte 21 is 0xe9); say which it is, for example with "
        "--encoding latin-1",
    ),
    "UTF-16": (
        {"a.csv": "text,label\nok,pos\n".encode("utf-16")},
        "classify a.csv",
        "with --encoding utf-16",
    ),
    "a binary file": (
        {"a.csv": BINARY},
        "classify a.csv",
        "a.csv is not a text file (it holds NUL bytes)",
    ),
    "a binary file of no known name": (
        {"a.npy": BINARY},
        "classify a.npy",
        "a.npy is not a text file (it holds NUL bytes)",
    ),
    "an empty folder": ({"a/": ""}, "classify a", "a is a folder without a text file"),
    "an empty text in a folder": (
        {"a/pos/1.txt": "good", "a/neg/1.txt": ""},
        "classify a",
        "a/neg/1.txt: the text is empty",
    ),
    "one text file": (
        {"a.txt": "good\n"},
        "classify a.txt",
        "a.txt: no label is told by one text file; give one file for each label",
    ),
    "one text file of two is empty": (
        {"pos.txt": "good\n" * 9, "neg.txt": "\n"},
        "classify pos.txt neg.txt",
        "neg.txt is empty",
    ),
    "one example": (
        {"a.csv": "text,label\na,pos\n"},
        "classify a.csv",
        "a.csv:2: 1 example is too few to hold out 10%; give more, or a held-out file",
    ),
    "labels that training has not seen, held out": (
        {"a.csv": "text,label\n" + REVIEWS, "v.csv": "text,label\na,so\n"},
        "classify a.csv --valid v.csv",
        "v.csv:2: the label 'so' is none of those in training: neg, pos",
    ),
    "labels that training has not seen, to test": (
        {"a.csv": "text,label\n" + REVIEWS, "t.csv": "text,label\na,so\n"},
        "classify a.csv --test t.csv",
        "t.csv:2: the label 'so' is none of those in training: neg, pos",
    ),
    "no label to compare with": (
        {"a.csv": "text,label\n" + REVIEWS, "v.csv": "text,label\na,\n"},
        "classify a.csv --valid v.csv --missing skip",
        "v.csv:2: none of the 1 examples of this part has a target to compare with",
    ),
    "words for numbers": (
        {"a.csv": "text,label\n" + REVIEWS},
        "classify a.csv --target number",
        "a.csv:2: expected a number to learn, got 'pos'",
    ),
    "no run is made": (
        {"a.csv": "text,label\n" + REVIEWS},
        "classify a.csv --baselines-only",
        "--out has no part in what makes no run; leave it out",
    ),
    # ---- series
    "NaN in a series": (
        {"a.csv": "x,y,label\n" + NUMBERS + "1,NaN,a\n"},
        "classify a.csv --inputs series",
        "a.csv:10: column 'y': a number is missing; fill it in, or say --missing skip",
    ),
    "a word in a series": (
        {"a.csv": "x,y,label\n" + NUMBERS + "1,two,a\n"},
        "classify a.csv --inputs series",
        "a.csv:10: column 'y' holds 'two', which is no number",
    ),
    "infinity in a series": (
        {"a.csv": "x,y,label\n" + NUMBERS + "1,inf,a\n"},
        "classify a.csv --inputs series",
        "a.csv:10: a number is infinite",
    ),
    "two labels in a sequence": (
        {"a.csv": "x,y,label\n1,1,a\n1,2,b\n"},
        "classify a.csv --inputs series --sequence x",
        "a.csv:3: the sequence '1' has the label 'b' here and 'a' on line 2",
    ),
    "a missing number in a .ts file": (
        {"a.ts": TS + "1,2:a\n1,?:b\n"},
        "classify a.ts",
        "a.ts:5: a number is missing",
    ),
    "a label that the header does not know": (
        {"a.ts": TS + "1,2:c\n"},
        "classify a.ts",
        "a.ts:4: the label 'c' is none of those in the header: a, b",
    ),
    "npz with objects": (
        {"a.npz": arrays(inputs=np.array([{}] * 3), labels=np.arange(3))},
        "classify a.npz",
        "a.npz is no npz file of plain numbers and texts, or damaged",
    ),
    "npz with another number of labels": (
        {"a.npz": arrays(inputs=SERIES, labels=LABELS[:4])},
        "classify a.npz",
        "a.npz: labels should be one for each of the 6 inputs, got (4,)",
    ),
    "npz with lengths that are too long": (
        {"a.npz": arrays(inputs=SERIES, labels=LABELS, lengths=LABELS + 5)},
        "classify a.npz",
        "a.npz: lengths must be whole numbers from 0 to 5",
    ),
    "npz with lengths that are no numbers": (
        {"a.npz": arrays(inputs=SERIES, labels=LABELS, lengths=np.array(["a"] * 6))},
        "classify a.npz",
        "a.npz: lengths must be whole numbers from 0 to 5",
    ),
    "npz with a missing label": (
        {"a.npz": arrays(inputs=SERIES, labels=np.array([1, np.nan] * 3))},
        "classify a.npz",
        "a.npz:2: the label is empty",
    ),
    "npz without examples": (
        {"a.npz": arrays(inputs=SERIES[:0], labels=LABELS[:0])},
        "classify a.npz",
        "a.npz holds no examples",
    ),
    "other features to test on": (
        {
            "a.npz": arrays(inputs=SERIES, labels=LABELS),
            "t.npz": arrays(inputs=SERIES[..., :1], labels=LABELS),
        },
        "classify a.npz --test t.npz",
        "t.npz:1: 1 features, and what was trained reads 2",
    ),
    # ---- sounds and pictures
    "a sound that cannot be read": (
        {"a/x/1.wav": sound(), "a/y/1.wav": sound(), "a/y/2.wav": b"RIFF"},
        "classify a --valid a",
        "a/y/2.wav cannot be read as a sound",
    ),
    "a sound that is too short": (
        {"a/x/1.wav": sound(), "a/y/1.wav": sound(9)},
        "classify a --valid a",
        "a/y/1.wav: the sound lasts 1.12 ms",
    ),
    "another sample rate": (
        {"a/x/1.wav": sound(), "a/y/1.wav": sound(rate=16000)},
        "classify a --valid a",
        "a/y/1.wav has 16000 samples per second, and others have 8000",
    ),
    "a picture that cannot be read": (
        {"a/x/1.png": picture(), "a/y/1.png": b"\x89PNG"},
        "classify a --valid a",
        "a/y/1.png cannot be read as a picture",
    ),
    "a picture of another size": (
        {"a/x/1.png": picture(), "a/y/1.png": picture(9)},
        "classify a --valid a",
        "a/y/1.png: the picture is 9 x 8, and others are 8 wide",
    ),
    "sounds beside pictures": (
        {"a/x/1.png": picture(), "a/y/1.wav": sound()},
        "classify a",
        "a holds both sounds and pictures",
    ),
    "no idx file": (
        {"i-images-idx3-ubyte": b"none", "i-labels-idx1-ubyte": b"none"},
        "classify i-images-idx3-ubyte",
        "i-images-idx3-ubyte is no idx file",
    ),
    "labels of idx alone": (
        {"i-labels-idx1-ubyte": b"none"},
        "classify i-labels-idx1-ubyte",
        "i-labels-idx1-ubyte holds labels alone; give the file of pictures",
    ),
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
        "a.csv:3: there is no picture ",
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


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(exist_ok=True, parents=True)
        if not name.endswith("/"):
            path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("case", FILES)
def test_files(command, tmp_path, case):
    files, arguments, says = FILES[case]
    write(tmp_path, files)
    before = snapshot(tmp_path)
    refused(command("train", *arguments.split(), *SMALL), 1, says)
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", TASKS)
def test_what_all_tasks_refuse(command, tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "a.csv").write_bytes(BINARY)
    (tmp_path / "b.csv.gz").write_bytes(b"not packed")
    for arguments, status, says in (
        ([], 1, "no data: give at least one file"),
        (["gone.csv"], 1, "gone.csv does not exist"),
        (["folder.csv"], 1, "folder.csv is a folder"),
        (["a.csv"], 1, "a.csv is not a text file (it holds NUL bytes)"),
        (["b.csv.gz"], 1, "b.csv.gz is no complete gzip file"),
        (["a.csv", "--valid", "2"], 1, "--valid must lie between 0 and 1"),
        (["a.csv", "--out", "a.csv"], 1, "a.csv exists"),
        (["a.csv", "--out", "a.csv/run"], 1, "cannot make a.csv/run"),
        (["a.csv", "--set", "bogus=1"], 1, "unknown option in --set 'bogus'"),
        (["a.csv", "--hidden-size", "x"], 2, "'--hidden-size'"),
        (["--resume", "gone"], 1, "gone is no run folder"),
    ):
        refused(command("train", name, *arguments), status, says)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_files_that_may_not_be_read(command, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + REVIEWS)
    (tmp_path / "a.csv").chmod(0)
    refused(command("train", "classify", "a.csv"), 1, "cannot read")


RUNS = {
    "classify": ({"a.csv": "text,label\n" + REVIEWS}, ["a.csv"]),
    "tag": ({"a.conll": SENTENCES}, ["a.conll"]),
    "translate": (
        {"a.txt": "".join(f"a{i} b\tc{i} d\n" for i in range(8))},
        ["a.txt"],
    ),
    "recognise": ({"a.csv": "path,text\n" + PATHS, **SOUNDS}, ["a.csv"]),
    "caption": (
        {"a.csv": "image,caption\n" + CAPTIONS, **PICTURES},
        ["a.csv"],
    ),
    "forecast": ({"a.csv": "day,x,y\n" + DAYS}, ["a.csv"]),
    "music": ({"a.json": json.dumps(PIECES)}, ["a.json"]),
    "series": ({"a.npz": arrays(inputs=SERIES, labels=LABELS)}, ["a.npz"]),
    "pictures": (
        {f"p/{'xy'[i % 2]}/{i}.png": picture() for i in range(6)},
        ["p"],
    ),
}
GIVEN = {
    "caption": {"size": 16, "min_frequency": 1},
    "forecast": {"horizon": 1, "look_back": 2},
}


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """``untrained(name)``: a run folder as it is before its training; made once."""

    @cache
    def make(name):
        folder = tmp_path_factory.mktemp(name)
        files, names = RUNS[name]
        write(folder, files)
        task = name if name in TASKS else "classify"
        start_task(
            task,
            [folder / name for name in names],
            valid=["0.3"],
            test=[],
            given={"hidden_size": 4, **GIVEN.get(name, {})},
            settings=[],
            out=folder / "run",
            overwrite=False,
        )
        return folder / "run"

    return make


def standard_input(content):
    return io.TextIOWrapper(io.BytesIO(content))


INPUTS = {"e.txt": "", "b.dat": BINARY, "folder/": "", "o.csv": "foo,bar\n1,two\n"}


@pytest.mark.parametrize("name", RUNS)
def test_predict_refuses(command, untrained, tmp_path, monkeypatch, name):
    write(tmp_path, INPUTS)
    run = untrained(name)
    before = snapshot(run)
    assert command("predict", run, "").err == command("predict", run, "  ").err
    refused(command("predict", run, ""), 1, "the input is empty")
    for given in ("gone.csv", "gone.mid"):
        refused(command("predict", run, given), 1, f"{given} does not exist")
    for given in ("e.txt", "b.dat", "folder"):
        refused(command("predict", run, given), 1, given)
    if name != "translate":  # which takes the first column of any table
        refused(command("predict", run, "o.csv"), 1, "o.csv")
    for out, says in (
        ("folder", "folder is a folder"),
        ("none/a.txt", "there is no folder none"),
        ("b.dat", "b.dat exists; replace it with --overwrite"),
    ):
        refused(command("predict", run, "x", "--out", out), 1, says)
    monkeypatch.setattr("sys.stdin", standard_input(b""))
    refused(command("predict", run, "-"), 1, "standard input is empty")
    monkeypatch.setattr("sys.stdin", standard_input(BINARY))
    refused(command("predict", run), 1, "standard input")
    assert snapshot(run) == before


@pytest.mark.parametrize(
    ("name", "files", "says"),
    [
        ("classify", {"t.csv": "text\nhello\n"}, "t.csv has no column 'label'"),
        ("classify", {"t.csv": "text,label\nhi,\n"}, "t.csv:2: the label is empty"),
        ("classify", {"t.csv": "text,label\nhi,so\n"}, "is none of those in training"),
        ("tag", {"t.conll": "the\ncat\n"}, "t.conll:1: words and labels would both be"),
        ("tag", {"t.conll": "the X\n"}, "t.conll:1: none of the 1 examples"),
        ("translate", {"t.txt": "a b\nc\n"}, "t.txt has one column, and pairs need"),
        ("recognise", {"t.csv": "path\ns/0.wav\n"}, "t.csv has no column 'text'"),
        ("caption", {"t.csv": "image\np/0.png\n"}, "t.csv has no column of texts"),
        (
            "forecast",
            {"t.csv": "day,x,z\n" + DAYS},
            "t.csv has no column 'y' of numbers",
        ),
        ("music", {"t.json": "[[[60]]]"}, "t.json: piece 1: none of the 1 examples"),
        ("series", {"t.npz": arrays(inputs=SERIES)}, "t.npz has no array 'labels'"),
        ("series", {"t.csv": "text,label\nhi,1\n"}, "t.csv:2: expected numbers, got"),
        ("pictures", {"x.png": picture(9)}, "x.png"),
    ],
)
def test_evaluate_refuses(command, untrained, tmp_path, name, files, says):
    write(tmp_path, files)
    run = untrained(name)
    before = snapshot(run)
    refused(command("evaluate", run, next(iter(files))), 1, says)
    assert snapshot(run) == before


def test_predict_takes_what_standard_input_holds(command, untrained, monkeypatch):
    for name, content in (
        ("recognise", sound()),
        ("caption", picture()),
        ("pictures", picture()),
        ("series", arrays(inputs=SERIES)),
        ("music", b"[[60], [62]]"),
        ("forecast", b"day,x,y\n" + DAYS.encode()),
    ):
        monkeypatch.setattr("sys.stdin", standard_input(content))
        outcome = command("predict", untrained(name))
        assert outcome.status == 0, outcome.err
        assert outcome.out


def test_series_without_steps_are_answered(command, untrained, tmp_path):
    content = arrays(inputs=SERIES[:3], lengths=np.array([0, 1, 5]))
    (tmp_path / "t.npz").write_bytes(content)
    outcome = command("predict", untrained("series"), "t.npz")
    assert outcome.status == 0, outcome.err
    assert len(outcome.out.splitlines()) == 3


def test_runs_of_other_tasks(command, untrained, tmp_path):
    run = untrained("classify")
    refused(command("train", "tag", "--resume", run), 1, "is a run of 'train classify'")
    refused(command("train", "lm", "--resume", run), 1, "run of task 'classify'")
    refused(command("generate", run), 1, "use predict")
    refused(command("complete", run, "a"), 1, "run of task 'classify'")
    refused(command("explain", untrained("series"), "a"), 1, "a classifier of texts")
    refused(command("explain", run, " "), 1, "the text is empty")
    (tmp_path / "a.txt").write_text("a")
    refused(command("explain", run, "a.txt"), 1, "takes one text, and a.txt is a file")
    music = untrained("music")
    outcome = command("generate", music, "--method", "beam")
    refused(outcome, 1, "--method has no part in a run of train music")
    refused(command("generate", music, "--prompt", "x.mid"), 1, "x.mid does not exist")
    refused(command("generate", music, "--out", "no/a.mid"), 1, "there is no folder no")


@pytest.mark.parametrize("arguments", [["--target", "number"], ["--set", "unit=char"]])
def test_resume_with_another_question(command, untrained, tmp_path, arguments):
    shutil.copytree(untrained("classify"), tmp_path / "run")
    before = snapshot(tmp_path)
    outcome = command("train", "classify", "--resume", "run", *arguments)
    refused(outcome, 1, "cannot change within a run")
    assert snapshot(tmp_path) == before


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


@pytest.mark.parametrize("name", TASKS)
def test_help_fits_a_terminal(command, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    outcome = command("train", name, "--help")
    assert outcome.status == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert f"Example: throughtime train {name}" in outcome.out
    assert "Raises" not in outcome.out
