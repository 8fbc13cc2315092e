"""The guide docs/own_cell.md, from top to bottom.

``python -m tests.test_own_cell`` writes what its code prints into the page; the test
compares.
"""

import contextlib
import io
import os
import re
import shlex
import sys
import textwrap
from pathlib import Path

from tests.cli.conftest import SMALL, TEXT
from throughtime.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "own_cell.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.S | re.M)
WIDTH = 88
# What makes the commands of the page short.
SHORT = {
    "train": ["text.txt", *SMALL],
    "compare-cells": ["text.txt", "--epochs", "1", "--set", "tau=20"],
}


def command(line):
    """Run one command line; its exit status and what it says."""
    program, *arguments = shlex.split(line)
    assert program == "throughtime"
    arguments += SHORT.get(arguments[0], [])
    if arguments[0] == "compare-cells":
        arguments[arguments.index("200000")] = "4000"
    said, status = io.StringIO(), 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(arguments)
        except SystemExit as stop:
            status = stop.code or 0
    return status, said.getvalue()


def errors(block):
    """A console block, every command of which is refused in one sentence."""
    lines = []
    for line in block.splitlines():
        if line.startswith("$ "):
            status, said = command(line[2:])
            assert status == 1, said
            assert len(said.splitlines()) == 1
            lines += [line, *textwrap.wrap(said, WIDTH, break_on_hyphens=False)]
    return "\n".join(lines) + "\n"


def rendered(page):
    """The page with what its code prints, run in the current folder."""
    Path("text.txt").write_text(TEXT)
    names, printed, end, out = {}, "", 0, []
    for match in BLOCK.finditer(page):
        kind, block = match.groups()
        before = page[end : match.start()]
        out.append(before)
        end = match.end()
        asked = " ".join(before.split()[-9:])
        saved = re.search(r"Save this as `(\S+)`:$", asked)
        if saved:
            Path(saved[1]).write_text(block, encoding="utf-8")
        elif kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(compile(block, "own_cell.md", "exec"), names)
            printed = stream.getvalue()
        elif kind == "text":
            assert printed
            block = printed
        elif kind == "console":
            block = errors(block)
        else:
            assert kind == "bash"
            for line in block.splitlines():
                status, said = command(line)
                assert status == 0, said
        out.append(f"```{kind}\n{block}```\n")
    return "".join([*out, page[end:]])


def test_the_guide_runs_and_shows_what_it_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    page = PAGE.read_text(encoding="utf-8")
    try:
        assert rendered(page) == page
    finally:
        for name in ("my_cells", "slow"):
            sys.modules.pop(name, None)
    assert {p.name for p in tmp_path.iterdir()} >= {"mine", "slow", "runs"}


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        new = rendered(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(new, encoding="utf-8")
