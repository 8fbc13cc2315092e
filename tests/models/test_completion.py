"""Next words against the table of the model itself, and against every spelling."""

from collections import defaultdict
from itertools import product

import numpy as np
import pytest
import torch

from tests.models.toy import Markov
from throughtime.data.vocabulary import build_vocabulary
from throughtime.errors import InvalidType, InvalidValue
from throughtime.models.completion import complete, split_prefix
from throughtime.models.ngram.model import NGramLM


class Pieces:
    """Tokens that are pieces of text, encoded greedily."""

    def __init__(self, tokens, unit, unknown=None, boundary=None):
        self.tokens, self.unit = tokens, unit
        self.unknown_index, self.boundary_index = unknown, boundary

    def encode(self, text):
        found = []
        while text:
            fitting = [t for t in self.tokens if text.startswith(t)]
            found.append(self.tokens.index(max(fitting, key=len)))
            text = text[len(self.tokens[found[-1]]) :]
        return torch.tensor(found, dtype=torch.long)

    def decode(self, indices):
        return "".join(self.tokens[i] for i in indices)


def table(size, ends, seed=0):
    """Random rows; the tokens ``ends`` have half of every row."""
    rows = np.random.default_rng(seed).random((size, size)) + 0.05
    others = [i for i in range(size) if i not in ends]
    rows[:, ends] *= 0.5 / rows[:, ends].sum(1, keepdims=True)
    rows[:, others] *= 0.5 / rows[:, others].sum(1, keepdims=True)
    return rows


def test_split_prefix():
    assert split_prefix("a b") == ("a ", "b")
    assert split_prefix("a b\n") == ("a b\n", "")
    assert split_prefix("") == ("", "")
    assert split_prefix("b") == ("", "b")


# ---- words

STORY = "students opened their books\nthey opened their windows\nstudents walked on\n"


@pytest.fixture(scope="module")
def words():
    vocabulary = build_vocabulary(STORY, "word")
    model = NGramLM(3, vocabulary_size=len(vocabulary))
    return model.fit(vocabulary.encode(STORY)), vocabulary


def row_after(model, vocabulary, prompt):
    tokens = [vocabulary.tokens.index(word) for word in prompt.split()]
    log_probs, _ = model.next_log_probs(
        torch.tensor(tokens)[:, None], model.initial_state(1)
    )
    return dict(zip(vocabulary.tokens, log_probs[-1, 0].exp().tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("students opened their ", "<eos> students opened their"),
        ("students walked on\n", "<eos> students walked on <eos>"),
        ("students walked on\n ", "<eos> students walked on <eos>"),
        ("", "<eos>"),
        ("they\nstudents ", "<eos> they <eos> students"),
    ],
)
def test_all_words_are_the_row_of_the_model(words, text, read):
    model, vocabulary = words
    row = row_after(model, vocabulary, read)
    given = complete(model, vocabulary, text, count=100)
    assert {s.text: s.probability for s in given} == pytest.approx(row, rel=1e-12)
    assert all(s.share == s.probability for s in given)
    assert sum(s.probability for s in given) == pytest.approx(1)
    probabilities = [s.probability for s in given]
    assert probabilities == sorted(probabilities, reverse=True)


def test_letters_given_choose_among_the_words(words):
    model, vocabulary = words
    row = row_after(model, vocabulary, "<eos> students opened their")
    given = complete(model, vocabulary, "students opened their w")
    assert [s.text for s in given] == ["windows", "walked"]
    assert [s.probability for s in given] == pytest.approx(
        [row["windows"], row["walked"]], rel=1e-12
    )
    mass = row["windows"] + row["walked"]
    assert [s.share for s in given] == pytest.approx(
        [row["windows"] / mass, row["walked"] / mass], rel=1e-12
    )


def test_a_whole_word_without_a_space_is_letters_given(words):
    given = complete(*words, "students opened the")
    assert {s.text for s in given} == {"their", "they"}
    assert [s.text for s in complete(*words, "students opened their")] == ["their"]
    assert complete(*words, "students opened x") == []


def test_count_keeps_the_likeliest(words):
    everything = complete(*words, "they ", count=100)
    assert complete(*words, "they ", count=2) == everything[:2]


def test_words_without_probability_are_left_out():
    vocabulary = Pieces(["a ", "b ", "c "], "word", boundary=0)
    model = Markov([[0.0, 0.75, 0.25]] * 3)
    given = complete(model, vocabulary, "")
    assert [(s.text, s.probability) for s in given] == [("b ", 0.75), ("c ", 0.25)]


# ---- characters

CHARACTERS = ["?", "\n", " ", "a", "b", "c"]


@pytest.fixture(scope="module")
def characters():
    rows = table(6, [1, 2])
    rows[:, 0] = 0.01
    return rows, Markov(rows), Pieces(CHARACTERS, "char", unknown=0, boundary=1)


def spelled(rows, last, longest=7):
    """P of every word of a, b, c behind the character ``last``, one by one."""
    words = {}
    for length in range(1, longest + 1):
        for word in product((3, 4, 5), repeat=length):
            path = [last, *word]
            p = np.prod(rows[path[:-1], path[1:]]) * (rows[path[-1], [1, 2]].sum())
            words["".join(CHARACTERS[i] for i in word)] = float(p)
    return words


@pytest.mark.parametrize(("text", "last"), [("", 1), ("ab ", 2), ("b\n", 1)])
def test_characters_against_every_word(characters, text, last):
    rows, model, vocabulary = characters
    every = spelled(rows, last)
    given = complete(model, vocabulary, text, count=12)
    best = sorted(every, key=lambda word: -every[word])[:12]
    assert [s.text for s in given] == best
    assert [s.probability for s in given] == pytest.approx([every[w] for w in best])
    assert all(s.share == s.probability for s in given)


def test_characters_that_are_given(characters):
    rows, model, vocabulary = characters
    every = spelled(rows, 2)
    fitting = {word: p for word, p in every.items() if word.startswith("cb")}
    given = complete(model, vocabulary, "a cb", count=8)
    best = sorted(fitting, key=lambda word: -fitting[word])[:8]
    assert [s.text for s in given] == best
    assert "cb" in best
    assert [s.probability for s in given] == pytest.approx([every[w] for w in best])
    # P("cb" | " "), whatever follows.
    letters = rows[2, 5] * rows[5, 4]
    assert [s.share for s in given] == pytest.approx([every[w] / letters for w in best])


def test_shares_of_all_words_add_up_to_what_ends_in_time(characters):
    # Words of one or two letters only: c ends a word.
    rows = [[0, 0.2, 0.2, 0.3, 0.0, 0.3]] * 5 + [[0, 0.5, 0.5, 0, 0, 0]]
    rows[3] = [0, 0.25, 0.25, 0, 0, 0.5]
    given = complete(Markov(rows), characters[2], "a a", count=5)
    assert [(s.text, s.share) for s in given] == [
        ("a", pytest.approx(0.5)),
        ("ac", pytest.approx(0.5)),
    ]
    assert [s.probability for s in given] == pytest.approx([0.15, 0.15])


# ---- subwords: one word has several spellings

SUBWORDS = ["\n", " ", " a", " b", "a", "b", "ab", "ba", " ab", "b a"]


def all_spellings(rows, last, required, longest):
    """P of the words behind `` required``, of what is required, by enumeration."""
    words, letters = defaultdict(float), 0.0
    paths = [((), last, 1.0)]
    for _ in range(longest):
        extended = []
        for path, at, p in paths:
            for i in range(len(SUBWORDS)):
                before = "".join(SUBWORDS[k] for k in path)
                text, q = before + SUBWORDS[i], p * rows[at, i]
                first = len(before) < len(required)
                if not (text.startswith(required) or required.startswith(text)):
                    continue
                if first and text.startswith(required):
                    letters += q
                tail = text[1:]
                if tail[:1].isspace():
                    continue
                if tail.split(" ")[0].split("\n")[0] != tail:
                    words[tail.split()[0]] += q
                else:
                    extended.append(((*path, i), i, q))
        paths = extended
    return words, letters


@pytest.mark.parametrize("letters", ["", "b", "ab"])
def test_subwords_sum_over_spellings(letters):
    rows = table(len(SUBWORDS), [0, 1, 2, 3])
    vocabulary = Pieces(SUBWORDS, "bpe", boundary=0)
    every, mass = all_spellings(rows, 6, " " + letters, 5)
    starts_with_space = [i for i, text in enumerate(SUBWORDS) if text[0] == " "]
    lead = rows[6, starts_with_space].sum()
    # A beam that holds all spellings, and words enough that none is given up.
    given = complete(
        Markov(rows),
        vocabulary,
        "ab " + letters,
        count=10_000,
        beam_size=20_000,
        longest=5,
    )
    assert len(given) == len(every)
    for suggestion in given:
        p = every[suggestion.text]
        assert suggestion.probability == pytest.approx(p / lead, rel=1e-12)
        assert suggestion.share == pytest.approx(p / mass, rel=1e-12)


def test_real_subwords_complete_words():
    text = STORY * 20 + "öl über öl\n" * 20
    vocabulary = build_vocabulary(text, "bpe", size=290)
    model = NGramLM(6, vocabulary_size=len(vocabulary)).fit(vocabulary.encode(text))
    given = complete(model, vocabulary, "students opened their w", count=3)
    assert given[0].text == "windows"
    assert given[0].share > 0.5
    assert complete(model, vocabulary, "öl ", count=1)[0].text == "über"
    assert complete(model, vocabulary, "öl ü", count=1)[0].text == "über"
    for text in ("", "students ", "öl"):
        assert sum(s.share for s in complete(model, vocabulary, text, count=50)) < 1.001


def test_real_characters_complete_words():
    vocabulary = build_vocabulary(STORY)
    tokens = vocabulary.encode(STORY * 5)
    model = NGramLM(7, vocabulary_size=len(vocabulary)).fit(tokens)
    given = complete(model, vocabulary, "students opened their ", count=2)
    assert {s.text for s in given} == {"books", "windows"}
    assert complete(model, vocabulary, "students open", count=1)[0].text == "opened"


# ---- bad input


def test_bad_input(words, characters):
    model, vocabulary = words
    with pytest.raises(InvalidValue, match="count must be greater than zero"):
        complete(model, vocabulary, "a", count=0)
    with pytest.raises(InvalidType, match="beam_size"):
        complete(model, vocabulary, "a", beam_size=1.5)
    with pytest.raises(InvalidValue, match="vocabulary has 6 tokens and the model 10"):
        complete(model, characters[2], "a")
    with pytest.raises(InvalidValue, match="text is empty"):
        complete(characters[1], Pieces(CHARACTERS, "char"), "")
    with pytest.raises(InvalidValue, match="NaN"):
        complete(Markov(np.full((6, 6), np.nan)), characters[2], "a")
    with pytest.raises(InvalidValue, match="NaN"):
        complete(Markov(np.full((6, 6), np.nan)), Pieces(CHARACTERS, "word"), "a b")
