"""What naive Bayes made of texts, for people."""

import json

from throughtime.models.naive_bayes import NaiveBayes
from throughtime.report import Report, render
from throughtime.tasks.bag_of_words import (
    explain_text,
    explanation_section,
    telling_words_section,
)

BAYES = NaiveBayes().fit(["sweet fun", "fun", "dull"], ["pos", "pos", "neg"])


def test_explanations():
    values = json.loads(json.dumps(BAYES.to_dict()))
    found = explain_text(values, "fun <b>, so dull")
    assert (
        found
        == explain_text(BAYES, "fun <b>, so dull")
        == BAYES.explain("fun <b>, so dull")
    )
    section = explanation_section(found, "fun <b>, so dull")
    assert "The answer is pos. Unknown, and so left out: b, so." in section.text
    assert section.table is not None
    assert [row[0] for row in section.table.rows] == [
        "log P(c)",
        "log P(dull | c)",
        "log P(fun | c)",
        "log P(c, d), the sum",
        "P(c | d)",
    ]
    page = render(Report("t", "o", [section, telling_words_section(BAYES)]))
    assert "fun &lt;b&gt;, so dull" in page


def test_telling_words():
    table = telling_words_section(BAYES, 2).table
    assert table is not None
    assert [label for label, _ in table.rows] == ["neg", "pos"]
    # By hand: P(dull | neg) = 2/4, P(dull | pos) = 1/6; ln 3 = 1.1.
    assert table.rows[0][1].startswith("dull (1.1), ")
    assert table.rows[1][1].startswith("fun (0.7), ")
