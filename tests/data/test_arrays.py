"""Arrays of npz files: numpy wrote them, and numpy's values come back."""

import numpy as np
import pytest

from throughtime.data.arrays import read_arrays
from throughtime.errors import DataError


def test_what_numpy_wrote(tmp_path):
    written = {"inputs": np.arange(6.0).reshape(2, 3), "texts": np.array(["a", "bc"])}
    np.savez(tmp_path / "a.npz", **written)
    found = read_arrays(tmp_path / "a.npz")
    assert list(found) == list(written)
    for name, array in written.items():
        np.testing.assert_array_equal(found[name], array)


def test_nothing_is_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", inputs=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="a.npz is no npz file of plain numbers"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"none", b"PK\x03\x04none", b"\x93NUMPY"])
def test_damaged_files(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match="or damaged; write it with numpy.savez"):
        read_arrays(tmp_path / "a.npz")


def test_no_file(tmp_path):
    with pytest.raises(DataError, match="a.npz does not exist"):
        read_arrays(tmp_path / "a.npz")
    with pytest.raises(DataError, match="is a folder; give a file"):
        read_arrays(tmp_path)
