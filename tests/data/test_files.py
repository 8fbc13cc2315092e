"""Text files as users have them."""

import gzip
import os

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data.files import (
    read_blocks,
    read_bytes,
    read_encoded,
    read_text,
    text_files,
)
from throughtime.errors import DataError, InvalidType, InvalidValue


def write(path, content: bytes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def pack(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def test_files_are_joined_and_normalised(tmp_path):
    a = write(tmp_path / "a.txt", "\ufeffün\r\nx\ry".encode())
    b = write(tmp_path / "b.txt.gz", gzip.compress(b"second\n"))
    c = write(tmp_path / "c.zst", pack(b"drei\r") + pack(b"\nvier"))
    assert read_text([a, b, c]) == "ün\nx\ny\nsecond\ndrei\nvier"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.txt", b"", "is empty"),
        ("spaces.txt", b" \n ", "is empty"),
        ("mark.txt", b"\xef\xbb\xbf", "is empty"),
        ("nothing.gz", gzip.compress(b""), "is empty"),
        ("nothing.zst", pack(b""), "is empty"),
        ("binary.txt", b"ab\0cd", "not a text file"),
        (
            "latin.txt",
            "caf\xe9".encode("latin1"),
            r"not UTF-8 \(byte 3 is 0xe9\).*iconv",
        ),
        ("mark-latin.txt", b"\xef\xbb\xbfabc\xff", r"not UTF-8 \(byte 6 is 0xff\)"),
        ("cut.txt", "abcü".encode()[:-1], r"not UTF-8 \(byte 3 is 0xc3\)"),
        ("no.gz", b"plain", "no complete gzip file"),
        ("cut.gz", gzip.compress(b"hello" * 100)[:-9], "no complete gzip file"),
        ("flip.gz", gzip.compress(b"hello")[:-8] + b"\0" * 8, "no complete gzip file"),
        ("no.zst", b"plain", "no complete zstandard file"),
        ("void.zst", b"", "no complete zstandard file"),
        ("cut.zst", pack(b"hello" * 100)[:-3], "no complete zstandard .*end is miss"),
        ("flip.zst", pack(b"hello")[:-4] + b"\0" * 4, "no complete zstandard file"),
        ("more.zst", pack(b"hello") + b"more", "no complete zstandard file"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 1 << 20])
def test_files_that_cannot_be_used(tmp_path, name, content, says, size):
    with pytest.raises(DataError, match=f"{name} .*{says}|{name} {says}"):
        list(read_blocks([write(tmp_path / name, content)], size))


@given(st.text("aü \r\n\ufeff\U0001f680", min_size=1), st.integers(1, 9))
def test_blocks_are_the_text_wherever_the_file_is_cut(tmp_path_factory, text, size):
    """The truth: the file read at once, and str.replace."""
    text += "x"
    folder = tmp_path_factory.mktemp("blocks")
    path = write(folder / "a.txt", text.encode())
    other = write(folder / "b.txt.gz", gzip.compress(b"more\n"))
    want = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    blocks = list(read_blocks([path, other], size))
    assert "".join(blocks) == want + "\nmore\n" == read_text([path, other])
    for block in blocks[:-1]:
        assert block.endswith("\n") or len(block) >= size and "\n" not in block
    assert "" not in blocks


def test_blocks_of_a_long_line_are_bounded(tmp_path):
    path = write(tmp_path / "a.txt", b"x" * 1000 + b"\ny\n")
    lengths = [len(block) for block in read_blocks([path], 100)]
    assert max(lengths) <= 200
    assert sum(lengths) == 1003


def test_blocks_before_the_mistake_are_read(tmp_path):
    """Streamed: what comes first is there before the end is looked at."""
    blocks = read_blocks([write(tmp_path / "a.txt", b"abc\n" * 10 + b"\xff")], 8)
    assert next(blocks) == "abc\nabc\n"
    with pytest.raises(DataError, match=r"byte 40 is 0xff"):
        list(blocks)


def test_folders(tmp_path):
    wanted = ["a.txt", "b/a.md.gz", "b/c.TOKENS", "b/d.gz", "b/z/a.zst", "c.txt.zst"]
    others = [".a.txt", ".git/a.txt", "a.pdf", "b/.b.md", "t.tar.gz", "README"]
    for name in reversed([*wanted, *others]):
        write(tmp_path / name, b"x")
    found = text_files([tmp_path])
    assert [str(path.relative_to(tmp_path)) for path in found] == wanted
    named = tmp_path / "README"
    assert text_files([named, tmp_path / "b" / "z"]) == [named, found[4]]


def test_a_folder_is_read_as_its_files(tmp_path):
    write(tmp_path / "b.txt.gz", gzip.compress(b"second"))
    write(tmp_path / "a.txt", b"first")
    assert read_text([tmp_path]) == "first\nsecond"


def test_folders_without_text(tmp_path):
    with pytest.raises(DataError, match="is a folder without a text file .*; give"):
        read_text([tmp_path])
    for name in "edcba":
        write(tmp_path / f"{name}.pdf", b"x")
    with pytest.raises(DataError, match=r"skipped 5: a.pdf, b.pdf, c.pdf, \.\.\.;"):
        read_text([tmp_path])


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    """As for an ordinary user; the superuser may read everything."""

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DataError, match=r"\(Permission denied\); check its perm"):
        read_text([tmp_path])


def test_missing(tmp_path):
    with pytest.raises(DataError, match="nowhere.txt does not exist"):
        read_text([tmp_path / "nowhere.txt"])


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
        read_blocks("a.txt")
    with pytest.raises(InvalidValue, match="size must be greater than zero"):
        read_blocks(["a.txt"], 0)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """As for an ordinary user; the superuser may read everything."""

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(DataError, match=r"a.txt \(Permission denied\); check its perm"):
        read_text([tmp_path / "a.txt"])


@pytest.mark.skipif(os.getuid() == 0, reason="the superuser may read every file")
def test_unreadable(tmp_path):
    path = write(tmp_path / "a.txt", b"x")
    path.chmod(0)
    with pytest.raises(DataError, match="check its permissions"):
        read_text([path])


def test_encodings(tmp_path):
    a = write(tmp_path / "a.txt", "caf\xe9\x85\r\nx\ry".encode("latin-1"))
    assert read_encoded(a, "latin-1") == "caf\xe9\x85\nx\ny"
    assert read_encoded(write(tmp_path / "b.txt", b"")) == ""
    c = write(tmp_path / "c.txt", "\ufeffü".encode("utf-16"))
    assert read_encoded(c, "utf-16") == "ü"
    with pytest.raises(
        DataError, match=r"a.txt:1: not utf-8 \(byte 3 is 0xe9\).*latin"
    ):
        read_encoded(a)
    with pytest.raises(DataError, match=r"d.txt:2: not utf-8 \(byte 2 is 0xff"):
        read_encoded(write(tmp_path / "d.txt", b"a\n\xff"))
    with pytest.raises(DataError, match="not a text file"):
        read_encoded(write(tmp_path / "e.txt", b"a\0b"))
    with pytest.raises(InvalidValue, match="unknown encoding 'utf8000': usual are"):
        read_encoded(a, "utf8000")


def test_bytes(tmp_path):
    packed = write(tmp_path / "a.gz", gzip.compress(b"\0\xff"))
    assert read_bytes(packed) == b"\0\xff"
    assert read_bytes(write(tmp_path / "b.zst", pack(b"two"))) == b"two"
    with pytest.raises(DataError, match="no.gz does not exist"):
        read_bytes(tmp_path / "no.gz")
