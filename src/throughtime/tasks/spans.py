"""Labels that mark spans, as B-person I-person O: what they allow, and how they score.

BIO (IOB2): begin, inside, outside. BIOES: also the end of a span and spans of a single
token (S). BILOU: the same with L for E and U for S.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

SCHEMES = {"BIO": set("BIO"), "BIOES": set("BIOES"), "BILOU": set("BILOU")}
LABEL = re.compile(r"O|[BIESLU]-.+")
_AS_BIOES = {"L": "E", "U": "S"}


def span_scheme(labels: Iterable[str]) -> str | None:
    """The scheme of labels that mark spans; None if they do not.

    >>> span_scheme(["O", "B-place", "I-place"]), span_scheme(["NOUN", "O"])
    ('BIO', None)
    """
    labels = set(labels)
    if not all(LABEL.fullmatch(label) for label in labels):
        return None
    letters = {label[0] for label in labels}
    if letters <= {"O"}:
        return None
    return next((name for name, of in SCHEMES.items() if letters <= of), None)


class Rules(NamedTuple):
    """What cannot be.

    pairs: labels (from, to) that do not follow each other.
    first: labels that no sequence begins with.
    last: labels that no sequence ends with.
    """

    pairs: set[tuple[str, str]]
    first: set[str]
    last: set[str]

    def but(self, sequences: Iterable[Sequence[str | None]]) -> "Rules":
        """Without what occurs in these labels, as files do not all keep to a scheme."""
        pairs, first, last = set(self.pairs), set(self.first), set(self.last)
        for labels in sequences:
            for pair in zip(labels, labels[1:], strict=False):
                pairs.discard(pair)
            if labels:
                first.discard(labels[0])
                last.discard(labels[-1])
        return Rules(pairs, first, last)


def span_rules(labels: Sequence[str], scheme: str) -> Rules:
    """The rules of a scheme.

    >>> rules = span_rules(["O", "B-a", "I-a", "I-b"], "BIO")
    >>> sorted(rules.pairs)[:3], sorted(rules.first), sorted(rules.last)
    ([('B-a', 'I-b'), ('I-a', 'I-b'), ('I-b', 'I-a')], ['I-a', 'I-b'], [])
    """
    parts = {label: _parts(label) for label in labels}
    # In BIO a span ends wherever nothing continues it.
    must_end = scheme != "BIO"
    pairs = {
        (left, right)
        for left in labels
        for right in labels
        if not _fits(parts[left], parts[right], must_end)
    }
    first = {label for label in labels if parts[label][0] in "IE"}
    last = {label for label in labels if must_end and parts[label][0] in "BI"}
    return Rules(pairs, first, last)


def _parts(label: str) -> tuple[str, str]:
    """Letter, of L and U that of BIOES, and kind of span."""
    letter = _AS_BIOES.get(label[0], label[0])
    return letter, label[2:]


def _fits(left: tuple[str, str], right: tuple[str, str], must_end: bool) -> bool:
    if right[0] in "IE":
        return left[0] in "BI" and left[1] == right[1]
    return not (must_end and left[0] in "BI")


def span_scores(
    truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str
) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and number of spans, of each kind and of ``all`` together.

    A span counts if its kind, its begin and its end are right. As the script conlleval
    does, a span may begin with I where none is open (seqeval).

    >>> truth, predicted = [["B-a", "I-a", "O", "B-b"]], [["B-a", "O", "O", "B-b"]]
    >>> span_scores(truth, predicted, "BIO")["all"]
    {'precision': 0.5, 'recall': 0.5, 'f1': 0.5, 'count': 2.0}
    """
    from seqeval.metrics import classification_report

    def translated(sequences: Sequence[Sequence[str]]) -> list[list[str]]:
        if scheme != "BILOU":
            return [list(labels) for labels in sequences]
        return [
            [_AS_BIOES.get(label[0], label[0]) + label[1:] for label in labels]
            for labels in sequences
        ]

    truth, predicted = translated(truth), translated(predicted)
    nothing = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "count": 0.0}
    if all(label == "O" for s in (*truth, *predicted) for label in s):
        return {"all": nothing}
    report: Any = classification_report(
        truth,
        predicted,
        output_dict=True,
        zero_division=0,  # pyright: ignore[reportArgumentType]
    )
    rows = {name: row for name, row in report.items() if not name.endswith(" avg")}
    return {
        name: {
            "precision": float(row["precision"]),
            "recall": float(row["recall"]),
            "f1": float(row["f1-score"]),
            "count": float(row["support"]),
        }
        for name, row in {"all": report["micro avg"], **rows}.items()
    }
