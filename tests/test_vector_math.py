"""The first result of a process is like all others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from throughtime.vector_math import FUNCTIONS, settle

SOURCE = str(Path(__file__).parents[1] / "src")
# The first tanh of a fresh process, on several threads, against the second. Without
# settle() about every tenth process differs (torch 2.13 with MKL, two threads).
FRESH = """
import torch
import throughtime.losses
x = torch.linspace(-3, 3, 200_000)
raise SystemExit(not torch.equal(torch.tanh(x), torch.tanh(x)))
"""


def start(code):
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.Popen([sys.executable, "-c", code], env=environment)


def test_first_call_of_a_process_is_exact():
    for _ in range(4):
        pair = [start(FRESH), start(FRESH)]
        assert [process.wait() for process in pair] == [0, 0]


@pytest.mark.parametrize("room", ["cells", "losses", "training", "models"])
def test_rooms_settle_on_import(room):
    code = (
        "import throughtime.vector_math as v; seen = []; v.settle = lambda: "
        f"seen.append(1); import throughtime.{room}; raise SystemExit(not seen)"
    )
    assert start(code).wait() == 0


def test_settle_calls_what_torch_has_whatever_the_default_device():
    assert all(hasattr(torch, name) for name in FUNCTIONS)
    with torch.device("meta"):
        settle()
