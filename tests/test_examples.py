"""The examples that are no page of their own run and say what they promise."""

import runpy
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_backpropagation_through_time(capsys):
    runpy.run_path(str(EXAMPLES / "backpropagation_through_time.py"))
    text = capsys.readouterr().out
    assert "W -> h_2 -> h_3 -> L_3 -> L" in text
    assert "5050 in all" in text
    apart = [float(line.split()[-2]) for line in text.splitlines() if "apart" in line]
    assert len(apart) == 4
    assert max(apart) < 1e-12


def test_hello(capsys):
    runpy.run_path(str(EXAMPLES / "hello.py"))
    text = capsys.readouterr().out
    for loss in ("2.0785", "2.9001", "0.3796", "0.2314"):
        assert loss in text
    assert "From h on: hello\n" in text
