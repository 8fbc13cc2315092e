"""The house plan of docs/architecture.md, checked on the source text itself."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "throughtime"
CODE = ("src", "tests", "benchmarks", "examples")

# Floor 0 is one room of several files, and so are the pictures of floor 4; everywhere
# else each name is a room of its own, and those of one floor are siblings.
FLOORS = (
    ({"errors", "checks", "shapes", "vector_math", "init", "spectrum"},),
    ({"cells"}, {"data"}, {"losses"}, {"metrics"}, {"kernels"}),
    ({"layers"},),
    ({"gradients"},),
    ({"models"}, {"training"}, {"diagnostics"}),
    ({"plots", "report"},),
    ({"tasks"},),
    ({"cli"},),
)
# The package's door and `python -m throughtime` lead into every room.
DOORS = {"__init__", "__main__"}
DRAWING = {"matplotlib", "jinja2"}
PICKLE = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve"}
LONGEST_FILE = 400


class Import(NamedTuple):
    line: int
    target: str
    level: int = 0


def place(name: str) -> tuple[int, int]:
    """Floor and room number of a top-level name of the package."""
    for floor, rooms in enumerate(FLOORS):
        for number, room in enumerate(rooms):
            if name in room:
                return floor, number
    raise KeyError(name)


def imports(tree: ast.AST) -> Iterator[Import]:
    """Every import of a file, wherever it stands, as dotted names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            for alias in node.names:
                yield Import(node.lineno, f"{module}.{alias.name}", node.level)


def edge_faults(room: str, found: Import) -> Iterator[str]:
    """What is wrong with an import, seen from the top-level name ``room``."""
    if found.level:
        yield "relative import: write it in full"
        return
    package, *rest = found.target.split(".")
    if package != "throughtime":
        if package in DRAWING and room not in {"plots", "report"}:
            yield f"{package} belongs into plots and report"
        base = room not in DOORS and place(room)[0] == 0
        if base and package != "torch" and package not in sys.stdlib_module_names:
            yield f"floor 0 imports torch and the standard library only, not {package}"
        return
    if room in DOORS or rest == ["__version__"]:
        return
    try:
        floor, number = place(rest[0] if rest else "")
    except KeyError:
        yield f"{found.target} is no room: import from where the name is defined"
        return
    own_floor, own_number = place(room)
    if floor > own_floor or (floor == own_floor and number != own_number):
        yield f"{room} (floor {own_floor}) imports {found.target} (floor {floor})"


def unpickling(tree: ast.AST) -> Iterator[str]:
    """Every way of reading a file that could run code from it."""
    for found in imports(tree):
        if found.target.split(".")[0] in PICKLE or found.target == "torch.load":
            yield f"line {found.line}: {found.target} unpickles"
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "load"
            and isinstance(node.value, ast.Name)
            and node.value.id == "torch"
        ):
            yield f"line {node.lineno}: torch.load unpickles"
        if (
            isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and ast.unparse(node.value) != "False"
        ):
            yield f"line {node.value.lineno}: allow_pickle unpickles"


def faults(room: str, source: str) -> list[str]:
    """All faults of a file that belongs to the top-level name ``room``."""
    tree = ast.parse(source)
    if room not in DOORS and not any(room in r for rooms in FLOORS for r in rooms):
        return [f"{room} stands on no floor: give it one in FLOORS"]
    return [
        f"line {found.line}: {fault}"
        for found in imports(tree)
        for fault in edge_faults(room, found)
    ] + list(unpickling(tree))


def room_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_the_package_is_found() -> None:
    assert PACKAGE / "errors.py" in python_files(PACKAGE)


@pytest.mark.parametrize(
    "file", python_files(PACKAGE), ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_file_keeps_to_the_house_plan(file: Path) -> None:
    assert faults(room_of(file), file.read_text(encoding="utf-8")) == []


def test_no_file_is_too_long() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for folder in CODE
        for file in python_files(ROOT / folder)
    }
    assert {f: n for f, n in lengths.items() if n > LONGEST_FILE} == {}


# The checker itself: it must find what is planted, and only that.


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("cells", "from throughtime.layers import rnn"),
        ("cells", "from throughtime.data.text import words"),
        ("cells", "from throughtime import losses"),
        ("cells", "import throughtime.models.tagger"),
        ("models", "from throughtime.training.bptt import BPTT"),
        ("diagnostics", "def f():\n    from throughtime.plots import lines"),
        ("layers", "from throughtime.gradients import decompose"),
        ("gradients", "from throughtime.models import LanguageModel"),
        ("layers", "if TYPE_CHECKING:\n    from throughtime.models import Tagger"),
        ("errors", "from throughtime.cells import LSTM"),
        ("training", "import throughtime as tt"),
        ("training", "from throughtime import LSTM"),
        ("layers", "from .unroll import unroll"),
        ("layers", "from . import unroll"),
        ("diagnostics", "def f():\n    import matplotlib.pyplot as plt"),
        ("cli", "from jinja2 import Template"),
        ("checks", "import numpy as np"),
        ("init", "from scipy import linalg"),
        ("garage", "import math"),
        ("data", "import pickle"),
        ("data", "from torch import load"),
        ("training", "state = torch.load(path)"),
        ("training", "read = torch.load"),
        ("data", "np.load(path, allow_pickle=True)"),
    ],
)
def test_checker_finds_a_planted_fault(room: str, source: str) -> None:
    assert len(faults(room, source)) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("layers", "from throughtime.cells.lstm import LSTM"),
        ("cells", "from throughtime import init"),
        ("checks", "from throughtime.errors import InvalidValue"),
        ("diagnostics", "from throughtime.gradients import decompose"),
        ("gradients", "from throughtime.layers import Recurrent"),
        ("init", "import math\nimport torch.nn\nfrom torch import Tensor"),
        ("layers", "from throughtime.layers.unroll import unroll"),
        ("report", "import jinja2\nfrom throughtime.plots.lines import draw"),
        ("cli", "from throughtime import __version__"),
        ("cli", "from throughtime.report import save"),
        ("__init__", "from throughtime.cli import main"),
        ("data", "np.load(path, allow_pickle=False)\njson.load(file)"),
    ],
)
def test_checker_leaves_good_code_alone(room: str, source: str) -> None:
    assert faults(room, source) == []


def test_every_room_is_named_once() -> None:
    names = [name for rooms in FLOORS for room in rooms for name in room]
    assert len(names) == len(set(names))
