"""The names of ``import throughtime``: all there, and none loaded before it is used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import throughtime


def output_of(program: str) -> str:
    """What a fresh interpreter prints that imports the same copy of the package."""
    source = str(Path(throughtime.__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_import_loads_nothing_heavy() -> None:
    program = (
        "import sys, throughtime\n"
        "print(sorted(sys.modules.keys() & "
        "{'torch', 'numpy', 'matplotlib', 'jinja2', 'tokenizers', 'rich', 'typer'}))"
    )
    assert output_of(program) == "[]"


def test_layers_load_no_drawing_library() -> None:
    program = (
        "import sys, throughtime\n"
        "throughtime.LSTM, throughtime.training, throughtime.models\n"
        "print(sorted(sys.modules.keys() & "
        "{'matplotlib', 'jinja2', 'tokenizers', 'rich', 'typer'}))"
    )
    assert output_of(program) == "[]"


@pytest.mark.parametrize("name", dir(throughtime))
def test_public_name_resolves(name: str) -> None:
    value = getattr(throughtime, name)
    if name != "__version__":
        assert value.__name__.removeprefix("throughtime.") == name
        # A folder without __init__.py would import as well, as an empty package.
        assert callable(value) or value.__file__ is not None


def test_the_list_of_names() -> None:
    """The names promised by docs/architecture.md."""
    rooms = "cells data diagnostics gradients init losses metrics models training"
    layers = "cell GRU GRUCell LSTM LSTMCell RNN RNNCell Recurrent linear_cross_entropy"
    assert set(dir(throughtime)) == {"__version__", *rooms.split(), *layers.split()}


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'LTSM'"):
        throughtime.LTSM  # noqa: B018
