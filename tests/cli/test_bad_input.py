"""Bad input: one plain sentence, a status that is not 0, nothing written or lost."""

import json
import shutil

import pytest

from tests.cli.conftest import SMALL
from throughtime.data import build_vocabulary


def refused(outcome, status, says):
    assert outcome.status == status, outcome.out + outcome.err
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in outcome.out + outcome.err
    assert says in lines[0]


def snapshot(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.txt", b"", "is empty"),
        ("binary.txt", b"a\0b", "is not a text file"),
        ("latin.txt", b"caf\xe9", "is not UTF-8"),
        (
            "short.txt",
            b"a few words only, and a few more" * 9,
            "shorter than one window",
        ),
        ("tiny.txt", b"ab", "at least 2 are needed"),
    ],
)
def test_texts(command, tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    refused(command("train", "lm", name), 1, says)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--cell", "lstn"], 1, "unknown cell 'lstn': known are elman"),
        (["--set", "foo=1"], 1, "unknown option in --set 'foo': known are"),
        (["--set", "tied=maybe"], 1, "tied should be of type bool, got: str"),
        (["--set", "dropout=2"], 1, "dropout should be a number in range [0, 1]"),
        (["--hidden-size", "0"], 1, "hidden_size must be greater than zero, got 0"),
        (["--hidden-size", "many"], 2, "'--hidden-size'"),
        (["--bogus", "1"], 2, "No such option"),
        (["--optimizer", "adamx"], 1, "unknown optimizer 'adamx': known are"),
        (["--optimizer", "lbfgs"], 1, "unknown optimizer 'lbfgs'"),
        (["--set", "optimizer.momentum=1"], 1, "unknown option of optimizer 'adam'"),
        (["--set", "optimizer.eps=-1"], 1, "optimizer 'adam' refuses its options"),
        (["--set", "schedule=cosine"], 1, "unknown schedule 'cosine': known are const"),
        (["--unit", "words"], 1, "unknown unit 'words': known are char, word, bpe"),
        (["--stride", "99"], 1, "stride must not exceed tau = 64"),
        (["--tau", "all"], 1, "tau should be of type int, got: str"),
        (["--learning-rate", "0"], 1, "learning_rate should be a number in range"),
        (["--valid", "1.5"], 1, "between 0 and 1"),
        (["--valid", "none.txt"], 1, "none.txt does not exist"),
        (["--batch-size", "9999"], 1, "too few for batch_size = 9999"),
        (["--out", "t.txt"], 1, "t.txt exists"),
        (["--out", "t.txt", "--overwrite"], 1, "is no run folder"),
        (["--out", "t.txt/run"], 1, "cannot make t.txt/run"),
        (["--out", "/proc/none/run"], 1, "cannot make"),
    ],
)
def test_options(command, text, tmp_path, arguments, status, says):
    before = snapshot(tmp_path)
    refused(command("train", "lm", text, *arguments), status, says)
    assert snapshot(tmp_path) == before


def test_an_existing_run_is_refused_and_untouched(command, text, run):
    before = snapshot(run)
    refused(command("train", "lm", text, "--out", run), 1, "continue it with --resume")
    assert snapshot(run) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--hidden-size", "9"], "hidden_size cannot change within a run"),
        (["--cell", "gru"], "--cell cannot change within a run"),
        (["--set", "tied=true"], "tied cannot change within a run"),
    ],
)
def test_resume_with_other_settings(command, run, arguments, says):
    before = snapshot(run)
    refused(command("train", "lm", "--resume", run, *arguments), 1, says)
    assert snapshot(run) == before


def test_resume_with_another_text_or_vocabulary(command, run, tmp_path):
    (tmp_path / "other.txt").write_text("another text altogether\n" * 50)
    before = snapshot(run)
    outcome = command("train", "lm", "other.txt", "--resume", run)
    refused(outcome, 1, "has changed since its training began")
    assert snapshot(run) == before
    build_vocabulary("abc").save(run / "vocabulary.json")
    refused(command("train", "lm", "--resume", run), 1, "does not belong to the run")
    refused(command("evaluate", run), 1, "does not belong to the run")


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("model.safetensors", "model.safetensors is damaged"),
        ("config.json", "config.json is damaged"),
        ("vocabulary.json", "vocabulary.json is no vocabulary file, or damaged"),
    ],
)
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_truncated_files(command, run, file, says, keep):
    content = (run / file).read_bytes()
    (run / file).write_bytes(content[: int(len(content) * keep)])
    refused(command("evaluate", run), 1, says)


def test_damaged_state(command, run):
    content = bytearray((run / "state.safetensors").read_bytes())
    content[-5] ^= 1
    (run / "state.safetensors").write_bytes(content)
    before = snapshot(run)
    outcome = command("train", "lm", "--resume", run, "--epochs", "2")
    assert outcome.status == 1
    assert "do not match their checksum" in outcome.err
    assert snapshot(run) == before


def test_weights_of_another_model(command, text, run, tmp_path):
    other = command("train", "lm", text, "--hidden-size", "9", *SMALL[2:], "--out", "o")
    assert other.status == 0
    shutil.copy(tmp_path / "o" / "model.safetensors", run)
    refused(command("evaluate", run), 1, "weights of another model")


def test_a_config_with_a_part_missing(command, run):
    config = json.loads((run / "config.json").read_text())
    del config["model"]
    (run / "config.json").write_text(json.dumps(config))
    refused(command("evaluate", run), 1, "it has no 'model'")


def test_no_run(command, tmp_path):
    for arguments in (
        ["evaluate", "nowhere"],
        ["generate", "nowhere"],
        ["train", "lm", "--resume", "nowhere"],
    ):
        refused(command(*arguments), 1, "nowhere is no run folder")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prompt", "the mï"], "never seen: 'ï'"),
        (["--method", "best"], "unknown method 'best'"),
        (["--temperature", "-1"], "temperature should be a number"),
        (["--length", "0"], "length must be greater than zero"),
        (["--top-p", "2"], "top_p should be a number in range"),
        (["--method", "beam", "--beam-size", "0"], "beam_size must be greater than"),
    ],
)
def test_generate(command, run, arguments, says):
    refused(command("generate", run, *arguments), 1, says)


def test_evaluate_other_files(command, run, tmp_path):
    refused(command("evaluate", run, "gone.txt"), 1, "gone.txt does not exist")
    (tmp_path / "t.txt").write_text("changed")
    refused(command("evaluate", run), 1, "has changed since its training began")
