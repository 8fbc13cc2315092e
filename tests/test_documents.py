"""The pages of the project run and point to what is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
# One story from top to bottom, with a test of its own.
STORY = ROOT / "docs" / "own_cell.md"


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != STORY], ids=lambda page: page.name
)
def test_python_blocks_run(page):
    for block in blocks(page):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block],
            env={"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_readme_code_is_the_example():
    (block,) = blocks(ROOT / "README.md")
    example = (ROOT / "examples" / "adding.py").read_text(encoding="utf-8")
    assert example.split("tt\n\n", 1)[1] == block.split("tt\n\n", 1)[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_files_exist(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)
    for link in (a or b for a, b in links):
        assert (page.parent / link).exists(), link
