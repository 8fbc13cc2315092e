"""Pictures as inputs."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image

from throughtime.data.examples import Examples
from throughtime.errors import DataError, InvalidType, InvalidValue
from throughtime.models.network import NetworkConfig
from throughtime.tasks.inputs.image import ImageInputs
from throughtime.tasks.inputs.image_options import ImageOptions
from throughtime.tasks.inputs.registry import (
    build_inputs,
    inputs_from_dict,
    inputs_to_dict,
)
from throughtime.tasks.task import RawExample

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
BRIGHT = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def raw(*pictures) -> list[RawExample]:
    return [RawExample(p, None, f"a:{i}") for i, p in enumerate(pictures, start=1)]


def steps(picture, **options) -> np.ndarray:
    examples = raw(picture)
    inputs = ImageInputs.fit(examples, ImageOptions(**options))
    found = inputs.encode(examples[0])["inputs"]
    assert found.dtype == torch.uint8
    return found.numpy()


@pytest.mark.parametrize(
    ("way", "want"),
    [
        ("rows", [[0, 1, 2], [3, 4, 5]]),
        ("columns", [[0, 3], [1, 4], [2, 5]]),
        ("pixels", [[0], [1], [2], [3], [4], [5]]),
    ],
)
def test_what_a_step_is(way, want):
    assert steps(GREY, steps=way).tolist() == want
    found = steps(BRIGHT, steps=way, colour=True)
    assert found.shape == (len(want), 3 * len(want[0]))
    # The first channel of each pixel counts up by 3.
    np.testing.assert_array_equal(found[:, ::3], 3 * np.array(want))


def test_shuffled_pixels():
    """The truth: the same permutation in all pictures, another with another seed."""
    draw = np.random.default_rng(1)
    examples = raw(*draw.integers(256, size=(2, 5, 4), dtype=np.uint8))
    inputs = ImageInputs.fit(examples, ImageOptions(steps="pixels", permute=3))
    order = np.random.default_rng(3).permutation(20)
    for example in examples:
        found = inputs.encode(example)["inputs"][:, 0].numpy()
        np.testing.assert_array_equal(found, example.input.reshape(-1)[order])
    rows = ImageInputs.fit(examples, ImageOptions(permute=3)).encode(examples[0])
    want = examples[0].input.reshape(-1)[order].reshape(5, 4)
    np.testing.assert_array_equal(rows["inputs"], want)
    other = ImageInputs.fit(examples, ImageOptions(steps="pixels", permute=4))
    assert not torch.equal(
        other.encode(examples[0])["inputs"], inputs.encode(examples[0])["inputs"]
    )
    with pytest.raises(DataError, match="a:1: .* is 5 x 4, and others are 4 x 5"):
        inputs.encode(raw(examples[0].input.T.copy())[0])


def test_all_pixels_are_standardised_alike():
    """The truth: numpy."""
    draw = np.random.default_rng(0)
    pictures = draw.integers(256, size=(3, 4, 5), dtype=np.uint8)
    inputs = ImageInputs.fit(raw(*pictures), ImageOptions())
    assert inputs.mean == pytest.approx(pictures.mean(), rel=1e-12)
    assert inputs.std == pytest.approx(pictures.std(), rel=1e-12)
    assert inputs.describe() == "5 features, 4 steps"
    encoded = [inputs.encode(example)["inputs"] for example in raw(*pictures)]
    outputs = inputs.front_end(NetworkConfig())(
        Examples({"inputs": encoded}).batch([0, 1, 2])
    )
    want = (pictures - pictures.mean()) / pictures.std()
    np.testing.assert_allclose(outputs, want.transpose(1, 0, 2), atol=1e-5)
    blank = ImageInputs.fit(raw(np.full((2, 2), 9, np.uint8)), ImageOptions())
    assert (blank.mean, blank.std) == (9.0, 0.0)


def test_files(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path)
    examples = [RawExample(path, None, f"a.csv:{i}") for i in (2, 3)]
    inputs = ImageInputs.fit(examples, ImageOptions())
    path.unlink()  # read once
    assert inputs.encode(examples[1])["inputs"].tolist() == GREY.tolist()
    with pytest.raises(DataError, match=r"a.csv:2: .*b.png does not exist"):
        inputs.encode(RawExample(tmp_path / "b.png", None, "a.csv:2"))
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"^\S*b.png cannot be read as a picture"):
        inputs.encode(RawExample(tmp_path / "b.png", None, str(tmp_path / "b.png")))


def test_sizes():
    """Steps may differ in number, not in size; made alike where it is asked for."""
    small, wide = np.zeros((4, 6), np.uint8), np.zeros((4, 8), np.uint8)
    inputs = ImageInputs.fit(raw(small, wide), ImageOptions(steps="columns"))
    assert inputs.describe() == "4 features, 6 to 8 steps"
    with pytest.raises(
        DataError, match="a:2: .* 8 x 4, and others are 6 wide; .*--wid"
    ):
        ImageInputs.fit(raw(small, wide), ImageOptions())
    with pytest.raises(DataError, match="a:1: .* 6 x 5, and others are 4 high"):
        inputs.encode(raw(np.zeros((5, 6), np.uint8))[0])
    inputs = ImageInputs.fit(raw(small, wide), ImageOptions(height=2, width=3))
    assert inputs.describe() == "3 features, 2 steps"
    inputs = ImageInputs.fit(
        raw(small, wide.T.copy()), ImageOptions(steps="columns", height=2)
    )
    assert inputs.describe() == "2 features, 1 to 3 steps"
    with pytest.raises(DataError, match="a:1: .*bytes.* float64"):
        ImageInputs.fit(raw(np.zeros((2, 2))), ImageOptions())
    with pytest.raises(DataError, match="no training examples"):
        ImageInputs.fit([], ImageOptions())


def test_a_task_with_few_options():
    @dataclass(frozen=True)
    class Few:
        height: int | None = 4

    examples = raw(np.zeros((8, 6), np.uint8))
    inputs = build_inputs("image", examples, Few())
    assert inputs.encode(examples[0])["inputs"].shape == (3, 4)


@pytest.mark.parametrize(
    "options", [{}, {"steps": "pixels", "permute": 1, "colour": True}, {"height": 4}]
)
def test_saved_and_restored(options):
    chosen = ImageOptions(**options)
    inputs = build_inputs("image", raw(GREY), chosen)
    values = json.loads(json.dumps(inputs_to_dict(inputs)))
    restored = inputs_from_dict(values, chosen)
    assert inputs_to_dict(restored) == values
    assert restored.describe() == inputs.describe()
    want = inputs.encode(raw(GREY)[0])["inputs"]
    assert torch.equal(restored.encode(raw(GREY)[0])["inputs"], want)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"steps": "row"}, InvalidValue, "steps 'row': known are rows, columns"),
        ({"permute": -1}, InvalidValue, "permute must not be negative"),
        ({"permute": True}, InvalidType, "permute should be a seed"),
        ({"height": 0}, InvalidValue, "height"),
        ({"width": 1.5}, InvalidType, "width"),
        ({"colour": 1}, InvalidType, "colour"),
    ],
)
def test_options_that_cannot_be_used(options, error, says):
    with pytest.raises(error, match=says):
        ImageOptions(**options)
