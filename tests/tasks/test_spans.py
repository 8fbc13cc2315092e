"""Labels that mark spans."""

from itertools import product

import pytest

from throughtime.tasks.spans import span_rules, span_scheme, span_scores


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [
        (["O", "B-a", "I-a"], "BIO"),
        (["I-a", "O"], "BIO"),
        (["O", "B-a", "I-a", "E-a", "S-b"], "BIOES"),
        (["O", "B-a", "L-a", "U-b"], "BILOU"),
        (["O", "B-a", "S-a", "U-a"], None),
        (["O"], None),
        (["B", "I", "O"], None),
        (["NOUN", "B-a"], None),
        ([], None),
    ],
)
def test_scheme(labels, scheme):
    assert span_scheme(labels) == scheme


def spans(labels):
    """What a strict reader finds, or None for labels that mark nothing sensible."""
    found, begin = [], None
    for i, label in enumerate([*labels, "O"]):
        letter, kind = label[0], label[2:]
        if begin is not None and (letter not in "IE" or kind != begin[1]):
            return None
        if letter in "IE" and begin is None:
            return None
        if letter == "B":
            begin = (i, kind)
        if letter == "E":
            found.append((*begin, i))
            begin = None
        if letter == "S":
            found.append((i, kind, i))
    return found


def test_rules_of_bioes_leave_exactly_what_can_be_read():
    """The truth: a strict reader on every sequence of three labels."""
    labels = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in "ab")]
    rules = span_rules(labels, "BIOES")
    for sequence in product(labels, repeat=3):
        pairs = set(zip(sequence, sequence[1:], strict=False))
        allowed = not (
            pairs & rules.pairs
            or sequence[0] in rules.first
            or sequence[-1] in rules.last
        )
        assert allowed == (spans(sequence) is not None), sequence
    swapped = {"E": "L", "S": "U"}
    others = [swapped.get(label[0], label[0]) + label[1:] for label in labels]
    as_bilou = span_rules(others, "BILOU")
    assert len(as_bilou.pairs) == len(rules.pairs)
    assert as_bilou.last == rules.last


def test_rules_of_bio():
    rules = span_rules(["O", "B-a", "I-a", "B-b", "I-b"], "BIO")
    assert rules.pairs == {
        *(("O", "I-a"), ("O", "I-b"), ("B-a", "I-b"), ("I-a", "I-b")),
        *(("B-b", "I-a"), ("I-b", "I-a")),
    }
    assert rules.first == {"I-a", "I-b"}
    assert rules.last == set()


def test_what_occurs_is_no_longer_forbidden():
    rules = span_rules(["O", "B-a", "I-a"], "BIO").but([["I-a"], [], ["B-a", None]])
    assert rules.first == set()
    assert rules.pairs == {("O", "I-a")}
    assert rules.but([["O", "I-a"]]).pairs == set()


def test_scores():
    """The truth: counted by hand."""
    truth = [["B-a", "I-a", "O"], ["B-b", "O", "B-a"], ["O", "O"]]
    predicted = [["B-a", "I-a", "O"], ["B-a", "O", "B-a"], ["B-b", "O"]]
    scores = span_scores(truth, predicted, "BIO")
    for name, precision, recall, f1, count in (
        ("all", 2 / 4, 2 / 3, 4 / 7, 3),
        ("a", 2 / 3, 2 / 2, 4 / 5, 2),
    ):
        want = {"precision": precision, "recall": recall, "f1": f1, "count": count}
        assert scores[name] == pytest.approx(want, abs=1e-12)
    assert scores["b"] == {"precision": 0, "recall": 0, "f1": 0, "count": 1}


def test_scores_of_other_schemes_are_those_of_the_same_spans():
    truth, predicted = ["B-a", "E-a", "S-b", "O"], ["B-a", "E-a", "O", "S-b"]
    as_bilou = [
        [{"E": "L", "S": "U"}.get(x[0], x[0]) + x[1:] for x in labels]
        for labels in (truth, predicted)
    ]
    found = span_scores([truth], [predicted], "BIOES")
    assert found["all"]["f1"] == 0.5
    assert span_scores([as_bilou[0]], [as_bilou[1]], "BILOU") == found


def test_no_spans_at_all():
    assert span_scores([["O", "O"], []], [["O", "O"], []], "BIO") == {
        "all": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "count": 0.0}
    }
    assert span_scores([["O", "O"]], [["O", "B-a"]], "BIO")["all"]["precision"] == 0
