"""``throughtime predict RUN INPUT``: a trained model's answers."""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from throughtime.cli.options import plain
from throughtime.cli.output_file import check_output
from throughtime.cli.settings import split_pairs
from throughtime.errors import DataError, RunError
from throughtime.tasks.run import TaskRun, open_task_run

STANDARD_INPUT = "-"
# How files begin that are told by their names, and how these end.
BEGINNINGS = {
    b"RIFF": ".wav",
    b"fLaC": ".flac",
    b"OggS": ".ogg",
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"PK\x03\x04": ".npz",
    b"MThd": ".mid",
    b"PAR1": ".parquet",
    b"@": ".ts",
}
# A single word that is certainly no text but a misspelt path.
FILE_NAME = re.compile(
    r"\S+\.(txt|csv|tsv|tab|jsonl?|ndjson|parquet|conllu?|ts|npz|wav|flac|ogg|mp3|png"
    r"|jpe?g|gif|bmp|tiff?|webp|midi?)(\.gz|\.zst)?",
    re.IGNORECASE,
)


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
    check_output(out, overwrite=overwrite)
    run = open_task_run(path, split_pairs(settings))
    if source == STANDARD_INPUT:
        answers = _answer_standard_input(run)
    else:
        answers = run.task.predict(
            run.model, run.task.read_inputs(_file_or_text(source))
        )
    lines = [
        json.dumps(plain(answer), ensure_ascii=False) if as_json else answer["text"]
        for answer in answers
    ]
    text = "".join(f"{line}\n" for line in lines)
    if out is None:
        sys.stdout.write(text)
    else:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise RunError(
                f"cannot write {out} ({error.strerror}); choose another --out"
            ) from error
    return answers


def _answer_standard_input(run: TaskRun) -> list[dict[str, Any]]:
    content = sys.stdin.buffer.read()
    if not content.strip():
        raise DataError("standard input is empty; give a file, or the input itself")
    begins = (end for start, end in BEGINNINGS.items() if content.startswith(start))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"standard_input{next(begins, '.txt')}"
        file.write_bytes(content)
        try:
            return run.task.predict(run.model, run.task.read_inputs(file))
        except DataError as error:
            name = "standard input"
            raise DataError(str(error).replace(str(file), name)) from error


def _file_or_text(source: str) -> Path | str:
    """A path if there is such a file, else the string itself."""
    if not source.strip():
        raise DataError("the input is empty; give a file, - or a text")
    try:
        exists = Path(source).exists()
    except (OSError, ValueError):  # no file can have such a name
        exists = False
    if exists:
        return Path(source)
    if FILE_NAME.fullmatch(source):
        raise DataError(
            f"{source} does not exist; check the path, or if it is a text, give it on "
            "standard input"
        )
    return source
