"""Arrays in idx files."""

import gzip
import struct

import numpy as np
import pytest

from throughtime.data.idx import read_idx
from throughtime.errors import DataError


def idx(code: int, array: np.ndarray) -> bytes:
    header = struct.pack(f">4B{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.mark.parametrize(
    ("code", "kind"),
    [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")],
)
def test_all_types(tmp_path, code, kind):
    """The truth: the array that was written, high bytes first."""
    array = np.arange(-12, 12).astype(kind).reshape(2, 3, 4)
    path = tmp_path / "a-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(code, array)))
    found = read_idx(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.dtype(kind).newbyteorder("=")
    assert found.flags.writeable


WHOLE = idx(8, np.zeros((2, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no idx file: .*got nothing"),
        (b"\0\0\x08", "no idx file: .*got 0, 0, 8"),
        (b"\x89PNG\r\n", "no idx file: .*got 137, 80, 78, 71"),
        (b"\0\0\x07\x01\0\0\0\0", "no idx file: .*got 0, 0, 7, 1"),
        (WHOLE[:9], "cut off within its header"),
        (WHOLE[:-1], "holds 2 x 3 numbers in 18 bytes, and has 17"),
        (WHOLE + b"\0", "in 18 bytes, and has 19"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, content, says):
    path = tmp_path / "a-idx2-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"a-idx2-ubyte .*{says}"):
        read_idx(path)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_idx(tmp_path / "no-idx1-ubyte")


def test_mnist(data_folder):
    """The truth: the counts of the ten digits in the test part, as published."""
    folder = data_folder / "mnist"
    labels = read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(labels).tolist() == counts
    assert read_idx(folder / "t10k-images-idx3-ubyte.gz").shape == (10000, 28, 28)
