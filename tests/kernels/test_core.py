"""The core's own test under AddressSanitizer and UBSan, on every instruction set.

Its truth is in native/test/reference.h: the equations, one number at a time. It runs
the programs that layers run, written as headers.
"""

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "native"
CASES = 200


def call(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_phases_compiled_ahead_are_those_of_the_cells_as_they_are_now() -> None:
    made = runpy.run_path(str(NATIVE / "make_known.py"))["header"]()
    assert (NATIVE / "src" / "known.h").read_text("utf-8") == made


def test_programs_are_as_compiled_now() -> None:
    """If not: python native/test/make_programs.py."""
    made = runpy.run_path(str(NATIVE / "test" / "make_programs.py"))["headers"]()
    folder = NATIVE / "test" / "programs"
    assert {file.name: file.read_text("utf-8") for file in folder.iterdir()} == made


def compiler() -> str:
    """A compiler with both sanitizers and OpenMP, or skip."""
    found = os.environ.get("CXX") or shutil.which("c++")
    if not found or not shutil.which("cmake"):
        pytest.skip("needs cmake and a C++ compiler")
    return found


def test_core_under_sanitizers(tmp_path: Path) -> None:
    tried = tmp_path / "tried.cpp"
    tried.write_text("#include <omp.h>\nint main() { return omp_in_parallel(); }\n")
    flags = ("-fsanitize=address,undefined", "-fopenmp")
    program = str(tmp_path / "tried")
    if call(compiler(), *flags, str(tried), "-o", program).returncode != 0:
        pytest.skip("the compiler has no AddressSanitizer, UBSan or OpenMP")
    if call(program).returncode != 0:
        pytest.skip("programs with AddressSanitizer do not run here")

    build = str(tmp_path / "build")
    options = ("-DTHROUGHTIME_TEST=ON", "-DTHROUGHTIME_SANITIZE=ON")
    done = call("cmake", "-S", str(NATIVE), "-B", build, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    done = call("cmake", "--build", build, "--parallel")
    assert done.returncode == 0, done.stdout + done.stderr
    done = call(f"{build}/test_core", str(CASES))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{CASES} problems" in done.stdout
    assert "0 failures" in done.stdout
