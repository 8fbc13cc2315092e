"""Bad inputs of trained tasks: one sentence, and the run is left as it is."""

import json
import shutil
from functools import cache

import numpy as np
import pytest

from tests.cli.task_files import (
    BINARY,
    CAPTIONS,
    DAYS,
    LABELS,
    PATHS,
    PICTURES,
    PIECES,
    REVIEWS,
    SENTENCES,
    SERIES,
    SOUNDS,
    arrays,
    picture,
    sound,
    standard_input,
    write,
)
from tests.cli.test_bad_input import refused, snapshot
from throughtime.cli.train_task import start_task
from throughtime.tasks.registry import TASKS

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
