"""Byte-pair subwords as tokens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import throughtime
from throughtime.data import build_vocabulary
from throughtime.errors import DataError, InvalidValue

TEXT = "the cat sat\nthe dog\n\nthe end\n"


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_subwords_lose_nothing(text):
    vocabulary = build_vocabulary(TEXT, "bpe", size=260)
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_the_most_frequent_pair_is_merged_first():
    """The pair a-b is the only one that occurs three times; the bytes come first."""
    vocabulary = build_vocabulary("ab ab ab", "bpe", size=257)
    assert vocabulary.tokens[256] == "ab"
    assert vocabulary.encode("abb").tolist() == [256, vocabulary.tokens.index("b")]
    assert vocabulary.boundary_index == vocabulary.encode("\n")[0]
    assert vocabulary.unknown_index is None


def test_emoji_without_a_byte_of_them_in_training():
    vocabulary = build_vocabulary(TEXT, "bpe", size=260)
    text = "\U0001f469\u200d\U0001f680 na\xefve\r\n"
    assert vocabulary.missing(text) == []
    assert vocabulary.decode(vocabulary.encode(text)) == text
    # Half of an emoji's bytes form no character.
    assert "\ufffd" in vocabulary.decode(vocabulary.encode("\U0001f680")[:2])


def test_training_is_deterministic_whatever_threads_and_hash_seed():
    program = (
        "from throughtime.data import build_vocabulary as build\n"
        "text = 'ab ba cd dc ef fe the cat sat on the mat ' * 3\n"
        "print(build(text, 'bpe', size=270).fingerprint())"
    )
    source = str(Path(throughtime.__file__).parent.parent)
    prints = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ
            | {"PYTHONPATH": source, "RAYON_NUM_THREADS": n, "PYTHONHASHSEED": n},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in ("1", "3")
    }
    assert len(prints) == 1


def test_size_has_room_for_the_bytes():
    with pytest.raises(InvalidValue, match="size must be at least 256"):
        build_vocabulary(TEXT, "bpe", size=100)


def test_half_a_surrogate_pair_has_no_bytes():
    vocabulary = build_vocabulary(TEXT, "bpe", size=260)
    assert vocabulary.missing("a\udce9") == ["\udce9"]
    with pytest.raises(DataError, match="character 1 of the text.*half a surrogate"):
        vocabulary.encode("a\udce9")


def test_pieces_that_are_forgotten(monkeypatch):
    """With room for three pieces, and for all: the same tokens."""
    vocabulary = build_vocabulary(TEXT, "bpe", size=270)
    text = "".join(f"the {c} cat{c} sat\n" for c in "abcdefghij")
    want = vocabulary.encode(text)
    monkeypatch.setattr("throughtime.data.subwords.MOST_KNOWN", 3)
    parts = vocabulary.encode_blocks(text.splitlines(keepends=True))
    assert [i for part in parts for i in part.tolist()] == want.tolist()
