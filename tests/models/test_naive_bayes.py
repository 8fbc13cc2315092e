"""Naive Bayes against its own sums, and published figures."""

import json
import math
import random

import numpy as np
import pytest

from throughtime.data.files import read_encoded
from throughtime.data.order_pairs import order_pairs
from throughtime.data.tables import read_table
from throughtime.errors import DataError, InvalidShape, InvalidType, InvalidValue
from throughtime.models.naive_bayes import NaiveBayes

# The review of Jurafsky and Martin, Speech and Language Processing, chapter on naive
# Bayes, whose bag of words they count.
REVIEW = (
    "I love this movie! It's sweet, but with satirical humor. The dialogue is great "
    "and the adventure scenes are fun... It manages to be whimsical and romantic while "
    "laughing at the conventions of the fairy tale genre. I would recommend it to just "
    "about anyone. I've seen it several times, and I'm always happy to see it again "
    "whenever I have a friend who hasn't seen it yet!"
)
# Their worked example: two positive and three negative reviews.
WORKED = (
    ("just plain boring", "-"),
    ("entirely predictable and lacks energy", "-"),
    ("no surprises and very few laughs", "-"),
    ("very powerful", "+"),
    ("the most fun film of the summer", "+"),
)


def fitted(examples=WORKED, **options) -> NaiveBayes:
    texts, labels = zip(*examples, strict=True)
    return NaiveBayes(**options).fit(texts, labels)


def test_counts_of_the_review():
    """The truth: the published bag of words."""
    counts = NaiveBayes().counts(REVIEW)
    published = {"it": 6, "i": 5, "the": 4, "to": 3, "and": 3, "seen": 2}
    assert {word: counts[word] for word in published} == published
    once = ("yet", "would", "whimsical", "times", "sweet", "satirical", "adventure")
    assert {counts[word] for word in once} == {1}


def test_counts_by_other_rules():
    text = "It's 2 good_ones"
    assert list(NaiveBayes(tokens="spaces").counts(text)) == ["it's", "2", "good_ones"]
    assert list(NaiveBayes(tokens="words").counts(text)) == [
        "it",
        "s",
        "2",
        "good_ones",
    ]
    assert list(NaiveBayes(lowercase=False).counts("It it")) == ["It", "it"]
    assert list(NaiveBayes(tokens=r"[a-z']+").counts(text)) == ["it's", "good", "ones"]
    both = NaiveBayes(ngrams=(1, 2)).counts("so so good")
    assert both == {"so": 2, "good": 1, "so so": 1, "so good": 1}


def test_the_worked_example():
    """The truth: the published products 6.1e-5 and 3.2e-5 (cut), and those by hand."""
    bayes = fitted()
    assert bayes.labels == ("+", "-")
    joint = np.exp(bayes.log_joint(["predictable with no fun"])[0])
    want = [2 / 5 * 1 * 1 * 2 / 29**3, 3 / 5 * 2 * 2 * 1 / 34**3]
    np.testing.assert_allclose(joint, want, rtol=1e-12)
    assert [f"{value:.1e}" for value in joint] == ["3.3e-05", "6.1e-05"]
    assert bayes.predict(["predictable with no fun"]) == ["-"]


def brute_force(examples, alpha, text):
    """P(c | d) by the formulas, with words between white space."""
    vocabulary = {word for line, _ in examples for word in line.split()}
    joint = {}
    for label in sorted({label for _, label in examples}):
        own = [line for line, other in examples if other == label]
        words = " ".join(own).split()
        joint[label] = len(own) / len(examples)
        for word in text.split():
            if word in vocabulary:
                count = words.count(word) + alpha
                joint[label] *= count / (len(words) + alpha * len(vocabulary))
    return [joint[label] / sum(joint.values()) for label in joint]


@pytest.mark.parametrize("alpha", [0.1, 1.0, 2.5])
def test_posteriors(alpha):
    examples = [*WORKED, ("a film", "0"), ("a film of no energy", "0")]
    text = "no fun no film of new energy"
    bayes = fitted(examples, alpha=alpha, tokens="spaces")
    got = np.exp(bayes.log_posterior([text, ""]))
    np.testing.assert_allclose(got[0], brute_force(examples, alpha, text), rtol=1e-12)
    np.testing.assert_allclose(got[1], [2 / 7, 3 / 7, 2 / 7], rtol=1e-12)


def test_the_sum_of_an_explanation():
    bayes = fitted()
    text = "no fun, no energy; new"
    found = bayes.explain(text)
    assert found.unknown == ("new",)
    assert {t.word: t.count for t in found.terms} == {"no": 2, "fun": 1, "energy": 1}
    for i in range(2):
        summands = [t.count * t.log_likelihoods[i] for t in found.terms]
        assert found.log_priors[i] + sum(summands) == pytest.approx(found.log_joints[i])
    np.testing.assert_allclose(found.log_joints, bayes.log_joint([text])[0])
    np.testing.assert_allclose(
        found.posteriors, np.exp(bayes.log_posterior([text])[0]), rtol=1e-12
    )
    assert sum(found.posteriors) == pytest.approx(1.0, abs=1e-12)
    assert found.label == bayes.predict([text])[0]
    # Those first that tell most: "no" twice by ln(2/34 / (1/29)).
    spread = [
        t.count * abs(t.log_likelihoods[0] - t.log_likelihoods[1]) for t in found.terms
    ]
    assert spread == sorted(spread, reverse=True)
    rows = found.rows()
    assert rows[0] == ("", "+", "-")
    assert rows[1] == ("log P(c)", f"{math.log(0.4):.4f}", f"{math.log(0.6):.4f}")
    assert {len(row) for row in rows} == {3}
    assert "2 × log P(no | c)" in str(found)
    assert str(found).endswith("unknown, so left out: new\nanswer: -")
    assert json.loads(json.dumps(found.to_dict()))["label"] == "-"


def test_a_long_text_does_not_underflow():
    """The product of these probabilities is 0 in float64."""
    bayes = fitted()
    found = bayes.explain("fun " * 2000)
    assert math.exp(found.log_joints[0]) == 0
    assert found.label == "+"
    assert found.posteriors[0] == pytest.approx(1.0)


def test_selected_words():
    """Only these count, in this order: the probabilities are shares among them."""
    bayes = fitted(vocabulary=["fun", "Boring", "and"])
    assert bayes.words == ("fun", "boring", "and")
    want = np.log([[2 / 4, 1 / 4, 1 / 4], [1 / 6, 2 / 6, 3 / 6]])
    np.testing.assert_allclose(bayes.log_likelihoods, want, rtol=1e-12)
    assert bayes.explain("boring film").unknown == ("film",)


def test_telling_words():
    """The truth: with two classes, the difference of their logarithms."""
    bayes = fitted()
    for label, sign in (("+", 1), ("-", -1)):
        found = bayes.telling_words(label, 3)
        odds = sign * (bayes.log_likelihoods[0] - bayes.log_likelihoods[1])
        np.testing.assert_allclose([o for _, o in found], np.sort(odds)[::-1][:3])
    assert bayes.telling_words("+", 1) == [
        ("the", pytest.approx(math.log(3 * 34 / 29)))
    ]
    assert len(bayes.telling_words("-", 1000)) == len(bayes.words) == 20
    three = fitted([("a", "x"), ("b", "y"), ("b", "y"), ("c", "z")])
    (word, odds), *_ = three.telling_words("x", 1)
    rest = 2 / 3 * (1 / 5) + 1 / 3 * (1 / 4)
    assert (word, odds) == ("a", pytest.approx(math.log(2 / 4 / rest)))


@pytest.mark.parametrize("options", [{}, {"ngrams": (1, 2), "lowercase": False}])
def test_saved_and_restored(options):
    bayes = fitted(**options)
    values = json.loads(json.dumps(bayes.to_dict()))
    restored = NaiveBayes.from_dict(values)
    texts = ["no FUN", "fun film", "", "very few laughs, very predictable"]
    assert (restored.log_joint(texts) == bayes.log_joint(texts)).all()
    assert restored.explain(texts[3]) == bayes.explain(texts[3])
    assert restored.to_dict() == bayes.to_dict()
    for damage in ({"words": ["a"]}, {"labels": None}, {"log_priors": [0.0]}):
        with pytest.raises(DataError, match="no naive Bayes model, or damaged"):
            NaiveBayes.from_dict({**values, **damage})


def test_a_bag_cannot_tell_the_order():
    """Members of a pair hold the same words: exactly one of two is right."""
    texts = order_pairs(300, seed=5)
    bayes = fitted([(t.text, t.label) for t in texts[:400]], ngrams=(1, 1))
    answers = bayes.predict([t.text for t in texts[400:]])
    right = [a == t.label for a, t in zip(answers, texts[400:], strict=True)]
    assert sum(right) == 100
    assert len(right) == 200


def test_bad_input():
    with pytest.raises(DataError, match="all 2 texts have the same label"):
        NaiveBayes().fit(["a", "b"], ["x", "x"])
    with pytest.raises(DataError, match="no word by the rule"):
        NaiveBayes().fit(["1", "2 3"], ["x", "y"])
    with pytest.raises(InvalidShape, match="2 texts have 1 labels"):
        NaiveBayes().fit(["a", "b"], ["x"])
    with pytest.raises(InvalidValue, match="call fit first"):
        NaiveBayes().predict(["a"])
    with pytest.raises(InvalidValue, match=r"unknown label '0': known are \+, -"):
        fitted().telling_words("0")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"alpha": 0}, InvalidValue, "alpha"),
        ({"alpha": "1"}, InvalidType, "alpha"),
        ({"ngrams": (2, 1)}, InvalidValue, "shortest and the longest"),
        ({"ngrams": (0, 1)}, InvalidValue, "greater than zero"),
        ({"tokens": "lettres"}, InvalidValue, "known are letters, words, spaces"),
        ({"tokens": "["}, InvalidValue, "unknown rule of tokens"),
        ({"vocabulary": []}, InvalidValue, "vocabulary must hold words"),
        ({"vocabulary": ["a", "A"]}, InvalidValue, "each only once"),
        ({"lowercase": 1}, InvalidType, "lowercase"),
    ],
)
def test_wrong_options(options, error, says):
    with pytest.raises(error, match=says):
        NaiveBayes(**options)


def test_sst2(data_folder):
    """Published for whole sentences: 81.8 (Socher et al., 2013)."""
    parts = {
        name: read_table(data_folder / "sst2" / f"{name}.tsv", header=False)
        for name in ("train", "test")
    }
    train, test = (
        [(row[0] or "", row[1] or "") for row in parts[name].rows]
        for name in ("train", "test")
    )
    bayes = fitted(train)
    right = [
        a == b
        for a, (_, b) in zip(bayes.predict([t for t, _ in test]), test, strict=True)
    ]
    assert np.mean(right) == pytest.approx(0.818, abs=0.007)
    telling = [word for word, _ in bayes.telling_words("0", 30)]
    assert {"worst", "stupid", "dull"} & set(telling)


@pytest.mark.parametrize(
    ("ngrams", "published"), [((1, 1), 0.778), ((1, 2), 0.788)], ids=["uni", "bi"]
)
def test_movie_reviews(data_folder, ngrams, published):
    """Published in ten folds: 77.9 and 79.0 (Wang and Manning, 2012), here two of them.

    A fold has 1,066 sentences, so two have a standard error of 0.9 %.
    """
    examples = [
        (line, label)
        for label in ("pos", "neg")
        for line in read_encoded(
            data_folder / "rt-polarity" / f"rt-polarity.{label}", "latin-1"
        ).split("\n")
        if line.strip()
    ]
    assert len(examples) == 10662
    random.Random(0).shuffle(examples)
    right = []
    for fold in range(2):
        test = examples[fold::10]
        train = [e for i, e in enumerate(examples) if i % 10 != fold]
        answers = fitted(train, ngrams=ngrams).predict([text for text, _ in test])
        right += [a == b for a, (_, b) in zip(answers, test, strict=True)]
    assert np.mean(right) == pytest.approx(published, abs=0.027)
