"""How well steps are labelled: figures, tables, and sequences to look at."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from throughtime.errors import DataError
from throughtime.report import Section, Table
from throughtime.tasks.spans import span_scores
from throughtime.tasks.task import Evaluation, RawExample

# A table of all confusions is read by eye up to so many labels.
FEW_LABELS = 12
MOST_CONFUSIONS = 15
SHOWN_SEQUENCES = 12
SHOWN_STEPS = 60


def measure(
    truth: Sequence[Sequence[str | None] | None],
    predicted: Sequence[Sequence[str]],
    scheme: str | None = None,
) -> Evaluation:
    """Accuracy of steps and of whole sequences, and of labels that mark spans F1.

    Steps whose label is missing do not count, nor do sequences without any label.

    Args:
        truth: labels of each sequence, None where missing.
        predicted: as many labels.
        scheme: of labels that mark spans, see ``span_scheme``.

    Raises:
        DataError: there is no label.

    >>> measure([["a", None], ["b", "a"]], [["a", "b"], ["b", "b"]]).figures
    {'accuracy': 0.6666666666666666, 'sequence accuracy': 0.5}
    """
    pairs = [
        [(label, k) for label, k in zip(given or (), found, strict=True) if label]
        if given is not None
        else []
        for given, found in zip(truth, predicted, strict=True)
    ]
    pairs = [steps for steps in pairs if steps]
    if not pairs:
        raise DataError("no labels to compare with; give a file that has them")
    confusion = Counter(pair for steps in pairs for pair in steps)
    right = sum(n for (label, k), n in confusion.items() if label == k)
    whole = sum(all(label == k for label, k in steps) for steps in pairs)
    figures = {
        "accuracy": right / confusion.total(),
        "sequence accuracy": whole / len(pairs),
    }
    details: dict[str, Any] = {
        "predicted": [list(labels) for labels in predicted],
        "confusion": confusion,
        "labels": _per_label(confusion),
    }
    if scheme is not None:
        spans = span_scores(
            [[label for label, _ in steps] for steps in pairs],
            [[k for _, k in steps] for steps in pairs],
            scheme,
        )
        together = spans["all"]
        figures = {
            "F1": together["f1"],
            "precision": together["precision"],
            "recall": together["recall"],
        } | figures
        details["spans"] = spans
    return Evaluation(figures, details)


def _per_label(confusion: Counter[tuple[str, str]]) -> dict[str, dict[str, float]]:
    given, found = Counter[str](), Counter[str]()
    for (label, answer), n in confusion.items():
        given[label] += n
        found[answer] += n
    rows: dict[str, dict[str, float]] = {}
    for label in sorted(given.keys() | found.keys()):
        right = confusion[label, label]
        rows[label] = {
            "precision": right / found[label] if found[label] else 0.0,
            "recall": right / given[label] if given[label] else 0.0,
            "f1": 2 * right / (given[label] + found[label]),
            "count": float(given[label]),
        }
    return rows


def tag_sections(
    raw: Sequence[RawExample], evaluation: Evaluation, kind: str
) -> list[Section]:
    """Tables by label, what is confused, and sequences with their mistakes."""
    details = evaluation.details
    sections = []
    if "spans" in details:
        sections.append(
            Section(
                "Spans",
                "A span counts if its kind, its begin and its end are right.",
                table=_score_table("span", details["spans"]),
            )
        )
    sections.append(Section("Labels", table=_score_table("label", details["labels"])))
    sections.append(_confusions(details["confusion"]))
    sections.append(_shown(raw, details["predicted"], kind))
    return sections


def _score_table(what: str, rows: dict[str, dict[str, float]]) -> Table:
    order = sorted(rows, key=lambda name: -rows[name]["count"])
    return Table(
        (what, "precision", "recall", "F1", "number"),
        [
            (
                name,
                *(
                    f"{100 * rows[name][k]:.1f} %"
                    for k in ("precision", "recall", "f1")
                ),
                f"{rows[name]['count']:,.0f}",
            )
            for name in order
        ],
    )


def _confusions(confusion: Counter[tuple[str, str]]) -> Section:
    labels = sorted({label for pair in confusion for label in pair})
    title = "Which labels are taken for which"
    if len(labels) <= FEW_LABELS:
        return Section(
            title,
            "Rows: the right label. Columns: the answer.",
            table=Table(
                ("", *labels),
                [(a, *(f"{confusion[a, b]:,}" for b in labels)) for a in labels],
            ),
        )
    wrong = Counter({pair: n for pair, n in confusion.items() if pair[0] != pair[1]})
    return Section(
        title,
        "The most frequent mistakes.",
        table=Table(
            ("right label", "answer", "times"),
            [(a, b, f"{n:,}") for (a, b), n in wrong.most_common(MOST_CONFUSIONS)],
        ),
    )


def _shown(
    raw: Sequence[RawExample], predicted: Sequence[Sequence[str]], kind: str
) -> Section:
    """Sequences with a mistake first, from all over the file."""
    order = [i for i, e in enumerate(raw) if e.target and len(e.input)]
    wrong = [i for i in order if _mistakes(raw[i], predicted[i])]
    right = [i for i in order if not _mistakes(raw[i], predicted[i])]
    chosen = [
        *_spread(wrong, 2 * SHOWN_SEQUENCES // 3),
        *_spread(right, SHOWN_SEQUENCES),
    ]
    lines = [
        f"{raw[i].place}  {_marked(raw[i], predicted[i], kind)}"
        for i in sorted(chosen[:SHOWN_SEQUENCES])
    ]
    return Section(
        "Some held-out sequences",
        f"{len(wrong):,} of {len(order):,} sequences have a mistake somewhere. Where "
        "the answer is wrong, the right label stands behind it in [brackets].",
        sample="\n\n".join(lines),
    )


def _spread(indices: Sequence[int], count: int) -> list[int]:
    step = max(1, len(indices) // count)
    return list(indices[::step][:count])


def _mistakes(example: RawExample, answers: Sequence[str]) -> bool:
    pairs = zip(example.target, answers, strict=True)
    return any(label is not None and label != k for label, k in pairs)


def _marked(example: RawExample, answers: Sequence[str], kind: str) -> str:
    steps = []
    for t, (label, answer) in enumerate(zip(example.target, answers, strict=True)):
        mark = f"{answer}[{label}]" if label not in (None, answer) else answer
        # Outside of all spans is not worth a word.
        if kind == "words":
            mark = example.input[t] if mark == "O" else f"{example.input[t]}/{mark}"
        steps.append(mark)
    more = " ..." if len(steps) > SHOWN_STEPS else ""
    return " ".join(steps[:SHOWN_STEPS]) + more
