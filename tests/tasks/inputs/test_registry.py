"""Kinds of inputs by name."""

import json

import pytest

from throughtime.errors import DataError, InvalidValue
from throughtime.tasks.inputs.registry import (
    build_inputs,
    inputs_from_dict,
    inputs_to_dict,
)
from throughtime.tasks.inputs.text import TextInputs
from throughtime.tasks.inputs.text_options import TextOptions
from throughtime.tasks.task import RawExample


def test_there_and_back():
    options = TextOptions()
    examples = [RawExample("so good", None, "")]
    inputs = build_inputs("text", examples, options)
    assert isinstance(inputs, TextInputs)
    values = json.loads(json.dumps(inputs_to_dict(inputs)))
    restored = inputs_from_dict(values, options)
    assert isinstance(restored, TextInputs)
    assert restored.encode(examples[0])["inputs"].tolist() == [2, 1]


def test_unknown_kinds():
    known = "known are text, series, audio, image, vector"
    with pytest.raises(InvalidValue, match=f"unknown kind of input 'texts': {known}"):
        build_inputs("texts", [], None)
    with pytest.raises(InvalidValue, match="unknown kind of input None"):
        inputs_from_dict({"kind": None}, None)
    with pytest.raises(DataError, match="their kind is missing"):
        inputs_from_dict({}, None)
