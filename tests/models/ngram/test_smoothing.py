"""Every smoothing: its slow definition, sums of 1, nltk, and Penn Treebank."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.ngram.slow import SIZE, UNEVEN, Slow
from throughtime.errors import InvalidType, InvalidValue
from throughtime.models import NGramLM
from throughtime.models.ngram.counts import count_ngrams
from throughtime.models.ngram.lower_orders import totals
from throughtime.models.ngram.smoothing import SMOOTHINGS, make_estimator

OPTIONS = {
    "maximum-likelihood": {},
    "additive": {"delta": 0.3},
    "interpolation": {"weights": None},
    "katz": {"k": 5},
    "stupid-backoff": {"alpha": 0.4},
    "absolute": {},
    "witten-bell": {},
    "kneser-ney-single": {},
    "kneser-ney": {},
}
HISTORIES = [
    [0],
    [3],
    [3, 0, 1],
    UNEVEN[40:45],
    UNEVEN[-4:],
    [11, 11, 11],
    [0, 0, 7, 2, 0],
    [1, 12, 2],
]


def options_of(name, order):
    if name != "interpolation":
        return OPTIONS[name]
    return {"weights": tuple([0.9 / order] * order + [0.1])}


def test_every_smoothing_is_tested():
    assert set(OPTIONS) == set(SMOOTHINGS)


def next_log_probs(model, history):
    tokens = torch.tensor(history).unsqueeze(1)
    return model.next_log_probs(tokens, model.initial_state(1))[0][-1, 0]


@pytest.mark.parametrize("boundary", [None, 0])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("name", OPTIONS)
def test_equals_its_slow_definition(name, order, boundary):
    options = options_of(name, order)
    model = NGramLM(order, vocabulary_size=SIZE, smoothing=name, **options)
    model.fit(torch.tensor(UNEVEN), boundary=boundary)
    slow = Slow(UNEVEN, order, SIZE, boundary)
    for history in HISTORIES:
        given_ = next_log_probs(model, history).exp().tolist()
        assert given_ == pytest.approx(slow(name, history, **options), abs=1e-12)


@pytest.mark.parametrize("name", ["absolute", "kneser-ney-single"])
def test_a_given_discount(name):
    model = NGramLM(3, vocabulary_size=SIZE, smoothing=name, discount=0.1)
    model.fit(torch.tensor(UNEVEN))
    slow = Slow(UNEVEN, 3, SIZE)
    for history in HISTORIES:
        given_ = next_log_probs(model, history).exp().tolist()
        assert given_ == pytest.approx(slow(name, history, discount=0.1), abs=1e-12)


# Small texts are degenerate: they lack counts of 1, 2, 3 or 4 at some order, have
# contexts that every token follows, and lines that are empty.
texts = st.lists(st.integers(0, 3), min_size=1, max_size=60)


@settings(max_examples=30, deadline=None)
@given(texts, texts, st.integers(1, 4), st.sampled_from([None, 0]), st.integers(4, 5))
@pytest.mark.parametrize("name", OPTIONS)
def test_sums_to_one_and_agrees_with_scores(name, text, other, order, boundary, size):
    text, other = torch.tensor(text), torch.tensor(other)
    options = {"weights": None} if name == "interpolation" else OPTIONS[name]
    model = NGramLM(order, vocabulary_size=size, smoothing=name, **options)
    model.fit(
        text,
        boundary=boundary,
        held_out=other if name == "interpolation" else None,
    )
    log_probs, _ = model.next_log_probs(other[:, None], model.initial_state(1))
    ones = torch.ones(len(other), 1, dtype=torch.float64)
    torch.testing.assert_close(log_probs.exp().sum(-1), ones, rtol=0, atol=1e-9)
    picked = log_probs[:-1, 0].gather(-1, other[1:, None])[:, 0]
    torch.testing.assert_close(model.score(other), picked, rtol=1e-12, atol=1e-12)
    for total in totals(model.levels):
        np.testing.assert_allclose(total, 1, rtol=0, atol=1e-9)
    possible = bool(torch.isfinite(log_probs).all())
    assert possible or name == "maximum-likelihood"


def test_zero_probabilities_are_counted():
    model = NGramLM(2, vocabulary_size=3, smoothing="maximum-likelihood")
    model.fit(torch.tensor([0, 1, 0, 1, 1]))
    # After 0 only 1 follows, and 2 never occurs; nothing follows 2, so that the
    # unigrams 2/5, 3/5, 0 take its place.
    text = torch.tensor([0, 1, 0, 0, 2, 1])
    want = [1, 1 / 2, 0, 0, 3 / 5]
    assert model.score(text).exp().tolist() == pytest.approx(want, abs=1e-15)
    assert model.zeros(text) == 2
    assert math.exp(-model.score(text).mean()) == math.inf
    assert model.zeros(torch.tensor([0, 1, 0])) == 0


def test_errors():
    with pytest.raises(InvalidValue, match="unknown smoothing 'kn': known are maximum"):
        make_estimator("kn")
    with pytest.raises(
        InvalidValue, match=r"'additive' has no option .*: it has delta"
    ):
        make_estimator("additive", alpha=1)
    with pytest.raises(InvalidValue, match="no option 'delta': it has none"):
        make_estimator("witten-bell", delta=1)
    for delta in (0, -1.0, math.nan):
        with pytest.raises(InvalidValue, match="delta should be .* in range \\(0, inf"):
            make_estimator("additive", delta=delta)
    with pytest.raises(InvalidType, match="delta should be a number, got: str"):
        make_estimator("additive", delta="1")
    for name, option in (("absolute", "discount"), ("stupid-backoff", "alpha")):
        with pytest.raises(InvalidValue, match=f"{option} should be .* got 1.5"):
            make_estimator(name, **{option: 1.5})
    with pytest.raises(InvalidValue, match="k must be greater than zero"):
        make_estimator("katz", k=0)


# ---- nltk

CORPUS = """
the cat sat on the mat the dog sat on the log the cat saw the dog and the dog saw
the cat on the mat and the log sat on the dog
"""
WORDS = CORPUS.split()


def nltk_model(name, **options):
    """A model of nltk over one stream, and the same tokens as numbers."""
    lm = pytest.importorskip("nltk.lm")
    from nltk.util import everygrams

    model = getattr(lm, name)(order=3, **options)
    model.fit([list(everygrams(WORDS, max_len=3))], vocabulary_text=WORDS)
    words = sorted(set(WORDS))
    return model, words, torch.tensor([words.index(word) for word in WORDS])


@pytest.mark.parametrize("delta", [None, 1.0, 0.01])
def test_agrees_with_nltk_on_counts(delta):
    if delta is None:
        theirs, words, tokens = nltk_model("MLE")
        name, options = "maximum-likelihood", {}
    else:
        theirs, words, tokens = nltk_model("Lidstone", gamma=delta)
        name, options = "additive", {"delta": delta}
    # Their vocabulary has one token more, for the unknown.
    size = len(words) + 1
    ours = NGramLM(3, vocabulary_size=size, smoothing=name, **options).fit(tokens)
    for i in range(2, len(WORDS)):
        p = next_log_probs(ours, tokens[i - 2 : i].tolist()).exp()
        want = [theirs.score(word, WORDS[i - 2 : i]) for word in words]
        assert p[:-1].tolist() == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize(
    ("theirs", "given_", "name", "options"),
    [
        (
            "KneserNeyInterpolated",
            {"discount": 0.1},
            "kneser-ney-single",
            {"discount": 0.1},
        ),
        (
            "KneserNeyInterpolated",
            {"discount": 0.75},
            "kneser-ney-single",
            {"discount": 0.75},
        ),
        (
            "AbsoluteDiscountingInterpolated",
            {"discount": 0.75},
            "absolute",
            {"discount": 0.75},
        ),
        ("WittenBellInterpolated", {}, "witten-bell", {}),
    ],
)
def test_agrees_with_nltk_on_interpolation(theirs, given_, name, options):
    """Theirs stops at unigrams: they are not mixed with the uniform distribution.

    So in seen contexts the difference is γ(u) γ(u') (P(w) - P_nltk(w)), where γ are the
    weights of the lower orders; with it taken away, the two are equal.
    """
    theirs, words, tokens = nltk_model(theirs, **given_)
    model = NGramLM(3, vocabulary_size=len(words), smoothing=name, **options)
    levels = model.fit(tokens).levels
    unigrams = np.array([theirs.score(word) for word in words])
    for i in range(2, len(WORDS)):
        p = next_log_probs(model, tokens[i - 2 : i].tolist()).exp().numpy()
        first, second = tokens[i - 2 : i].tolist()
        followers = slice(levels[1].starts[first], levels[1].starts[first + 1])
        pair = followers.start + levels[1].words[followers].tolist().index(second)
        log_weight = levels[0].log_backoff[second] + levels[1].log_backoff[pair]
        more = np.exp(log_weight) * (np.exp(levels[0].log_p) - unigrams)
        want = [theirs.score(word, WORDS[i - 2 : i]) for word in words]
        assert (p - more).tolist() == pytest.approx(want, abs=1e-12)
        # Discounts give back to each token what they take, where all V were seen.
        assert (np.abs(more).max() > 1e-6) == (name == "witten-bell")


# ---- Penn Treebank

# Counted independently with dictionaries, lines independent: 639.8; 824, 377, 274, 314;
# 3307.9, 1671.7, 1039.7, 989.6; Kneser-Ney bigrams 185.7 and 186.8. Trigrams and longer
# with one boundary before each line, as here; with n - 1 of them: 148.9, 144.8, 145.5.
# Good-Turing: 165.2 and 162.3 (Mikolov's thesis, table 4.1), longer n-grams that occur
# once left out.
LINES = [
    (1, "additive", {}, 639.79),
    (2, "additive", {"delta": 1}, 824.03),
    (2, "additive", {"delta": 0.01}, 274.27),
    (3, "additive", {"delta": 1}, 3307.92),
    (3, "additive", {"delta": 0.001}, 989.63),
    (2, "kneser-ney", {}, 185.70),
    (2, "kneser-ney-single", {}, 186.80),
]


@pytest.mark.parametrize(("order", "name", "options", "counted"), LINES)
def test_penn_treebank_lines(penn_treebank, order, name, options, counted):
    size, end, train, test = penn_treebank
    model = NGramLM(order, vocabulary_size=size, smoothing=name, **options)
    model.fit(train, boundary=end)
    nats = -model.score(np.concatenate([[end], test])).mean().item()
    assert math.exp(nats) == pytest.approx(counted, abs=0.01)


@pytest.mark.parametrize(("order", "published"), [(3, 165.2), (5, 162.3)])
def test_penn_treebank_good_turing(penn_treebank, order, published):
    size, end, train, test = penn_treebank
    model = NGramLM(order, vocabulary_size=size, smoothing="katz")
    model.fit(train, prune=(1, 1, 2))
    nats = -model.score(np.concatenate([[end], test])).mean().item()
    assert math.exp(nats) == pytest.approx(published, rel=0.001)


def test_penn_treebank_sums_to_one_in_1000_contexts(penn_treebank):
    size, _, train, test = penn_treebank
    counts = count_ngrams(train, 3, size)
    # Columns of test text (mostly seen) and of random tokens (mostly not); after the
    # first row only one token was read.
    rng = np.random.default_rng(0)
    seen = test[:500].reshape(100, 5).T
    history = torch.from_numpy(np.hstack([seen, rng.integers(0, size, (5, 100))]))
    for name in SMOOTHINGS:
        options = {"weights": (0.5, 0.3, 0.2)} if name == "interpolation" else {}
        levels = make_estimator(name, **options).levels(counts)
        model = NGramLM.from_levels(levels, smoothing=name, **options)
        log_probs, _ = model.next_log_probs(history, model.initial_state(200))
        total = log_probs.exp_().sum(-1)
        assert total.numel() == 1000
        torch.testing.assert_close(
            total, torch.ones_like(total), rtol=0, atol=1e-9, msg=name
        )
