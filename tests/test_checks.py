"""Sizes in bytes, from what people write."""

import pytest

from throughtime.checks import parse_memory
from throughtime.errors import InvalidType, InvalidValue


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("200MB", 200_000_000),
        ("1.5GiB", 3 << 29),
        (" 64 kib ", 65_536),
        ("512kB", 512_000),
        ("2TB", 2 * 10**12),
        ("77", 77),
        (77, 77),
    ],
)
def test_sizes(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ("", InvalidValue, "memory should be a size such as '200MB'"),
        ("MB", InvalidValue, "memory should be a size"),
        ("-3MB", InvalidValue, "memory should be a size"),
        (
            "12 parsecs",
            InvalidValue,
            "unknown unit of memory 'parsecs': known are B, kB",
        ),
        ("0GB", InvalidValue, "memory must be greater than zero"),
        (0, InvalidValue, "memory must be greater than zero"),
        (1.5, InvalidType, "memory should be a size .* got: float"),
        (None, InvalidType, "got: NoneType"),
        (True, InvalidType, "got: bool"),
    ],
)
def test_nonsense_sizes(wrong, error, says):
    with pytest.raises(error, match=says):
        parse_memory(wrong)
