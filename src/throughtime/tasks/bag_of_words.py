"""What naive Bayes made of texts: its most telling words, and one answer in full."""

from collections.abc import Mapping
from typing import Any

from throughtime.models.naive_bayes import Explanation, NaiveBayes
from throughtime.report import Section, Table

SHOWN = 12


def explain_text(bayes: NaiveBayes | Mapping[str, Any], text: str) -> Explanation:
    """All the arithmetic of the answer to one text.

    Args:
        bayes: the model, or what its ``to_dict`` wrote.
        text: any text.

    >>> bayes = NaiveBayes().fit(["good fun", "dull"], ["pos", "neg"])
    >>> explanation = explain_text(bayes.to_dict(), "fun")
    >>> explanation.label, [f"{p:.3f}" for p in explanation.posteriors]
    ('pos', ['0.385', '0.615'])
    """
    if not isinstance(bayes, NaiveBayes):
        bayes = NaiveBayes.from_dict(bayes)
    return bayes.explain(text)


def explanation_section(explanation: Explanation, text: str) -> Section:
    """The sum as a section of a report."""
    header, *rows = explanation.rows()
    unknown = ", ".join(explanation.unknown)
    note = f" Unknown, and so left out: {unknown}." if unknown else ""
    return Section(
        "Naive Bayes, step by step",
        "log P(c, d) = log P(c) + Σ count(w) log P(w | c), and P(c | d) is its share "
        f"among the classes. The answer is {explanation.label}.{note}",
        table=Table(header, rows, text),
    )


def telling_words_section(bayes: NaiveBayes, count: int = SHOWN) -> Section:
    """The words that speak most for each class, as a section of a report."""
    rows = [
        (
            label,
            ", ".join(f"{w} ({o:.1f})" for w, o in bayes.telling_words(label, count)),
        )
        for label in bayes.labels
    ]
    return Section(
        "Most telling words",
        "By naive Bayes on bags of words: with log P(word | class) - log P(word | "
        "other classes) behind each.",
        table=Table(("class", "words"), rows),
    )
