"""The commands of tasks: train, resume, evaluate, predict, and what they refuse."""

import json
import shutil

import pytest

from tests.cli.test_bad_input import refused, snapshot
from throughtime.cli.task_settings import sort_task_settings
from throughtime.errors import InvalidValue
from throughtime.tasks.registry import TASKS, options_class, task_class
from throughtime.training import RunFolder, TrainingConfig

SMALL = ["--hidden-size", "8", "--epochs", "2", "--batch-size", "4", "--out", "run"]
# Capital letters are names: a tagger can learn it from the characters.
WORDS = ["the", "cat", "Anna", "sat", "Bert", "on", "Carla", "mat"]


def column_file(count, start=0):
    lines = []
    for sentence in range(start, start + count):
        for step in range(2 + sentence % 4):
            word = WORDS[(sentence * 3 + step * 5) % len(WORDS)]
            lines.append(f"{word}\t{'NAME' if word[0].isupper() else 'OTHER'}")
        lines.append("")
    return "\n".join(lines) + "\n"


@pytest.fixture
def tags(tmp_path):
    (tmp_path / "tags.conll").write_text(column_file(40))
    return tmp_path / "tags.conll"


@pytest.fixture
def run(command, tags, tmp_path):
    outcome = command("train", "tag", tags, *SMALL)
    assert outcome.status == 0, outcome.err
    return tmp_path / "run"


def test_train_writes_a_whole_run_and_measures_it(command, tags, tmp_path):
    outcome = command("train", "tag", tags, *SMALL, "--test", tags, "--json")
    assert outcome.status == 0, outcome.err
    files = {p.name for p in (tmp_path / "run").iterdir()}
    assert files == {
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
        "state.safetensors",
        "task.json",
    }
    result = outcome.last
    assert set(result) == {"run", "report", "held_out", "test"}
    # Every word has one tag: the commonest tag of each word is always right.
    assert result["test"]["most frequent label of each word"]["accuracy"] == 1.0
    assert 0 <= result["held_out"]["this model"]["accuracy"] <= 1
    for word in ("36 to train on", "4 held out", "OTHER"):
        assert word in outcome.out + (tmp_path / "run" / "report.html").read_text()


def test_evaluate_repeats_the_figures_of_training(command, tags):
    trained = command("train", "tag", tags, *SMALL, "--json").last
    again = command("evaluate", "run", "--json").last
    assert again["held_out"] == trained["held_out"]
    other = command("evaluate", "run", tags, "--json").last
    assert set(other["tags.conll"]) == {"this model"}


def test_resume_ends_with_the_weights_of_one_training(command, tags, tmp_path):
    whole = command("train", "tag", tags, *SMALL[:-1], "whole", "--epochs", "4")
    assert whole.status == 0, whole.err
    assert command("train", "tag", tags, *SMALL).status == 0
    more = command("train", "tag", "--resume", "run", "--epochs", "4")
    assert more.status == 0, more.err
    weights = [
        (tmp_path / n / "model.safetensors").read_bytes() for n in ("run", "whole")
    ]
    found, wanted = (weight[8 + weight.index(b"}}") :] for weight in weights)
    assert found == wanted


def test_predict_takes_text_files_and_standard_input(
    command, run, tmp_path, monkeypatch
):
    answer = command("predict", run, "the Anna sat")
    assert answer.status == 0, answer.err
    assert len(answer.out.splitlines()) == 1
    as_json = json.loads(command("predict", run, "the Anna sat", "--json").out)
    assert len(as_json["labels"]) == 3
    (tmp_path / "in.txt").write_text("the cat\nAnna\n")
    assert len(command("predict", run, "in.txt").out.splitlines()) == 2
    assert command("predict", run, "in.txt", "--out", "out.txt").status == 0
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 2
    refused(command("predict", run, "in.txt", "--out", "out.txt"), 1, "--overwrite")


def test_without_hidden_state(command, tags):
    outcome = command("train", "tag", tags, *SMALL, "--cell", "none", "--json")
    assert outcome.status == 0, outcome.err


def test_what_the_hidden_state_adds_is_printed(command, tags):
    outcome = command("train", "tag", tags, *SMALL, "--against-none", "--json")
    assert outcome.status == 0, outcome.err
    rows = list(outcome.last["held_out"])
    assert rows[:2] == ["this model", "no hidden state"]
    options = (*SMALL, "--overwrite", "--cell", "none", "--against-none")
    refused(command("train", "tag", tags, *options), 1, "leave one of them out")


def test_own_cell(command, tags, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch, throughtime as tt\n"
        "@tt.cell(gates=1, state=('h',))\n"
        "def mine(a_x, a_h, state):\n"
        "    return {'h': torch.tanh(a_x[0] + a_h[0])}\n"
    )
    outcome = command("train", "tag", tags, *SMALL, "--cell", "mine.py:mine")
    assert outcome.status == 0, outcome.err
    (tmp_path / "mine.py").unlink()
    assert command("evaluate", "run").status == 0


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_help_and_good_defaults(command, name):
    outcome = command("train", name, "--help")
    assert outcome.status == 0
    assert "Example:" in outcome.out
    kind = task_class(name)
    assert kind.name == name
    assert kind.options_type is options_class(name)
    kind.options_type()
    found = sort_task_settings(kind, {}, [])
    kind.config_type.from_dict(found.model)
    TrainingConfig.from_dict(found.training)
    assert set(kind.answering) <= set(kind.options_type.__dataclass_fields__)


def test_settings_are_sorted():
    found = sort_task_settings(
        task_class("tag"),
        {"hidden_size": 7, "tau": 5},
        ["lowercase=true", "optimizer.eps=0.1", "forget_bias=2", "seed=3"],
    )
    assert found.options == {"lowercase": True}
    assert found.model["hidden_size"] == 7
    assert found.model["cell_options"] == {"forget_bias": 2}
    assert found.training["truncation"] == "chunked"
    assert found.training["optimizer_options"] == {"eps": 0.1}
    with pytest.raises(InvalidValue, match="unknown option in --set 'hiden'"):
        sort_task_settings(task_class("tag"), {}, ["hiden=3"])
    with pytest.raises(InvalidValue, match="given twice"):
        sort_task_settings(task_class("tag"), {"tau": 3}, ["tau=3"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no data: give at least one file"),
        (["missing.conll"], "missing.conll does not exist"),
        (["tags.conll", "--valid", "2"], "--valid must lie between 0 and 1"),
        (["tags.conll", "--valid", "no.conll"], "neither a file nor a share"),
        (["tags.conll", "--test", "no.conll"], "no.conll does not exist"),
        (["tags.conll", "--cell", "lstn"], "unknown cell 'lstn'"),
        (["tags.conll", "--hidden-size", "0"], "hidden_size"),
        (["tags.conll", "--truncation", "sliding"], "is for streams"),
        (["tags.conll", "--set", "memory=1MB"], "is for streams"),
        (["tags.conll", "--resume", "nowhere"], "no run folder"),
    ],
)
def test_refusals_leave_nothing_behind(command, tags, tmp_path, arguments, says):
    before = snapshot(tmp_path)
    refused(command("train", "tag", *arguments), 1, says)
    assert snapshot(tmp_path) == before


def test_an_existing_run_is_not_overwritten(command, run, tags, tmp_path):
    before = snapshot(run)
    refused(command("train", "tag", tags, *SMALL), 1, "exists")
    assert snapshot(run) == before
    assert command("train", "tag", tags, *SMALL, "--overwrite").status == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--hidden-size", "9"], "hidden_size cannot change within a run"),
        (["--set", "lowercase=true"], "lowercase cannot change within a run"),
        (["--valid", "0.2"], "valid cannot change within a run"),
    ],
)
def test_a_run_goes_on_as_it_began(command, run, arguments, says):
    refused(command("train", "tag", "--resume", run, *arguments), 1, says)


def test_changed_data_is_noticed(command, run, tags):
    tags.write_text(column_file(41))
    refused(command("train", "tag", "--resume", run), 1, "has changed since it began")
    refused(command("evaluate", run), 1, "has changed since it began")
    assert command("evaluate", run, tags).status == 0


def test_commands_of_other_runs(command, run, text, tmp_path):
    refused(command("evaluate", run, "--cache", "unigram"), 1, "language models only")
    refused(command("generate", run), 1, "use predict")
    refused(command("explain", run, "so good"), 1, "takes a classifier of texts")
    refused(command("predict", run, "a", "--set", "beams=3"), 1, "option of answering")
    refused(command("train", "music", "--resume", run), 1, "is a run of 'train tag'")
    refused(command("predict", run, "  "), 1, "the input is empty")
    RunFolder.create(tmp_path / "lm", {"task": "lm"}, None)
    refused(command("predict", "lm", "a"), 1, "is a run of 'lm'")


def test_damaged_runs(command, run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy" / "task.json").write_text("{}")
    refused(command("predict", "copy", "a"), 1, "is damaged")
    (run / "task.json").unlink()
    refused(command("predict", run, "a"), 1, "is damaged")
