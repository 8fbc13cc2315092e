"""The CUDA form of cells, without a GPU: interpreted, and compiled but not run."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import throughtime as tt
from throughtime import kernels
from throughtime.errors import InvalidValue
from throughtime.kernels import triton_build
from throughtime.kernels.expressions import OPERATIONS
from throughtime.kernels.triton_code import FORMS
from throughtime.kernels.triton_graphs import Replays
from throughtime.layers import on_triton
from throughtime.layers.unroll import used_backend

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
needs_triton = pytest.mark.skipif(
    not triton_build.installed(),
    reason="triton is not installed: pip install 'throughtime[cuda]'",
)


def python(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    paths = os.pathsep.join(path for path in sys.path if path)
    own = os.environ | {"PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": ""} | environment
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=own,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@needs_triton
def test_in_the_interpreter() -> None:
    """Values and gradients, see interpreted.py."""
    options = ("-q", "-p", "no:cacheprovider")
    file = str(HERE / "interpreted.py")
    done = python("-m", "pytest", *options, file, TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@needs_triton
def test_kernels_compile_for_cuda(tmp_path: Path) -> None:
    """To machine code of a GPU that need not be there, in each type."""
    done = python(str(HERE / "compiled.py"), TRITON_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_importing_the_package_imports_no_triton() -> None:
    code = (
        "import sys, torch, throughtime as tt\n"
        "layer = tt.LSTM(3, 4)\n"
        "layer(torch.zeros(2, 1, 3))\n"
        "assert not [m for m in sys.modules if m.split('.')[0] == 'triton']\n"
    )
    done = python("-W", "ignore", "-c", code)
    assert done.returncode == 0, done.stderr


def test_every_operation_has_a_form() -> None:
    assert FORMS.keys() == OPERATIONS.keys()


def test_why_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = tt.cells.GRU(3, 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(triton_build, "interpreted", lambda: False)
    monkeypatch.setattr(triton_build, "installed", lambda: True)
    with pytest.raises(InvalidValue, match="no CUDA device"):
        tt.Recurrent(cell, backend="triton")
    monkeypatch.setattr(triton_build, "installed", lambda: False)
    with pytest.raises(InvalidValue, match=r"not installed; pip install .*\[cuda\]"):
        tt.Recurrent(cell, backend="triton")


def test_a_cell_without_a_form_is_named_with_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @tt.cell(gates=1)
    def step(a_x, a_h, state):
        return {"h": torch.erfinv(a_x[0] + a_h[0])}

    monkeypatch.setattr(kernels, "triton_missing", lambda: None)
    with pytest.raises(InvalidValue, match=r"erfinv \(line \d+ of .*test_triton.py"):
        tt.Recurrent(step(3, 4), backend="triton")


def test_graphs_are_recorded_the_second_time_and_the_oldest_given_up() -> None:
    told: list[str] = []

    def record(function, tensors):
        told.append(f"record {tuple(tensors[0].shape)}")

        def replay(given):
            told.append("replay")
            return function(given)

        return replay

    def double(tensors):
        return [2 * tensors[0]]

    replays = Replays(2, record)

    def run(size: int, name: str = "double", dtype=torch.float32) -> list[str]:
        told.clear()
        x = torch.arange(size).to(dtype)
        (found,) = replays.run(name, double, [x, None])
        assert torch.equal(found, 2 * x)
        return list(told)

    assert run(3) == []
    assert run(3) == ["record (3,)", "replay"]
    assert run(3) == ["replay"]
    assert run(3, "other") == []  # the same shapes, another function
    assert run(3) == ["replay"]
    assert run(3, dtype=torch.float64) == []  # the third: "other" was used least
    assert run(3) == ["replay"]
    assert run(3, "other") == []


def test_cuda_tensors_take_it_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed to decide."""

    class OnCuda(NamedTuple):
        dtype: torch.dtype = torch.float32
        device: torch.device = torch.device("cuda", 0)

        def numel(self) -> int:
            return 1

    monkeypatch.setattr(on_triton, "_INSTALLED", True)
    cell = tt.cells.GRU(3, 4)

    def used(backend: str, *tensors: object) -> str:
        return used_backend(backend, [cell], tensors)

    assert used("auto", OnCuda()) == used("triton", OnCuda()) == "triton"
    assert used("auto", OnCuda(torch.bfloat16)) == "triton"
    assert used("auto", OnCuda(torch.int64)) == "loop"
    assert used("loop", OnCuda()) == used("native", OnCuda()) == "loop"
    assert used("auto", torch.zeros(1)) != "triton"
    with monkeypatch.context() as patch:
        patch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
        assert used("auto", OnCuda()) == "loop"
    monkeypatch.setattr(on_triton, "_INSTALLED", False)
    assert used("auto", OnCuda()) == "loop"
