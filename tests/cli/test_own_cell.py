"""``--cell file.py:MyCell``: the run folder is usable without the file."""

import json

import pytest

from tests.cli.conftest import SMALL
from tests.cli.test_bad_input import refused, snapshot

SOURCE = '''import torch
import throughtime as tt


@tt.cell(gates=4, state=("h", "c"))
def mine(a_x, a_h, state, *, scale=1.0):
    """c_t = f_t c_{t-1} + i_t g_t"""
    i, f, g, o = (x + h for x, h in zip(a_x, a_h))
    c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(scale * g)
    return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}


@tt.cell(gates=1)
def bad(a_x, a_h, state):
    return {"h": a_x[0]}
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cells.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def own_run(command, text, file, tmp_path):
    options = ["--cell", "cells.py:mine", "--set", "scale=0.5", "--out", "run"]
    outcome = command("train", "lm", text, *SMALL, *options)
    assert outcome.status == 0, outcome.err
    return tmp_path / "run"


def test_the_own_lstm_learns_as_the_built_in_one(command, text, file):
    both = [
        command("train", "lm", text, *SMALL, "--cell", cell, "--out", out, "--json")
        for cell, out in (("cells.py:mine", "a"), ("lstm", "b"))
    ]
    assert both[0].last["loss"] == pytest.approx(both[1].last["loss"], rel=1e-4)
    assert "mine, " in both[0].out


def test_a_run_keeps_its_cell(command, file, own_run):
    assert (own_run / "cell.py").read_text() == SOURCE
    config = json.loads((own_run / "config.json").read_text())
    assert config["model"]["cell"] == "cell.py:mine"
    assert config["model"]["cell_options"] == {"scale": 0.5}
    before = command("evaluate", own_run, "--json").last
    file.unlink()
    assert command("evaluate", own_run, "--json").last == before
    assert command("generate", own_run, "--length", "5").status == 0
    again = command("train", "lm", "--resume", own_run, "--epochs", "2", "--json")
    assert again.status == 0, again.err
    assert again.last["loss"] < before["loss"]
    moved = own_run.rename(own_run.with_name("moved"))
    assert command("evaluate", moved, "--json").last["loss"] == again.last["loss"]


def test_a_changed_or_missing_cell_is_refused(command, own_run):
    cell = own_run / "cell.py"
    cell.write_text(SOURCE.replace("state.c", "state.c * 0.9"))
    before = snapshot(own_run)
    for arguments in (
        ("evaluate", own_run),
        ("generate", own_run),
        ("train", "lm", "--resume", own_run, "--epochs", "2"),
    ):
        refused(command(*arguments), 1, "has changed since the training began")
    assert snapshot(own_run) == before
    cell.unlink()
    refused(command("evaluate", own_run), 1, "the file that defines the cell of this")


def test_a_config_cannot_name_another_file(command, file, own_run):
    path = own_run / "config.json"
    config = json.loads(path.read_text())
    for cell in (f"{file}:mine", "../cells.py:mine", "other.py:mine"):
        config["model"]["cell"] = cell
        path.write_text(json.dumps(config))
        refused(command("evaluate", own_run), 1, "does not say which file defines")
    config["model"]["cell"] = "cell.py:mine"
    del config["own_cell"]
    path.write_text(json.dumps(config))
    refused(command("evaluate", own_run), 1, "does not say which file defines")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--cell", "gone.py:mine"], "gone.py does not exist"),
        (
            ["--cell", "cells.py"],
            "name a cell as in cells.py:NAME; the cells in it are",
        ),
        (["--cell", "cells.py:min"], "has no 'min'; the cells in it are mine, bad"),
        (["--cell", "cells.py:torch"], "is no cell but an object of type module"),
        (["--cell", "raises.py:x"], 'at line 1: "1 / 0": ZeroDivisionError'),
        (["--cell", "cells.py:bad"], "at line 15 of cells.py"),
        (["--cell", "cells.py:mine", "--set", "sclae=2"], "'sclae': known are"),
    ],
)
def test_bad_cells(command, text, file, tmp_path, arguments, says):
    (tmp_path / "raises.py").write_text("1 / 0\n")
    before = snapshot(tmp_path)
    refused(command("train", "lm", text, *SMALL, *arguments), 1, says)
    assert snapshot(tmp_path) == before


def test_a_page_of_an_own_cell(command, file):
    page = command("cells", "cells.py:mine", "--json").last
    assert page["cell"] == "mine"
    assert page["equation"] == "c_t = f_t c_{t-1} + i_t g_t"
    assert page["options"]["scale"] == 1.0
    assert page["gates"]["input"] == 4
    assert page["parameters"] == 80_800
    refused(command("cells", "cells.py:bad"), 1, "cell 'bad' at line 15 of cells.py")
    refused(command("cells", "lstn"), 1, "unknown cell 'lstn'")
