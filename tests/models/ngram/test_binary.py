"""The mapped file: what was saved comes back, lazily, and damage is told in words."""

import json

import numpy as np
import pytest

from throughtime.errors import InvalidType, InvalidValue, RunError
from throughtime.models.ngram.binary import load_levels, save_levels
from throughtime.models.ngram.model import NGramLM
from throughtime.models.ngram.tables import distributions, score

V = 300
METADATA = {"vocabulary": '["ü", "b"]', "order": "3"}


def text(seed=0):
    # Squares, so that small tokens are more frequent.
    return (np.random.default_rng(seed).random(2000) ** 3 * V).astype(np.int64)


@pytest.fixture(scope="module")
def levels():
    return NGramLM(3, vocabulary_size=V).fit(text()).levels


@pytest.fixture
def path(tmp_path, levels):
    save_levels(tmp_path / "a.ngram", levels, METADATA, dtype="float64")
    return tmp_path / "a.ngram"


def test_float64_comes_back_exactly(levels, path):
    again, metadata = load_levels(path, verify=True)
    assert metadata == METADATA
    for level, mapped in zip(levels, again, strict=True):
        np.testing.assert_array_equal(mapped.words, level.words)
        np.testing.assert_array_equal(mapped.starts, level.starts)
        np.testing.assert_array_equal(mapped.log_p, level.log_p)
    np.testing.assert_array_equal(again[1].log_backoff, levels[1].log_backoff)
    assert again[2].log_backoff is None
    assert again[2].log_p.dtype == np.float64


def test_default_is_float32_rounded(levels, tmp_path):
    save_levels(tmp_path / "a.ngram", levels, {})
    again, metadata = load_levels(tmp_path / "a.ngram")
    assert metadata == {}
    np.testing.assert_array_equal(again[2].log_p, levels[2].log_p.astype(np.float32))
    assert again[0].log_backoff.dtype == np.float32


def test_whole_numbers_take_the_smallest_type(path):
    again, _ = load_levels(path)
    assert [level.words.dtype for level in again] == [np.uint16] * 3
    # The last of the starts is the number of n-grams of the order.
    assert len(again[2].words) > 256
    assert [level.starts.dtype for level in again] == [np.uint16] * 3
    small = NGramLM(2, vocabulary_size=5).fit(np.arange(20) % 5).levels
    save_levels(path, small, {})
    assert load_levels(path)[0][1].words.dtype == np.uint8


def test_small_types_answer_as_large_ones_do(levels, path):
    again, _ = load_levels(path)
    other = text(1).astype(np.uint16)
    np.testing.assert_array_equal(score(again, other), score(levels, text(1)))
    np.testing.assert_array_equal(
        distributions(again, other[:40, None], 30),
        distributions(levels, text(1)[:40, None], 30),
    )


def test_largest_token_of_a_full_type_is_found(tmp_path):
    # V = 256: token 255 is the last that uint8 holds.
    around = np.array([255, 0, 255, 255, 0, 255])
    levels = NGramLM(3, vocabulary_size=256).fit(around).levels
    save_levels(tmp_path / "a.ngram", levels, {}, dtype="float64")
    again, _ = load_levels(tmp_path / "a.ngram")
    assert again[0].words.dtype == np.uint8
    np.testing.assert_array_equal(score(again, around), score(levels, around))


def test_arrays_are_views_of_the_file(path):
    again, _ = load_levels(path)
    for level in again:
        for array in (level.words, level.starts, level.log_p):
            assert not array.flags.owndata
            assert not array.flags.writeable
    # What the file says now is what the arrays say: nothing was read before.
    data = bytearray(path.read_bytes())
    data[-again[2].words.nbytes :] = bytes(again[2].words.nbytes)
    with path.open("r+b") as file:
        file.write(data)
    assert not load_levels(path)[0][2].words.any()
    assert not again[2].words.any()


def test_equal_tables_give_equal_files(levels, path, tmp_path):
    save_levels(tmp_path / "b.ngram", levels, METADATA, dtype="float64")
    assert path.read_bytes() == (tmp_path / "b.ngram").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ngram", "b.ngram"]


def test_a_file_that_is_mapped_can_be_replaced(levels, path):
    again, _ = load_levels(path)
    small = NGramLM(1, vocabulary_size=5).fit(np.arange(20) % 5).levels
    save_levels(path, small, {})
    np.testing.assert_array_equal(again[2].log_p, levels[2].log_p)


# ---- damage


def test_missing_file(tmp_path):
    with pytest.raises(RunError, match="missing"):
        load_levels(tmp_path / "none")


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_cut_off_file(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(RunError, match="damaged"):
        load_levels(path)


def test_changed_byte_is_found_when_asked_for(path):
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    load_levels(path)
    with pytest.raises(RunError, match="checksum"):
        load_levels(path, verify=True)


def rewritten(path, change):
    """The file with its metadata or arrays changed."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    with safe_open(path, "np") as file:
        content = json.loads(file.metadata()["throughtime"])
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    change(content, arrays)
    save_file(arrays, path, {"throughtime": json.dumps(content)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, a: c.update({"ngram.format": "0"}), "expected '1', got '0'"),
        (lambda c, a: c.clear(), "expected '1', got None"),
        (lambda c, a: c.update({"ngram.order": "x"}), "damaged"),
        (lambda c, a: c.update({"ngram.order": "0"}), "no orders"),
        (lambda c, a: c.update({"ngram.order": "4"}), "damaged"),
        (lambda c, a: a.pop("starts.2"), "starts.2"),
        (lambda c, a: a.update({"words.3": a["words.3"][:-1]}), "order 3 do not fit"),
        (lambda c, a: a.update({"log_p.2": a["log_p.3"]}), "order 2 do not fit"),
        (lambda c, a: a["starts.3"].__setitem__(-1, 7), "order 3 do not fit"),
        (lambda c, a: a.update({"words.2": a["log_p.2"]}), "order 2 do not fit"),
        (lambda c, a: a.update({"log_p.2": a["words.2"]}), "order 2 do not fit"),
    ],
)
def test_tables_that_do_not_fit(path, change, message):
    rewritten(path, change)
    with pytest.raises(RunError, match=message):
        load_levels(path)


def test_other_safetensors_file_and_other_files(path):
    from safetensors.numpy import save_file

    save_file({"weight": np.ones(3)}, path)
    with pytest.raises(RunError, match="no n-gram file"):
        load_levels(path)
    path.write_text("\\data\\\nngram 1=3\n")
    with pytest.raises(RunError, match="damaged"):
        load_levels(path)


# ---- what cannot be saved


def test_bad_arguments(levels, tmp_path):
    with pytest.raises(InvalidValue, match="known are float32, float64"):
        save_levels(tmp_path / "a", levels, {}, dtype="float16")
    with pytest.raises(InvalidType, match="str to str"):
        save_levels(tmp_path / "a", levels, {"order": 3})
    with pytest.raises(InvalidValue, match="begin with"):
        save_levels(tmp_path / "a", levels, {"ngram.order": "3"})
