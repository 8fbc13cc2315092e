"""What a report shows of a classifier: where it errs, and on what."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from throughtime.models.naive_bayes import NaiveBayes
from throughtime.report import Section, Table
from throughtime.tasks.bag_of_words import explanation_section, telling_words_section
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.task import Evaluation, RawExample

# Tables of more classes than this tell nothing to anyone.
MOST_CLASSES = 15
SHOWN = 12
LONGEST = 100


def classify_sections(
    inputs: Inputs,
    labels: Sequence[str] | None,
    raw: Sequence[RawExample],
    evaluation: Evaluation,
    bayes: NaiveBayes | None = None,
) -> list[Section]:
    """Confusion of classes and some errors; of numbers, the largest errors.

    Of texts also what naive Bayes has learnt, and its answer to the first one.
    """
    details = evaluation.details
    if labels is None:
        return [_largest_errors(raw, details)]
    sections = []
    if len(labels) <= MOST_CLASSES and "confusion" in details:
        sections.append(_confusion(labels, details["confusion"]))
    sections.append(_errors(inputs, labels, raw, details))
    if bayes is not None:
        text = str(raw[0].input)
        sections.append(telling_words_section(bayes))
        sections.append(explanation_section(bayes.explain(text), text))
    return sections


def _confusion(labels: Sequence[str], counts: Any) -> Section:
    rows = [
        (label, *map(str, row), f"{row[i] / max(row.sum(), 1):.1%}")
        for i, (label, row) in enumerate(zip(labels, counts, strict=True))
    ]
    table = Table(("right", *(f"as {label}" for label in labels), "found"), rows)
    text = "How many examples of each class, in its row, were answered how."
    return Section("Confusion", text, table=table)


def _errors(
    inputs: Inputs,
    labels: Sequence[str],
    raw: Sequence[RawExample],
    details: dict[str, Any],
) -> Section:
    wrong = [
        (example, labels[int(right)], labels[int(found)])
        for example, right, found in zip(
            raw, details["targets"], details["answers"], strict=True
        )
        if right >= 0 and right != found
    ]
    rows = [
        (example.place, short(example.input), right, found)
        for example, right, found in wrong[:SHOWN]
    ]
    if not rows:
        return Section("Errors", "Every example was answered rightly.")
    text = f"{len(wrong)} of {len(raw)} examples were answered wrongly; the first ones."
    header = ("where", inputs.kind, "right", "answer")
    return Section("Errors", text, table=Table(header, rows))


def _largest_errors(raw: Sequence[RawExample], details: dict[str, Any]) -> Section:
    error = np.abs(details["answers"] - details["targets"])
    order = np.argsort(-np.nan_to_num(error))[:SHOWN]
    rows = [
        (
            raw[i].place,
            short(raw[i].input),
            f"{details['targets'][i]:.6g}",
            f"{details['answers'][i]:.6g}",
        )
        for i in order
    ]
    header = ("where", "input", "right", "answer")
    return Section("Largest errors", table=Table(header, rows))


def short(value: Any) -> str:
    """An input in one line.

    >>> short("so " * 40)[-6:], short(np.zeros((3, 2)))
    ('o s...', '3 × 2 numbers')
    """
    if isinstance(value, np.ndarray):
        return " × ".join(map(str, value.shape)) + " numbers"
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 3].rstrip() + "..."
