"""The text that comes with Python."""

import sys

import pytest

from throughtime.data import default_corpus
from throughtime.errors import DataError


def test_built_in_corpus_is_python_s_reference():
    from pydoc_data.topics import topics

    text = default_corpus()
    assert text == default_corpus()
    assert topics["assert"].strip() in text
    assert len(text) >= sum(len(t.strip()) for t in topics.values())


def test_a_python_without_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match="comes without pydoc_data.*give a text file"):
        default_corpus()
