"""Text files as users have them."""

import gzip
import os

import pytest

from throughtime.data import read_text
from throughtime.errors import DataError, InvalidType


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
        ("mark.txt", b"\xef\xbb\xbf", "is empty"),
        ("nothing.gz", gzip.compress(b""), "is empty"),
        ("binary.txt", b"ab\0cd", "not a text file"),
        (
            "latin.txt",
            "caf\xe9".encode("latin1"),
            r"not UTF-8 \(byte 3 is 0xe9\).*iconv",
        ),
        ("mark-latin.txt", b"\xef\xbb\xbfabc\xff", r"not UTF-8 \(byte 6 is 0xff\)"),
        ("no.gz", b"plain", "no complete gzip file"),
        ("cut.gz", gzip.compress(b"hello" * 100)[:-9], "no complete gzip file"),
        ("flip.gz", gzip.compress(b"hello")[:-8] + b"\0" * 8, "no complete gzip file"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, says):
    with pytest.raises(DataError, match=f"{name} .*{says}|{name} {says}"):
        read_text([write(tmp_path / name, content)])


def test_missing_and_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere.txt does not exist"):
        read_text([tmp_path / "nowhere.txt"])
    with pytest.raises(DataError, match="is a folder"):
        read_text([tmp_path])


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0", "file.txt/inside"])
def test_paths_that_no_file_can_have(tmp_path, name):
    write(tmp_path / "file.txt", b"x")
    with pytest.raises(DataError, match="cannot read .*check the path"):
        read_text([tmp_path / name])


def test_which_files():
    with pytest.raises(DataError, match="give at least one text file"):
        read_text([])
    with pytest.raises(
        InvalidType, match=r"list of paths, got: str; write \['a.txt'\]"
    ):
        read_text("a.txt")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """As for an ordinary user; the superuser may read everything."""

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(DataError, match=r"a.txt \(Permission denied\); check its perm"):
        read_text([tmp_path / "a.txt"])


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may read every file")
def test_unreadable(tmp_path):
    path = write(tmp_path / "a.txt", b"x")
    path.chmod(0)
    with pytest.raises(DataError, match="check its permissions"):
        read_text([path])
