"""The commands do what they say."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import fields

import pytest
import torch
from rich.cells import cell_len
from torch.nn import functional as F

from tests.cli.conftest import SMALL, TEXT
from throughtime import kernels
from throughtime.cells import CELLS, cell_options
from throughtime.cli.lm_measure import Evaluation
from throughtime.cli.settings import parse_value, sort_settings
from throughtime.data import build_vocabulary
from throughtime.errors import InvalidValue
from throughtime.models import NGramLM
from throughtime.models.language_model import LanguageModel, LanguageModelConfig


def test_train_writes_a_whole_run_and_measures_it(command, text, tmp_path):
    outcome = command("train", "lm", text, *SMALL, "--out", "r", "--json")
    assert outcome.status == 0
    result = outcome.last
    files = sorted(p.name for p in (tmp_path / "r").iterdir())
    assert files == [
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
        "state.safetensors",
        "vocabulary.json",
    ]
    assert result["perplexity"] == pytest.approx(math.exp(result["loss"]))
    bits = result["loss"] / math.log(2)
    assert result["bits_per_character"] == pytest.approx(bits)
    # The baseline, independently of the command.
    cut = len(TEXT) - round(len(TEXT) / 10)
    vocabulary = build_vocabulary(TEXT[:cut])
    model = NGramLM(5, vocabulary_size=len(vocabulary))
    model.fit(vocabulary.encode(TEXT[:cut]))
    log_probs = model.score(vocabulary.encode(TEXT[cut:]))
    assert result["baseline"]["loss"] == pytest.approx(-log_probs.mean().item())
    assert result["tokens"] == len(TEXT) - cut - 1
    for word in ("perplexity", "5-gram", "sample", "report"):
        assert word in outcome.out
    lines = (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()
    metrics = [json.loads(line) for line in lines]
    assert {m["record"] for m in metrics} == {"step", "validation"}
    assert all("tokens_per_second" in m for m in metrics if m["record"] == "step")


def test_evaluate_repeats_the_figures_of_training(command, text):
    trained = command("train", "lm", text, *SMALL, "--out", "r", "--json").last
    again = command("evaluate", "r", "--json").last
    assert set(again) == {f.name for f in fields(Evaluation)}
    assert again["loss"] == trained["loss"]
    other = command("evaluate", "r", text, "--json").last
    assert other["tokens"] == len(TEXT) - 1


def test_generate(command, run):
    first = command("generate", run, "--prompt", "the ", "--length", "20", "--json")
    assert first.status == 0
    assert len(first.last["text"]) == 20
    again = command("generate", run, "--prompt", "the ", "--length", "20", "--json")
    assert again.last == first.last
    other = command(
        "generate", run, "--prompt", "the ", "--length", "20", "--seed", "1", "--json"
    )
    assert other.last != first.last
    for method in ("greedy", "beam"):
        outcome = command("generate", run, "--method", method, "--length", "5")
        assert outcome.status == 0
    limited = command("generate", run, "--top-k", "1", "--length", "9", "--json").last
    greedy = command("generate", run, "--method", "greedy", "--length", "9", "--json")
    assert limited["text"] == greedy.last["text"]


@pytest.mark.parametrize("unit", ["word", "bpe"])
def test_other_units(command, text, unit):
    outcome = command(
        *("train", "lm", text, *SMALL, "--unit", unit, "--out", "r", "--json"),
        *(("--set", "vocabulary_size=300") if unit == "bpe" else ()),
    )
    assert outcome.status == 0, outcome.err
    result = outcome.last
    nats = result["loss"] * result["tokens"]
    characters = nats / math.log(2) / result["bits_per_character"]
    assert characters == pytest.approx(len(TEXT) / 10, rel=0.06)
    text_ = command("generate", "r", "--prompt", "the cat", "--length", "5")
    assert text_.status == 0


# One of each kind: built in, several states, a product inside the step, no recurrent
# product, a matrix or a constant made by ``prepare``, normalised rows.
KINDS = ("elman", "gru", "slstm", "mut3", "qrnn", "clockwork", "layer_norm_gru")


@pytest.mark.parametrize("cell", KINDS)
def test_cells_by_name(command, text, cell):
    outcome = command("train", "lm", text, *SMALL, "--cell", cell, "--out", "r")
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_is_built_and_trained_by_name(cell):
    settings = sort_settings(cell, ["embedding_size=4"])
    torch.manual_seed(0)
    chosen = {**settings.model, "hidden_size": 8}
    model = LanguageModel(5, LanguageModelConfig.from_dict(chosen))
    x = torch.randint(5, (6, 3))
    F.cross_entropy(model(x)[0].flatten(0, 1), x.flatten()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_options_of_a_declared_cell(command, text, tmp_path):
    outcome = command(
        *("train", "lm", text, *SMALL, "--cell", "clockwork", "--out", "r"),
        *("--set", "periods=[1,3]"),
    )
    assert outcome.status == 0, outcome.err
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert config["model"]["cell_options"] == {"periods": [1, 3]}
    again = command("generate", "r", "--prompt", "line", "--length", "5")
    assert again.status == 0, again.err
    wrong = command(
        *("train", "lm", text, *SMALL, "--cell", "clockwork", "--out", "w"),
        *("--set", "periods=[0]"),
    )
    assert wrong.status == 1
    assert "periods must be 1 to hidden_size = 8 positive integers" in wrong.err


def test_settings_reach_model_cell_and_training(command, text, tmp_path):
    outcome = command(
        *("train", "lm", text, *SMALL, "--out", "r", "--num-layers", "2"),
        *("--stride", "10", "--optimizer", "sgd", "--seed", "3", "--max-norm", "0.5"),
        *("--set", "tied=true", "--set", "peephole=true", "--set", "dropout=0.1"),
        *("--set", "optimizer.momentum=0.5", "--set", "accumulate=2"),
        *("--set", "loss_reduction=sum", "--valid", "0.2"),
    )
    assert outcome.status == 0, outcome.err
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert config["model"]["tied"] is True
    assert config["model"]["cell_options"] == {"peephole": True}
    assert config["training"]["optimizer_options"] == {"momentum": 0.5}
    assert config["training"]["stride"] == 10
    assert config["data"]["valid"] == 0.2
    full = command("train", "lm", text, *SMALL[:4], "--tau", "full", "--out", "f")
    assert full.status == 0, full.err
    steps = (tmp_path / "f" / "metrics.jsonl").read_text()
    assert (
        json.loads((tmp_path / "f/config.json").read_text())["training"]["tau"] is None
    )
    assert '"record": "validation"' in steps


def test_resume_ends_with_the_bits_of_an_uninterrupted_run(command, text, tmp_path):
    settings = [*SMALL, "--set", "dropout=0.2", "--set", "checkpoint_every=5"]
    settings[3] = "3"
    assert command("train", "lm", text, *settings, "--out", "whole").status == 0
    started = command(
        "train", "lm", text, *settings, "--out", "part", "--time-budget", "0.001"
    )
    assert "time_budget" in started.out
    done = command("train", "lm", "--resume", "part", "--time-budget", "1000")
    assert done.status == 0, done.err
    weights = [
        (tmp_path / n / "model.safetensors").read_bytes() for n in ("whole", "part")
    ]
    assert weights[0] == weights[1]


def test_overwrite_replaces_a_run(command, text, run):
    before = (run / "config.json").read_text()
    outcome = command("train", "lm", text, *SMALL, "--seed", "5", "--out", run)
    assert outcome.status == 1
    assert (run / "config.json").read_text() == before
    outcome = command(
        "train", "lm", text, *SMALL, "--seed", "5", "--out", run, "--overwrite"
    )
    assert outcome.status == 0
    assert json.loads((run / "config.json").read_text())["training"]["seed"] == 5
    assert [p.name for p in run.parent.iterdir() if p.name.startswith(".")] == []


def test_cells_lists_every_cell(command):
    outcome = command("cells", "--json")
    assert [row["cell"] for row in outcome.last] == list(CELLS)
    sizes = {row["cell"]: row["parameters"] for row in outcome.last}
    # I = H = 100: 2 H² + 2 H parameters per gate.
    assert sizes["elman"] == 20_200
    assert sizes["lstm"] == 4 * 20_200
    assert sizes["gru"] == 3 * 20_200


def test_the_table_of_cells_fits_a_terminal(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = command("cells").out.splitlines()
    assert max(map(cell_len, lines)) <= 80
    # Names, figures and paths stand whole; only equations go on below.
    starts = [line.split()[0] for line in lines if line.split()]
    assert set(CELLS) <= set(starts)


@pytest.mark.parametrize("cell", CELLS)
def test_one_cell_in_full(command, cell):
    outcome = command("cells", cell, "--json")
    page = outcome.last
    kind = CELLS[cell]
    made = kind(1009, 120)
    assert page["options"] == json.loads(json.dumps(cell_options(cell)))
    assert page["source"] == kind.source
    assert list(page["state"]) == list(kind.State._fields)
    # Letters put back into numbers.
    values = {"I": 1009, "H": 120}
    for shape, (name, p) in zip(page["shapes"], made.named_parameters(), strict=True):
        letters = re.sub(r"(\d) (?=H)", r"\1*", shape["shape"])
        assert (shape["name"], eval(letters, {}, values)) == (name, tuple(p.shape))
    for word in (cell, page["backend"], *page["options"]):
        assert word in outcome.out


def test_starting_values_are_told(command):
    def starts(cell):
        shapes = command("cells", cell, "--json").last["shapes"]
        return {shape["name"]: shape["start"] for shape in shapes}

    assert set(starts("lstm").values()) == {"uniform in ±1/√H"}
    irnn = starts("irnn")
    assert irnn["weight_hh"] == "identity"
    assert irnn["bias_hh"] == "0"
    assert irnn["weight_ih"].endswith("deviation 0.001")


def test_doctor_says_what_runs_and_checks_it():
    # In a process of its own: scikit-learn brings an OpenMP runtime of its own.
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "from throughtime.cli import main; main(['doctor', '--json'])",
        ],
        env={**os.environ, "PYTHONPATH": ":".join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["backend"] == ("loop" if kernels.missing() else "native")
    assert found["backend"] in done.stdout
    if found["backend"] == "native":
        assert found["instruction_set"] in found["instruction_sets"]
        assert found["largest_difference_from_loop"] < 1e-12
        # A second OpenMP runtime would mean two pools that compete for the cores.
        assert found["openmp_runtimes"] is None or len(found["openmp_runtimes"]) == 1


def test_help_and_version_load_no_torch():
    code = (
        "import sys; from throughtime.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    for arguments in (["--help"], ["--version"], ["train", "lm", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_values_and_keys():
    assert [parse_value(v) for v in ("True", "3", "1e-3", "none", "[1, 2]", "x y")] == [
        *(True, 3, 0.001, None, [1, 2], "x y")
    ]
    settings = sort_settings("elman", ["nonlinearity=gelu", "tau=7", "tied=true"])
    assert settings.model["cell_options"] == {"nonlinearity": "gelu"}
    assert settings.training["tau"] == 7
    for pairs, says in (
        (["tied"], "expected key=value"),
        (["tau=1", "tau=2"], "given twice"),
        (["peephole=true"], "unknown option in --set 'peephole': known are accum"),
    ):
        with pytest.raises(InvalidValue, match=says):
            sort_settings("elman", pairs)
