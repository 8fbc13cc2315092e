"""Vocabularies: round trips, order, and the counts of the Penn Treebank."""

import gzip
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import build_vocabulary, load_vocabulary, one_hot
from throughtime.errors import InvalidValue, RunError

TEXT = "the cat sat\nthe dog\n\nthe end\n"


def test_characters():
    vocabulary = build_vocabulary("banana")
    assert vocabulary.tokens == ["<unk>", "a", "b", "n"]
    assert vocabulary.encode("nab!").tolist() == [3, 1, 2, 0]
    assert vocabulary.decode([2, 1, 0]) == "ba\ufffd"
    assert vocabulary.missing("nab!?") == ["!", "?"]
    assert vocabulary.boundary_index is None
    assert build_vocabulary("a\n").boundary_index == 1


def test_words_end_lines_and_sort_by_frequency():
    vocabulary = build_vocabulary(TEXT, "word")
    assert vocabulary.tokens == ["<eos>", "the", "cat", "dog", "end", "sat", "<unk>"]
    assert vocabulary.decode(vocabulary.encode(TEXT)) == TEXT
    tokens = [vocabulary.tokens[i] for i in vocabulary.encode("the fox\n\nx")]
    assert tokens == ["the", "<unk>", "<eos>", "<eos>", "<unk>", "<eos>"]
    assert vocabulary.missing("the fox") == ["fox"]


def test_word_limits():
    assert len(build_vocabulary(TEXT, "word", size=4)) == 4
    frequent = build_vocabulary(TEXT, "word", min_frequency=2)
    assert frequent.tokens == ["<eos>", "the", "<unk>"]


def test_unknown_in_the_text_is_the_unknown_token():
    vocabulary = build_vocabulary("a <unk> a\n", "word")
    assert sorted(vocabulary.tokens) == ["<eos>", "<unk>", "a"]
    assert vocabulary.tokens[vocabulary.unknown_index or 0] == "<unk>"


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_subwords_lose_nothing(text):
    vocabulary = build_vocabulary(TEXT, "bpe", size=260)
    assert vocabulary.decode(vocabulary.encode(text)) == text


@given(st.text(min_size=1))
def test_characters_lose_nothing(text):
    vocabulary = build_vocabulary(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text


@pytest.mark.parametrize("unit", ["char", "word", "bpe"])
def test_files_come_back_equal(tmp_path, unit):
    size = 270 if unit == "bpe" else None
    vocabulary = build_vocabulary(TEXT, unit, size=size)
    again = build_vocabulary(TEXT, unit, size=size)
    vocabulary.save(tmp_path / "v.json")
    loaded = load_vocabulary(tmp_path / "v.json")
    assert loaded == vocabulary == again
    assert loaded.fingerprint() == vocabulary.fingerprint()
    assert torch.equal(loaded.encode(TEXT), vocabulary.encode(TEXT))
    assert loaded != build_vocabulary(TEXT + "zebra\n", unit, size=size and size + 1)


def test_damaged_files(tmp_path):
    path = tmp_path / "v.json"
    for content in ("", "{", "[]", "{}", json.dumps({"format": 9, "unit": "char"})):
        path.write_text(content)
        with pytest.raises(RunError, match="no vocabulary file, or damaged"):
            load_vocabulary(path)
    with pytest.raises(RunError, match="v2.json"):
        load_vocabulary(tmp_path / "v2.json")


def test_bad_options():
    with pytest.raises(InvalidValue, match="unknown unit 'words': known are char, wo"):
        build_vocabulary(TEXT, "words")
    with pytest.raises(InvalidValue, match="size must be at least 256"):
        build_vocabulary(TEXT, "bpe", size=100)
    with pytest.raises(InvalidValue, match="min_frequency must be greater than zero"):
        build_vocabulary(TEXT, min_frequency=0)


def test_one_hot_equals_identity_rows():
    tokens = torch.tensor([[0, 2], [1, 1]])
    assert torch.equal(one_hot(tokens, 3), torch.eye(3)[tokens])
    with pytest.raises(InvalidValue, match=r"tokens must lie in \[0, 2\)"):
        one_hot(tokens, 2)


def test_penn_treebank_counts(data_folder):
    """Published: 929,589 / 73,760 / 82,430 tokens, 10,000 types."""

    def read(part):
        path = data_folder / "ptb" / f"ptb.{part}.txt.gz"
        return gzip.decompress(path.read_bytes()).decode()

    vocabulary = build_vocabulary(read("train"), "word")
    assert len(vocabulary) == 10_000
    for part, count in (("train", 929_589), ("valid", 73_760), ("test", 82_430)):
        assert len(vocabulary.encode(read(part))) == count
    assert vocabulary.missing(read("valid") + read("test")) == []
