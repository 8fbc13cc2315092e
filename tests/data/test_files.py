"""Text files as users have them."""

import gzip
import os

import pytest

from throughtime.data import default_corpus, read_text
from throughtime.errors import DataError


def write(path, content: bytes):
    path.write_bytes(content)
    return path


def test_files_are_joined_and_normalised(tmp_path):
    a = write(tmp_path / "a.txt", "\ufeffün\r\nx\ry".encode())
    b = tmp_path / "b.txt.gz"
    b.write_bytes(gzip.compress(b"second\n"))
    assert read_text([a, b]) == "ün\nx\ny\nsecond\n"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.txt", b"", "is empty"),
        ("spaces.txt", b" \n ", "is empty"),
        ("binary.txt", b"ab\0cd", "not a text file"),
        (
            "latin.txt",
            "caf\xe9".encode("latin1"),
            r"not UTF-8 \(byte 3 is 0xe9\).*iconv",
        ),
        ("no.gz", b"plain", "no complete gzip file"),
        ("cut.gz", gzip.compress(b"hello" * 100)[:-9], "no complete gzip file"),
        ("flip.gz", gzip.compress(b"hello")[:-8] + b"\0" * 8, "no complete gzip file"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, says):
    with pytest.raises(DataError, match=f"{name}.*{says}|{says}"):
        read_text([write(tmp_path / name, content)])


def test_missing_and_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere.txt does not exist"):
        read_text([tmp_path / "nowhere.txt"])
    with pytest.raises(DataError, match="is a folder"):
        read_text([tmp_path])


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may read every file")
def test_unreadable(tmp_path):
    path = write(tmp_path / "a.txt", b"x")
    path.chmod(0)
    with pytest.raises(DataError, match="check its permissions"):
        read_text([path])


def test_built_in_corpus_is_python_s_reference():
    from pydoc_data.topics import topics

    text = default_corpus()
    assert text == default_corpus()
    assert topics["assert"].strip() in text
    assert len(text) >= sum(len(t.strip()) for t in topics.values())
