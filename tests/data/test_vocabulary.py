"""What all vocabularies share: files, indices, options."""

import json

import pytest
import torch

from throughtime.data import Vocabulary, build_vocabulary, load_vocabulary
from throughtime.errors import (
    DataError,
    InvalidShape,
    InvalidType,
    InvalidValue,
    RunError,
)

TEXT = "the cat sat\nthe dog\n\nthe end\n"


@pytest.mark.parametrize("unit", ["char", "word", "bpe"])
def test_files_come_back_equal(tmp_path, unit):
    size = 270 if unit == "bpe" else None
    vocabulary = build_vocabulary(TEXT, unit, size=size)
    again = build_vocabulary(TEXT, unit, size=size)
    vocabulary.save(tmp_path / "v.json")
    loaded = load_vocabulary(tmp_path / "v.json")
    assert loaded == vocabulary == again == Vocabulary.load(tmp_path / "v.json")
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    assert type(loaded) is type(vocabulary)
    assert loaded.tokens == vocabulary.tokens
    values = json.loads(vocabulary.to_json())
    assert (values["format"], values["unit"]) == (1, unit)
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


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"unit": "phoneme"}, "unknown unit 'phoneme': known are char, word, bpe"),
        ({"unit": []}, "unknown unit"),
        ({"unit": "char"}, "characters"),
        ({"unit": "char", "characters": [1]}, "strings of length 1"),
        ({"unit": "char", "characters": ["ab"]}, "strings of length 1"),
        ({"unit": "char", "characters": ["a", "a"]}, "twice"),
        ({"unit": "bpe", "tokenizer": {}}, "tokenizer"),
        ({"unit": "word", "tokenizer": {"x": 1}}, "tokenizer"),
    ],
)
def test_damaged_content(tmp_path, values, says):
    text = json.dumps({"format": 1, **values})
    with pytest.raises((DataError, InvalidValue), match=says):
        Vocabulary.from_json(text)
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(RunError, match=f"no vocabulary file, or damaged .*{says}"):
        load_vocabulary(tmp_path / "v.json")


def test_damaged_indices_of_words():
    values = json.loads(build_vocabulary(TEXT, "word").to_json())
    values["tokenizer"]["model"]["vocab"]["cat"] = 99
    with pytest.raises(DataError, match="token indices should be 0 to 6"):
        Vocabulary.from_json(json.dumps(values))
    del values["tokenizer"]["model"]["vocab"]
    with pytest.raises(DataError, match="damaged"):
        Vocabulary.from_json(json.dumps(values))


@pytest.mark.parametrize("unit", ["char", "word", "bpe"])
def test_indices_outside_the_vocabulary(unit):
    vocabulary = build_vocabulary(TEXT, unit, size=260 if unit == "bpe" else None)
    last = len(vocabulary) - 1
    assert vocabulary.token(last) == vocabulary.tokens[-1]
    assert vocabulary.decode([]) == vocabulary.decode(vocabulary.encode("")) == ""
    for index in (-1, last + 1):
        with pytest.raises(InvalidValue, match=rf"must lie in \[0, {last + 1}\)"):
            vocabulary.token(index)
        with pytest.raises(
            InvalidValue, match=f"values from 0 to {index}|from {index}"
        ):
            vocabulary.decode(torch.tensor([0, index]))
    with pytest.raises(InvalidShape, match=r"shape \(N,\), got \(1, 2\)"):
        vocabulary.decode(torch.zeros(1, 2, dtype=torch.long))


def test_text_that_is_none():
    with pytest.raises(InvalidType, match="text should be of type str, got: bytes"):
        build_vocabulary(b"abc")
    with pytest.raises(DataError, match="half a surrogate pair"):
        build_vocabulary("a\ud800")


def test_bad_options():
    with pytest.raises(InvalidValue, match="unknown unit 'words': known are char, wo"):
        build_vocabulary(TEXT, "words")
    with pytest.raises(InvalidValue, match="min_frequency must be greater than zero"):
        build_vocabulary(TEXT, min_frequency=0)
