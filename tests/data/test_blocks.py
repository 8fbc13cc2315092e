"""A text in blocks gives the vocabulary and the tokens of the whole text."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from throughtime.data import build_vocabulary
from throughtime.data.words import END
from throughtime.errors import DataError, InvalidShape, InvalidType, InvalidValue

UNITS = ["char", "word", "bpe"]
# All kinds of white space, letters that merge, and characters of 2 to 4 bytes.
ALPHABET = "aab \n\r\t\x0b\x0c\x1c\x85\u2028!'é\U0001f680"
TRAINING = "ab aba a'b \u2028ab\n ab \n\n" * 3 + "é!\U0001f680"
SIZES = {"char": None, "word": None, "bpe": 266}
VOCABULARIES = {u: build_vocabulary(TRAINING, u, size=SIZES[u]) for u in UNITS}

texts = st.text(ALPHABET, max_size=40) | st.lists(
    st.sampled_from(["ab", "aba", " ", "\n", "a b", "<eos>", "<unk>", "é"]), max_size=30
).map("".join)


def blocks_of(text, cuts):
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in zip(borders, borders[1:], strict=False)]


def tokens_by_definition(unit, text):
    """One token after the other, by dictionaries and the tokenizer of the file."""
    vocabulary = VOCABULARIES[unit]
    index = {token: i for i, token in enumerate(vocabulary.tokens)}
    if unit == "char":
        return [index.get(c, 0) for c in text]
    if unit == "word":
        lines = text.split("\n")
        if not lines[-1].strip():
            lines.pop()
        words = [word for line in lines for word in [*line.split(), END]]
        return [index.get(word, vocabulary.unknown_index) for word in words]
    values = json.loads(vocabulary.to_json())["tokenizer"]
    tokenizer = Tokenizer.from_str(json.dumps(values))
    lines = text.splitlines(keepends=True)
    return [i for line in lines for i in tokenizer.encode(line).ids]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("longest_line", [3, 1 << 20])
@settings(max_examples=60, deadline=None)
@given(text=texts, cuts=st.lists(st.integers(0, 80), max_size=8))
def test_tokens_wherever_the_text_is_cut(unit, longest_line, text, cuts):
    vocabulary = VOCABULARIES[unit]
    want = tokens_by_definition(unit, text)
    assert vocabulary.encode(text).tolist() == want
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("throughtime.data.subwords.LONGEST_LINE", longest_line)
        parts = list(vocabulary.encode_blocks(blocks_of(text, cuts)))
    assert all(part.dtype == torch.long and part.dim() == 1 for part in parts)
    assert [i for part in parts for i in part.tolist()] == want


@pytest.mark.parametrize("unit", UNITS)
@settings(max_examples=15, deadline=None)
@given(text=texts.filter(bool), cuts=st.lists(st.integers(0, 80), max_size=8))
def test_vocabularies_wherever_the_text_is_cut(unit, text, cuts):
    whole = build_vocabulary(text, unit, size=SIZES[unit])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("throughtime.data.subwords.LONGEST_LINE", 3)
        found = build_vocabulary(iter(blocks_of(text, cuts)), unit, size=SIZES[unit])
    assert found == whole


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("block", [1, 2, 7, 1 << 20])
@settings(max_examples=20, deadline=None)
@given(indices=st.lists(st.integers(0, 265), max_size=30))
def test_count_of_characters(unit, block, indices):
    """The truth: the length of the decoded text."""
    vocabulary = VOCABULARIES[unit]
    tokens = torch.tensor(indices, dtype=torch.long) % len(vocabulary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("throughtime.data.vocabulary.BLOCK", block)
        found = vocabulary.count_characters(tokens)
        assert found == vocabulary.count_characters(tokens.to(torch.int16))
    assert found == len(vocabulary.decode(tokens))


@pytest.mark.parametrize("unit", UNITS)
def test_count_of_characters_of_no_text(unit):
    vocabulary = VOCABULARIES[unit]
    with pytest.raises(InvalidShape, match=r"shape \(N,\), got \(1, 2\)"):
        vocabulary.count_characters(torch.zeros(1, 2, dtype=torch.long))
    for index in (-1, len(vocabulary)):
        with pytest.raises(InvalidValue, match=f"from {index} to {index}"):
            vocabulary.count_characters(torch.tensor([index]))


@pytest.mark.parametrize("unit", UNITS)
def test_missing_pieces_of_blocks(unit):
    vocabulary = VOCABULARIES[unit]
    text = "ab zebra ab q"
    assert vocabulary.missing(["ab ze", "bra a", "b q"]) == vocabulary.missing(text)
    assert VOCABULARIES["word"].missing(["ab ze", "bra a", "b q"]) == ["q", "zebra"]


@pytest.mark.parametrize("unit", UNITS)
def test_blocks_that_are_no_text(unit):
    for empty in ("", [], ["", ""]):
        with pytest.raises(DataError, match="the text is empty, so its vocabulary"):
            build_vocabulary(empty, unit)
    for wrong in (3, b"abc", ["a", b"c"]):
        with pytest.raises(InvalidType, match="text should be of type str, got: "):
            build_vocabulary(wrong, unit)
    with pytest.raises(DataError, match="character 3 of the text.*half a surrogate"):
        build_vocabulary(["ab", "a\ud800"], unit)
    with pytest.raises(InvalidType, match="text should be of type str, got: bytes"):
        VOCABULARIES[unit].encode(b"abc")


@pytest.mark.parametrize("unit", ["char", "word"])
def test_a_minimum_that_nothing_reaches(unit):
    with pytest.raises(InvalidValue, match=r"leaves no entry, .* occurs 3 time\(s\)"):
        build_vocabulary("a a a", unit, min_frequency=9, size=None)
