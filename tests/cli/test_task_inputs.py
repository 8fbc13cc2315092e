"""What is given to tasks by mistake: one sentence, and nothing is written or lost."""

import os

import numpy as np
import pytest

from tests.cli.task_files import (
    BINARY,
    LABELS,
    NUMBERS,
    REVIEWS,
    SERIES,
    SMALL,
    TS,
    arrays,
    picture,
    sound,
    write,
)
from tests.cli.test_bad_input import refused, snapshot
from throughtime.tasks.registry import TASKS

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
}


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


@pytest.mark.parametrize("name", TASKS)
def test_help_fits_a_terminal(command, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    outcome = command("train", name, "--help")
    assert outcome.status == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert f"Example: throughtime train {name}" in outcome.out
    assert "Raises" not in outcome.out
