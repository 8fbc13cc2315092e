"""BLEU against its formula, and what is said of texts that are too short for it."""

import math

import pytest

from throughtime.errors import DataError, InvalidValue
from throughtime.tasks.text_scores import bleu_name, text_scores


def test_bleu_by_hand():
    """The cat sat on the mat: precisions 5/6, 3/5, 2/4, 1/3, and no brevity penalty."""
    scores = text_scores(["the cat sat on a mat"], [["the cat sat on the mat"]])
    want = 100 * math.prod((5 / 6, 3 / 5, 2 / 4, 1 / 3)) ** 0.25
    assert scores["BLEU (13a)"] == pytest.approx(want, rel=1e-12)
    assert scores["exact %"] == 0
    assert list(scores) == ["BLEU (13a)", "chrF", "exact %"]


def test_brevity():
    """Five right words of six: all precisions 1, penalty exp(1 - 6/5)."""
    scores = text_scores(["a b c d e"], [["a b c d e f"]], tokenise="none")
    assert scores[bleu_name("none")] == pytest.approx(100 * math.exp(-0.2))


def test_any_reference_is_right():
    """Some answers have more of them than others."""
    answers = ["a b c d", "e f g h"]
    scores = text_scores(answers, [["x y", "a b c d"], ["e f g h"]], tokenise="none")
    assert scores[bleu_name("none")] == pytest.approx(100)
    assert scores["exact %"] == 100


def test_small_letters():
    texts = (["So Good IT Is"], [["so good it is"]])
    assert text_scores(*texts)["exact %"] == 0
    folded = text_scores(*texts, lowercase=True)
    assert folded["BLEU (13a)"] == pytest.approx(100)
    assert folded["exact %"] == 100


def test_texts_too_short_for_bleu():
    assert list(text_scores(["abc"], [["abc"]])) == ["chrF", "exact %"]
    by_character = text_scores(["abcd"], [["abcd"]], tokenise="char")
    assert by_character["BLEU (char)"] == pytest.approx(100)


def test_bad_arguments():
    with pytest.raises(InvalidValue, match="unknown way to tokenise 'words'"):
        text_scores(["a"], [["a"]], tokenise="words")
    with pytest.raises(InvalidValue, match="got 1 and 2"):
        text_scores(["a"], [["a"], ["b"]])
    with pytest.raises(DataError, match="no answers"):
        text_scores([], [])
