"""``throughtime explain RUN TEXT``: how a classifier of texts comes to its answer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table

from throughtime.errors import DataError, InvalidValue
from throughtime.models.naive_bayes import NaiveBayes
from throughtime.tasks.classify import BAYES_FILE, Classify
from throughtime.tasks.run import open_task_run
from throughtime.tasks.task import RawExample

# Words of the table; what counts less is summed up.
MOST_WORDS = 25


def run_explanation(path: Path, text: str) -> dict[str, Any]:
    """Print the sum of naive Bayes, and what each word does to the network's answer.

    Raises:
        DataError: the text is empty, or a file.
        InvalidValue: the run is no classifier of texts.
        RunError: no run of a task.
    """
    if not text.strip():
        raise DataError("the text is empty; give one with words in it")
    if Path(text).is_file():
        raise DataError(
            f"explain takes one text, and {text} is a file; give the text itself"
        )
    run = open_task_run(path)
    task = run.task
    file = run.folder.path / BAYES_FILE
    if not isinstance(task, Classify) or task.labels is None or not file.is_file():
        raise InvalidValue(
            f"explain takes a classifier of texts with labels, and {path} is a run of "
            f"'train {task.name}' on other inputs; see its report.html"
        )
    console = Console()
    bayes = NaiveBayes.from_dict(json.loads(file.read_text(encoding="utf-8")))
    explanation = bayes.explain(text)
    console.print("naive Bayes, logarithms of probabilities", highlight=False)
    console.print(_table(explanation.rows()))
    if explanation.unknown:
        console.print(
            f"unknown, so left out: {', '.join(explanation.unknown)}", highlight=False
        )
    (example,) = task.read_inputs(text)
    (answer,) = task.predict(run.model, [example])
    words = _words(task, run.model, example)
    console.print(
        f"\nthis model: {answer['text']}; what log P of that label loses without a "
        "word",
        highlight=False,
    )
    rows = [("word", "loses"), *((word, f"{loss:+.4f}") for word, loss in words)]
    console.print(_table(rows))
    return {
        "naive_bayes": explanation.to_dict(),
        "answer": answer,
        "words": [{"word": word, "loses": loss} for word, loss in words],
    }


def _words(task: Classify, model: Any, example: RawExample) -> list[tuple[str, float]]:
    """Each word with the log P of the answer that goes when the word does."""
    assert task.labels is not None
    pieces = str(example.input).split()
    rest = [" ".join(pieces[:i] + pieces[i + 1 :]) for i in range(len(pieces))]
    raw = [example, *(replace(example, input=text) for text in rest)]
    answers = task.predict(model, raw)
    label = answers[0]["label"]
    log_p = torch.tensor(
        [answer["probabilities"][label] for answer in answers], dtype=torch.float64
    ).log()
    return list(zip(pieces, (log_p[0] - log_p[1:]).tolist(), strict=True))


def _table(rows: list[tuple[str, ...]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, title in enumerate(rows[0]):
        table.add_column(title, justify="right" if i else "left")
    for row in rows[1 : MOST_WORDS + 1]:
        table.add_row(*row)
    if len(rows) > MOST_WORDS + 3:
        table.add_row("...", *[""] * (len(rows[0]) - 1))
    for row in rows[MOST_WORDS + 1 :][-2:]:
        table.add_row(*row)
    return table
