"""``throughtime predict RUN INPUT``: a trained model's answers."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from throughtime.cli.options import plain
from throughtime.cli.settings import split_pairs
from throughtime.errors import DataError, RunError
from throughtime.tasks.run import open_task_run
from throughtime.training.checkpoint import write_atomically

STANDARD_INPUT = "-"


def run_prediction(
    path: Path,
    source: str,
    *,
    settings: list[str],
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> list[dict[str, Any]]:
    """Answer every example of a file, of standard input, or the one a string is.

    Args:
        path: of the run.
        source: a file, ``-`` for standard input, or the input itself.
        settings: ``key=value``, options of answering.
        out: where answers go; None: to standard output.
        overwrite: whether a file there is replaced.
        as_json: one JSON object a line instead of text.

    Raises:
        DataError: the input cannot be used.
        RunError: no run of a task, or ``out`` exists.
    """
    if out is not None and out.exists() and not overwrite:
        raise RunError(f"{out} exists; replace it with --overwrite")
    run = open_task_run(path, split_pairs(settings))
    if source == STANDARD_INPUT:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "standard_input.txt"
            file.write_bytes(sys.stdin.buffer.read())
            raw = run.task.read_inputs(file)
    else:
        raw = run.task.read_inputs(_file_or_text(source))
    answers = run.task.predict(run.model, raw)
    lines = [
        json.dumps(plain(answer), ensure_ascii=False) if as_json else answer["text"]
        for answer in answers
    ]
    text = "".join(f"{line}\n" for line in lines)
    if out is None:
        sys.stdout.write(text)
    else:
        write_atomically(out, text.encode())
    return answers


def _file_or_text(source: str) -> Path | str:
    """A path if there is such a file, else the string itself."""
    try:
        exists = Path(source).exists()
    except (OSError, ValueError):  # no file can have such a name
        exists = False
    if exists:
        return Path(source)
    if not source.strip():
        raise DataError("the input is empty; give a file, - or a text")
    return source
