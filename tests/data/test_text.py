"""A text that can be gone through again and again."""

import pytest

from throughtime.data import Text, split
from throughtime.errors import DataError

LINES = "".join(f"line {i} of the text\n" for i in range(50))


@pytest.mark.parametrize("large", [0, len(LINES) - 1, len(LINES), None])
@pytest.mark.parametrize("unit", ["char", "word"])
def test_texts_and_their_parts(tmp_path, large, unit):
    (tmp_path / "a.txt").write_text(LINES)
    counted = []
    text = Text([tmp_path], large=large, seen=counted.append)
    assert "".join(text) == "".join(text) == LINES
    assert text.length == len(LINES) == counted[-1]
    assert text.is_large == (large is not None and large < len(LINES))
    parts = text.split(0.3, unit=unit)
    want = split(LINES, 0.3, unit=unit)
    for part, expected in zip(parts, want, strict=True):
        assert "".join(part) == "".join(part) == expected
        assert part.length == len(expected)
        inner = part.part(3, 30)
        assert "".join(inner) == expected[3:30]
        assert inner.length == 27


def test_a_short_text_is_read_once_and_a_large_one_each_time(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("abc\n")
    short, large = Text([path]), Text([path], large=2)
    path.write_text("xyz\n")
    assert "".join(short) == "abc\n"
    assert "".join(large) == "xyz\n"
    path.write_text("x")
    with pytest.raises(DataError, match="1 characters instead of 4"):
        list(large)


def test_text_without_a_file():
    text = Text(text="abc")
    assert ("".join(text), text.length) == ("abc", 3)
    with pytest.raises(DataError, match="give at least one text file"):
        Text()


def test_a_folder_is_looked_through_once(tmp_path):
    (tmp_path / "a.txt").write_text("abc\n")
    text = Text([tmp_path], large=0)
    (tmp_path / "b.txt").write_text("more\n")
    assert "".join(text) == "abc\n"
