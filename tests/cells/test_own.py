"""Cells from a file: what is run, what is found in it, and what is refused."""

import hashlib
import sys
from pathlib import Path

import pytest
import torch

import throughtime as tt
from throughtime.cells import build_cell, cell_options, find_cell, load_own
from throughtime.errors import DataError, InvalidCell, InvalidValue

GOOD = """
import torch
import throughtime as tt
from throughtime.cells import LSTM, Cell, HiddenState

@tt.cell(gates=1)
def soft(a_x, a_h, state, *, slope=1.0):
    return {"h": torch.tanh(slope * (a_x[0] + a_h[0]))}

class ByHand(Cell):
    gates = 1
    def pointwise(self, a_x, a_h, state, weights, inner):
        return HiddenState(torch.tanh(a_x[0] + a_h[0])), {}

def function(): pass
number = 3
class Empty(Cell): pass
class Other: pass
class Wrong(Cell):
    gates = 1
    def pointwise(self, a_x, a_h, state, weights, inner):
        return HiddenState(a_x[0].sum(-1)), {}
class Raises(Cell):
    gates = 1
    def pointwise(self, a_x, a_h, state, weights, inner):
        return a_x[1], {}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    return path


def test_a_declared_cell(file):
    name = f"{file}:soft"
    assert cell_options(name)["slope"] == 1.0
    torch.manual_seed(0)
    mine = build_cell(name, 3, 4, {"slope": 2.0})
    theirs = tt.cells.Elman(3, 4)
    theirs.load_state_dict(mine.state_dict())
    x = torch.ones(2, 3)
    a = theirs.input_part(x, theirs.weights()) + theirs.bias_hh
    torch.testing.assert_close(mine.step(x).h, torch.tanh(2 * a))


def test_a_class_by_hand(file):
    mine, theirs = build_cell(f"{file}:ByHand", 3, 4), tt.cells.Elman(3, 4)
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3)
    torch.testing.assert_close(mine.step(x).h, theirs.step(x).h)


def test_a_file_is_run_once_and_anew_when_it_changes(file):
    name = f"{file}:soft"
    kind = find_cell(name)
    assert find_cell(name) is kind
    assert load_own(name).sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    file.write_text(GOOD.replace("slope=1.0", "slope=5.0"))
    assert cell_options(name)["slope"] == 5.0
    assert find_cell(name) is not kind


def test_nothing_is_left_beside_the_file(file):
    find_cell(f"{file}:soft")
    assert [path.name for path in file.parent.iterdir()] == ["mine.py"]


def test_looking_at_a_cell_draws_no_random_number(file):
    torch.manual_seed(3)
    want = torch.rand(1)
    torch.manual_seed(3)
    find_cell(f"{file}:soft")
    assert torch.rand(1) == want


def test_in_a_model(file):
    config = tt.models.LanguageModelConfig(
        cell=f"{file}:soft", cell_options={"slope": 0.5}, hidden_size=8
    )
    model = tt.models.LanguageModel(5, config)
    assert model.recurrent.cells[0].settings == {"slope": 0.5}


CELLS_IN_IT = "the cells in it are soft, ByHand, Empty, Wrong, Raises"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        (
            "",
            InvalidValue,
            "is a file, name a cell as in .*mine.py:NAME; the cells",
        ),
        (":soff", InvalidValue, f"has no 'soff'; {CELLS_IN_IT}"),
        (":function", InvalidValue, "'function' in .* is no cell but .* type function"),
        (":number", InvalidValue, "an object of type int; the cells in it"),
        (":Other", InvalidValue, "an object of type type; the cells in it"),
        (":Empty", InvalidCell, "Empty: a subclass of Cell needs a class attribute"),
        (":Wrong", InvalidCell, r"field h of shape \(B, H\) = \(2, 8\) .*got \(2,\)"),
        (
            ":Raises",
            InvalidCell,
            'does not work at line 26: "return a_x.1., {}": IndexError',
        ),
    ],
)
def test_names(file, name, error, says):
    with pytest.raises(error, match=says):
        find_cell(f"{file}{name}")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "x = 1\ny = z\n",
            """at line 2: "y = z": NameError: name 'z' is not defined""",
        ),
        ("\ndef f(:\n", 'at line 2: "def f.:": SyntaxError: invalid syntax'),
        ("def f():\n  raise OSError\nf()", 'at line 2: "raise OSError": OSError$'),
        ("import sys\nsys.exit(3)", 'at line 2: "sys.exit.3.": SystemExit: 3'),
        ("from . import x", 'at line 1: "from . import x": [A-Z]'),
        ("\xe9", "cannot be run: UnicodeDecodeError"),
        (
            "import throughtime as tt\n@tt.cell(gates=0)\ndef c(a_x, a_h, state): 1\n",
            "cell 'c' at line 2 of .*: gates must be a positive number",
        ),
    ],
)
def test_files_that_cannot_be_run(tmp_path, source, says):
    path = tmp_path / "bad.py"
    path.write_text(source, encoding="latin-1")
    before = set(sys.modules)
    with pytest.raises(InvalidCell, match=says):
        find_cell(f"{path}:c")
    assert {
        m for m in set(sys.modules) - before if m.startswith("throughtime")
    } == set()


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="gone.py does not exist"):
        find_cell(f"{tmp_path / 'gone.py'}:c")
    folder = tmp_path / "folder.py"
    folder.mkdir()
    with pytest.raises(DataError, match="cannot read .*folder.py"):
        find_cell(f"{folder}:c")


def test_a_file_without_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("none.py").write_text("x = 1\n")
    with pytest.raises(InvalidValue, match="has no 'c'; it has no cell: make one with"):
        find_cell("none.py:c")
