"""Words as tokens, and the counts of the Penn Treebank."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data import build_vocabulary
from throughtime.errors import InvalidValue

TEXT = "the cat sat\nthe dog\n\nthe end\n"


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


@pytest.mark.parametrize("text", ["\n", "\n\n\n", "\n\na\n\n\n\nb\n", "a<eos> b\n"])
def test_empty_lines_and_look_alikes_come_back(text):
    vocabulary = build_vocabulary(text, "word")
    assert vocabulary.decode(vocabulary.encode(text)) == text


@given(
    st.lists(
        st.lists(st.text("ab<eos>", min_size=1, max_size=3)), min_size=1, max_size=6
    )
)
def test_words_lose_nothing_but_spacing(lines):
    text = "".join("  ".join(line) + " \n" for line in lines)
    vocabulary = build_vocabulary(text, "word")
    want = "".join(" ".join(line) + "\n" for line in lines)
    assert vocabulary.decode(vocabulary.encode(text)) == want


def test_every_white_space_of_python_splits_words():
    """Also U+001C to U+001F, which tokenizers takes for letters."""
    spaces = [chr(i) for i in range(0x3001) if chr(i).isspace() and chr(i) != "\n"]
    assert "\x1c" in spaces
    text = "".join(f"a{space}b" for space in spaces)
    vocabulary = build_vocabulary("a b ba", "word")
    assert vocabulary.missing(text) == []
    indices = vocabulary.encode(text).tolist()
    assert vocabulary.unknown_index not in indices
    assert len(indices) == len(spaces) + 2


def test_room_for_both_special_tokens():
    with pytest.raises(InvalidValue, match="size must be at least 2, for <unk> and"):
        build_vocabulary(TEXT, "word", size=1)
    assert len(build_vocabulary(TEXT, "word", size=2)) == 2


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
