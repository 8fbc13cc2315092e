"""Pictures as arrays of bytes."""

import numpy as np
import pytest
from PIL import Image

from throughtime.data.images import fit_picture, read_picture
from throughtime.errors import DataError

GREY = np.array([[0, 10, 20], [30, 40, 250]], np.uint8)


def save(path, picture, **options):
    picture.save(path, **options)
    return path


def test_pixels_as_they_were_saved(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(GREY))
    np.testing.assert_array_equal(read_picture(path), GREY)
    np.testing.assert_array_equal(read_picture(path, colour=True)[..., 2], GREY)
    bright = np.zeros((2, 2, 3), np.uint8)
    bright[..., 1] = 255
    path = save(tmp_path / "b.png", Image.fromarray(bright))
    np.testing.assert_array_equal(read_picture(path, colour=True), bright)
    # 0.587 of the brightness is green (ITU-R 601).
    assert (read_picture(path) == round(0.587 * 255)).all()


def test_modes(tmp_path):
    """The truth: 16 bits divided by 256; black ink and nothing around it on white."""
    deep = np.array([[0, 300, 65535]], np.uint16)
    path = save(tmp_path / "deep.png", Image.fromarray(deep))
    assert read_picture(path).tolist() == [[0, 1, 255]]
    ink = np.zeros((1, 2, 4), np.uint8)
    ink[0, 0, 3] = 255
    path = save(tmp_path / "ink.png", Image.fromarray(ink))
    assert read_picture(path).tolist() == [[0, 255]]
    palette = Image.fromarray(GREY).convert("P")
    path = save(tmp_path / "palette.gif", palette)
    assert abs(read_picture(path).astype(int) - GREY).max() <= 4


def test_turned_as_the_camera_says(tmp_path):
    """Orientation 6: what was to the right belongs below."""
    kept = Image.Exif()
    kept[0x0112] = 6
    path = save(tmp_path / "a.png", Image.fromarray(GREY), exif=kept)
    np.testing.assert_array_equal(read_picture(path), np.rot90(GREY, -1))


@pytest.mark.parametrize(
    ("size", "want"),
    [
        ({}, (20, 30)),
        ({"height": 10}, (10, 15)),
        ({"width": 60}, (40, 60)),
        ({"height": 5, "width": 30}, (5, 30)),
        ({"height": 1}, (1, 2)),
    ],
)
def test_sizes(tmp_path, size, want):
    even = np.full((20, 30), 7, np.uint8)
    path = save(tmp_path / "a.png", Image.fromarray(even))
    for picture in (read_picture(path, **size), fit_picture(even, **size)):
        assert picture.shape == want
        assert (picture == 7).all()
    assert read_picture(path, colour=True, **size).shape == (*want, 3)


def test_what_fits_is_not_copied():
    assert fit_picture(GREY) is GREY
    assert fit_picture(GREY, height=2, width=3) is GREY
    bright = fit_picture(GREY, colour=True)
    assert fit_picture(bright, colour=True) is bright
    np.testing.assert_array_equal(fit_picture(bright), GREY)


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (GREY / 255, r"should be bytes \(uint8\), got float64 \(2, 3\); .*series"),
        (GREY[:0], r"got uint8 \(0, 3\)"),
        (GREY[0], r"should be \(height, width\).*got \(3,\)"),
        (np.zeros((2, 2, 4), np.uint8), r"got \(2, 2, 4\)"),
    ],
)
def test_arrays_that_are_no_pictures(pixels, says):
    with pytest.raises(DataError, match=says):
        fit_picture(pixels)


def test_files_that_cannot_be_used(tmp_path):
    path = save(
        tmp_path / "a.png",
        Image.fromarray(
            np.random.default_rng(0).integers(256, size=(40, 40), dtype=np.uint8)
        ),
    )
    whole = path.read_bytes()
    for content in (b"", b"no picture", whole[:500], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="a.png cannot be read as a picture"):
            read_picture(path)
    with pytest.raises(DataError, match="b.png does not exist"):
        read_picture(tmp_path / "b.png")
    with pytest.raises(DataError, match="cannot be read as a picture"):
        read_picture(tmp_path)
