"""ARPA files: kenlm reads ours, we read its own, and every fault has its line."""

import numpy as np
import pytest
import torch

from throughtime.errors import DataError, InvalidType, InvalidValue
from throughtime.models.ngram.arpa import write_arpa
from throughtime.models.ngram.arpa_reading import read_arpa
from throughtime.models.ngram.model import NGramLM
from throughtime.models.ngram.tables import Level, score

# V = 3; b(b) = 0.4 and p(c | a c) = 0: every number can be read off the file below.
LEVELS = [
    Level(
        np.arange(3),
        np.array([0, 3]),
        np.log([0.5, 0.3, 0.2]),
        np.log([0.5, 0.4, 1.0]),
    ),
    Level(np.array([1, 2]), np.array([0, 2, 2, 2]), np.array([np.log(0.6), -np.inf])),
]
WRITTEN = """\\data\\
ngram 1=6
ngram 2=2

\\1-grams:
-99	<unk>
-99	</s>
-99	<s>
-0.3010300	a	-0.3010300
-0.5228787	b	-0.3979400
-0.6989700	c

\\2-grams:
-0.2218487	a b
-99.0000000	a c

\\end\\
"""
WORDS = ["the", "<unk>", "<eos>", "a", "zebra", "ünïcode", "x"]
END = 2


def text(length=3000, seed=0):
    """Words that depend on the one before, line ends among them."""
    rng = np.random.default_rng(seed)
    tokens = [END]
    for _ in range(length):
        # Half the time one of two followers.
        follower = (3 * tokens[-1] + rng.integers(2)) % len(WORDS)
        tokens.append(int(rng.choice([follower, rng.integers(len(WORDS))])))
    return np.array(tokens[1:])


def fitted(boundary=None, order=4):
    model = NGramLM(order, vocabulary_size=len(WORDS))
    return model.fit(torch.from_numpy(text()), boundary=boundary)


def encoded(words, tokens):
    index = {token: i for i, token in enumerate(tokens)}
    return np.array([index.get(word, index.get("<unk>", -1)) for word in words])


def stream_scores(model, words):
    """log10 P of each of the words in one stream, by kenlm."""
    kenlm = pytest.importorskip("kenlm")
    state, out = kenlm.State(), kenlm.State()
    model.NullContextWrite(state)
    values = []
    for word in words:
        values.append(model.BaseScore(state, word, out))
        state, out = out, state
    return np.array(values)


def test_file_is_what_the_format_says(tmp_path):
    write_arpa(tmp_path / "a.arpa", LEVELS, ["a", "b", "c"])
    assert (tmp_path / "a.arpa").read_text() == WRITTEN


def test_added_words_keep_probability_0(tmp_path):
    write_arpa(tmp_path / "a.arpa", LEVELS, ["a", "b", "c"])
    tokens, (one, two) = read_arpa(tmp_path / "a.arpa")
    assert tokens == ["<unk>", "</s>", "<s>", "a", "b", "c"]
    np.testing.assert_allclose(np.exp(one.log_p), [0, 0, 0, 0.5, 0.3, 0.2], atol=1e-7)
    np.testing.assert_allclose(np.exp(one.log_backoff[3:]), [0.5, 0.4, 1], atol=1e-7)
    assert two.words.tolist() == [4, 5]
    assert two.starts.tolist() == [0, 0, 0, 0, 2, 2, 2]
    np.testing.assert_allclose(np.exp(two.log_p), [0.6, 0], atol=1e-7)
    assert two.log_backoff is None


def test_kenlm_agrees_on_one_continuous_text(tmp_path):
    kenlm = pytest.importorskip("kenlm")
    model, path = fitted(), tmp_path / "stream.arpa"
    write_arpa(path, model.levels, WORDS)
    other = text(seed=1)
    given = stream_scores(kenlm.Model(str(path)), [WORDS[i] for i in other])
    ours = score(model.levels, other) / np.log(10)
    np.testing.assert_allclose(given, ours, rtol=0, atol=1e-5)


def test_kenlm_agrees_on_independent_lines(tmp_path):
    kenlm = pytest.importorskip("kenlm")
    model, path = fitted(boundary=END), tmp_path / "lines.arpa"
    write_arpa(path, model.levels, WORDS, boundary=END)
    reader = kenlm.Model(str(path))
    other = text(seed=1)
    other[-1] = END
    given = []
    for line in " ".join(WORDS[i] for i in other).split("<eos>")[:-1]:
        given += [s[0] for s in reader.full_scores(line.strip(), bos=True, eos=True)]
    ours = model.score(np.concatenate([[END], other])).numpy() / np.log(10)
    np.testing.assert_allclose(given, ours, rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("boundary", [None, END])
def test_read_again_it_scores_the_same(tmp_path, suffix, boundary):
    if suffix == ".zst":
        pytest.importorskip("zstandard")
    model, path = fitted(boundary), tmp_path / f"a.arpa{suffix}"
    seen = []
    write_arpa(
        path,
        model.levels,
        WORDS,
        boundary=boundary,
        progress=lambda *numbers: seen.append(numbers),
    )
    tokens, levels = read_arpa(path, progress=lambda *numbers: seen.append(numbers))
    total = sum(len(level.words) for level in levels)
    assert seen[-1] == (total, total)
    assert (total, total) in seen[: len(seen) // 2]
    assert tokens[-len(WORDS) :] == [
        "</s>" if i == boundary else word for i, word in enumerate(WORDS)
    ]
    other = text(length=300, seed=1)
    if boundary is None:
        again = score(levels, encoded([WORDS[i] for i in other], tokens))
        np.testing.assert_allclose(again, score(model.levels, other), atol=1e-6)
        return
    line = other[other != END][:20]
    ours = model.score(np.array([END, *line, END])).numpy()
    words = ["<s>", *(WORDS[i] for i in line), "</s>"]
    again = score(levels, encoded(words, tokens))
    assert again[0] == -np.inf
    np.testing.assert_allclose(again[1:], ours, atol=1e-6)


def test_probability_0_after_a_seen_context_stays_0(tmp_path):
    # b(a) = 0, as maximum likelihood has it.
    one = Level(
        np.arange(2), np.array([0, 2]), np.log([0.5, 0.5]), np.array([-np.inf, 0])
    )
    two = Level(np.array([0]), np.array([0, 1, 1]), np.array([0.0]))
    write_arpa(tmp_path / "a.arpa", [one, two], ["a", "b"])
    tokens, levels = read_arpa(tmp_path / "a.arpa")
    scores = score(levels, encoded("aab", tokens))
    np.testing.assert_allclose(scores, [np.log(0.5), 0, -np.inf], atol=1e-6)


def test_equal_models_give_equal_packed_files(tmp_path):
    for name in ("a.arpa.gz", "b.arpa.gz"):
        write_arpa(tmp_path / name, LEVELS, ["a", "b", "c"])
    assert (tmp_path / "a.arpa.gz").read_bytes() == (
        tmp_path / "b.arpa.gz"
    ).read_bytes()


def test_space_and_newline_are_tokens_too(tmp_path):
    write_arpa(tmp_path / "a.arpa", LEVELS, [" ", "\n", "c"])
    assert "\u2420 \u240a" in (tmp_path / "a.arpa").read_text()
    assert read_arpa(tmp_path / "a.arpa")[0][-3:] == [" ", "\n", "c"]


def test_names_that_the_vocabulary_has_are_not_added(tmp_path):
    write_arpa(tmp_path / "a.arpa", LEVELS, ["<s>", "</s>", "<unk>"])
    assert read_arpa(tmp_path / "a.arpa")[0] == ["<s>", "</s>", "<unk>"]


def test_lines_may_be_in_any_order_and_a_text_before_the_header(tmp_path):
    lines = WRITTEN.split("\n")
    lines[5:11] = lines[10:4:-1]
    lines[13:15] = lines[14:12:-1]
    (tmp_path / "a.arpa").write_text("made by hand\n\n" + "\r\n".join(lines))
    tokens, levels = read_arpa(tmp_path / "a.arpa")
    assert tokens[:3] == ["c", "b", "a"]
    assert levels[1].words.tolist() == [0, 1]
    assert levels[1].starts.tolist() == [0, 0, 0, 2, 2, 2, 2]
    np.testing.assert_allclose(np.exp(levels[1].log_p), [0, 0.6], atol=1e-7)


# ---- the test models of KenLM

SENTENCE = "<s> looking on a little the biarritz not_found more . </s>"
PUBLISHED = [-0.484652, -0.348837, -0.0155266, -0.00306122, -4.04005]
PUBLISHED += [-1.9889, -2.29666, -21.20632, -0.51363, -0.0191651]


def test_published_scores_of_the_reference_file(data_folder):
    tokens, levels = read_arpa(data_folder / "arpa" / "test.arpa")
    assert [len(level.words) for level in levels] == [37, 47, 11, 6, 4]
    scores = score(levels, encoded(SENTENCE.split(), tokens))[1:] / np.log(10)
    np.testing.assert_allclose(scores, PUBLISHED, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["test.arpa", "test_nounk.arpa"])
def test_kenlm_agrees_on_its_files(data_folder, name):
    kenlm = pytest.importorskip("kenlm")
    path = data_folder / "arpa" / name
    tokens, levels = read_arpa(path)
    words = [word for word in tokens if word not in ("<s>", "</s>")]
    # Half the words as the model links them, half by chance.
    linked = [word for word in SENTENCE.split()[1:-1] if word in tokens]
    rng = np.random.default_rng(0)
    picked = rng.choice(words, 1000).tolist()
    for at in range(0, 1000, 20):
        picked[at : at + len(linked)] = linked
    reader = kenlm.Model(str(path))
    given = [s[0] for s in reader.full_scores(" ".join(picked), bos=True, eos=True)]
    ours = score(levels, encoded(["<s>", *picked, "</s>"], tokens))[1:] / np.log(10)
    np.testing.assert_allclose(given, ours, rtol=0, atol=1e-5)


# ---- what is wrong in a file, and where


@pytest.mark.parametrize(
    ("old", "new", "number", "text"),
    [
        ("\\data\\", "data", 17, r"no \\data\\"),
        ("ngram 1=6\nngram 2=2", "", 4, "announces no words"),
        ("ngram 2=2", "ngram 3=2", 3, "count of order 2"),
        ("ngram 2=2\n", "", 8, "no use in the highest order"),
        ("ngram 2=2", "ngram 2=3", 16, r"2 2-grams, but \\data\\ announces 3"),
        ("ngram 2=2", "ngram 2=1", 15, "after the 1 2-grams"),
        ("ngram 1=6", "ngram 1=7", 12, r"6 1-grams, but \\data\\ announces 7"),
        ("\\1-grams:", "\\2-grams:", 5, r"expected \\1-grams:"),
        ("\tb\t", "\ta\t", 10, "word 'a' is there twice"),
        ("-0.5228787", "-0.52x", 10, "'-0.52x' is no number"),
        ("-0.3979400", "seven", 10, "'seven' is no number"),
        ("-0.5228787", "nan", 10, "log10 of a probability, got 'nan'"),
        ("-0.5228787", "0.5", 10, "log10 of a probability, got '0.5'"),
        ("-0.3979400", "inf", 10, "weight 'inf' is not finite"),
        ("a b", "a b c d", 14, "2 word"),
        ("a b", "a", 14, "2 word"),
        ("a b", "a d", 14, "'d' is not among the 1-grams"),
        ("a b", "a c", 15, "'a c' is there twice"),
        ("a b", "a b\t-0.3", 14, "no use in the highest order"),
        ("\n\\end\\\n", "", 15, r"ends without \\end\\"),
    ],
)
def test_a_fault_names_file_and_line(tmp_path, old, new, number, text):
    assert WRITTEN.count(old) == 1
    path = tmp_path / "a.arpa"
    path.write_text(WRITTEN.replace(old, new))
    with pytest.raises(DataError, match=f"a.arpa, line {number}: .*{text}"):
        read_arpa(path)


def test_a_file_that_is_cut_off_names_its_last_line(tmp_path):
    path = tmp_path / "a.arpa"
    path.write_text("\n".join(WRITTEN.split("\n")[:9]) + "\n")
    with pytest.raises(DataError, match="line 9: .* after 4 of 6 1-grams"):
        read_arpa(path)


def test_first_words_that_are_not_listed_name_the_line(tmp_path):
    path = tmp_path / "a.arpa"
    three = "\n\\3-grams:\n-1\ta b c\n-1\tb a c\n\n\\end\\"
    changed = WRITTEN.replace("ngram 2=2", "ngram 2=2\nngram 3=2")
    path.write_text(changed.replace("\n\\end\\", three))
    with pytest.raises(DataError, match="line 20: 'b a c' is listed, but not its fir"):
        read_arpa(path)


def test_the_line_is_right_far_into_a_file(tmp_path):
    path = tmp_path / "a.arpa"
    lines = [f"-4\tw{i}" for i in range(2000)]
    lines[1500] = "-4\tw7"
    path.write_text("\n".join(["\\data\\", "ngram 1=2000", "\\1-grams:", *lines]))
    with pytest.raises(DataError, match="line 1504: the word 'w7' is there twice"):
        read_arpa(path)


def test_files_that_cannot_be_read_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_arpa(tmp_path / "none.arpa")
    (tmp_path / "a.arpa.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_arpa(tmp_path / "a.arpa.gz")
    write_arpa(tmp_path / "b.arpa.gz", LEVELS, ["a", "b", "c"])
    packed = (tmp_path / "b.arpa.gz").read_bytes()
    (tmp_path / "b.arpa.gz").write_bytes(packed[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        read_arpa(tmp_path / "b.arpa.gz")
    (tmp_path / "c.arpa").write_bytes(WRITTEN.replace("b\t", "\xe4\t").encode("latin1"))
    with pytest.raises(DataError, match=r"c.arpa"):
        read_arpa(tmp_path / "c.arpa")


def test_damaged_zstandard_file_is_a_data_error(tmp_path):
    pytest.importorskip("zstandard")
    (tmp_path / "a.arpa.zst").write_bytes(b"no zstandard")
    with pytest.raises(DataError, match="cannot be read"):
        read_arpa(tmp_path / "a.arpa.zst")


# ---- what cannot be written


@pytest.mark.parametrize(
    ("tokens", "boundary", "error", "text"),
    [
        (["a", "b"], None, InvalidValue, "3 different texts"),
        (["a", "b", "a"], None, InvalidValue, "2 different"),
        (["a", " ", "\u2420"], None, InvalidValue, "2 different"),
        (["a", "b", ""], None, InvalidValue, "texts"),
        (["a", "b", 3], None, InvalidType, "got: int"),
        (["a", "b", "c"], 3, InvalidValue, r"\[0, 3\)"),
        (["a", "b", "<s>"], 0, InvalidValue, "has <s> as well"),
    ],
)
def test_vocabulary_must_fit(tmp_path, tokens, boundary, error, text):
    with pytest.raises(error, match=text):
        write_arpa(tmp_path / "a.arpa", LEVELS, tokens, boundary=boundary)
    assert list(tmp_path.iterdir()) == []


def test_stream_has_no_lines_to_write_one_by_one(tmp_path):
    with pytest.raises(InvalidValue, match="inside an n-gram"):
        write_arpa(tmp_path / "a.arpa", fitted().levels, WORDS, boundary=END)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [0.1, np.nan, np.inf])
def test_values_must_be_log_probabilities(tmp_path, value):
    levels = [Level(np.arange(1), np.array([0, 1]), np.array([value]))]
    with pytest.raises(InvalidValue, match="log_p"):
        write_arpa(tmp_path / "a.arpa", levels, ["a"])


def test_file_that_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="cannot write .*none"):
        write_arpa(tmp_path / "none" / "a.arpa", LEVELS, ["a", "b", "c"])
