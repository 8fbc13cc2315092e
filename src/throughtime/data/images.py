"""Pictures as arrays of bytes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from throughtime.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

# Grey values of 16 bits: the lower 8 are left out.
DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")
WHITE = (255, 255, 255, 255)


def read_picture(
    path: str | Path,
    *,
    height: int | None = None,
    width: int | None = None,
    colour: bool = False,
) -> NDArray[np.uint8]:
    """The pixels of a picture, (height, width), or (height, width, 3) in colour.

    It is turned as its camera says, and put on white where it is transparent. Of an
    animation the first picture counts.

    Args:
        path: png, jpeg or whatever else pillow reads.
        height: it is made so high; default: as it is, or as ``width`` makes it.
        width: it is made so wide; default: as it is, or as ``height`` makes it.
        colour: red, green and blue, instead of how bright it is.

    Raises:
        DataError: it is missing, unreadable or damaged.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.png"
    ...     Image.new("L", (6, 4), 200).save(path)
    ...     read_picture(path, height=2).tolist()
    [[200, 200, 200], [200, 200, 200]]
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as found:
            return _pixels(ImageOps.exif_transpose(found), height, width, colour)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; check the path") from error
    except (OSError, ValueError, SyntaxError, KeyError) as error:
        raise DataError(
            f"{path} cannot be read as a picture ({error}); replace it, or take it out"
        ) from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} is too large ({error})") from error


def fit_picture(
    pixels: NDArray[Any],
    *,
    height: int | None = None,
    width: int | None = None,
    colour: bool = False,
) -> NDArray[np.uint8]:
    """The same of pixels that are at hand, (height, width) or (height, width, 3).

    What fits already is returned as it is.

    Raises:
        DataError: they are no bytes, or of another shape.

    >>> fit_picture(np.zeros((4, 6), np.uint8), width=3, colour=True).shape
    (2, 3, 3)
    """
    from PIL import Image

    if pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise DataError(
            f"a picture should be bytes (uint8), got {pixels.dtype} {pixels.shape}; "
            "other numbers are read as --inputs series"
        )
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        raise DataError(
            "a picture should be (height, width), or in colour (height, width, 3), got "
            f"{pixels.shape}"
        )
    wanted = _size(pixels.shape[0], pixels.shape[1], height, width)
    if wanted == pixels.shape[:2] and colour == (pixels.ndim == 3):
        return pixels
    return _pixels(Image.fromarray(pixels), height, width, colour)


def _pixels(
    picture: "Image", height: int | None, width: int | None, colour: bool
) -> NDArray[np.uint8]:
    from PIL import Image

    if picture.mode in DEEP:
        deep = np.asarray(picture).clip(0, 65535) // 256
        picture = Image.fromarray(deep.astype(np.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, WHITE)
        picture = Image.alpha_composite(paper, picture)
    picture = picture.convert("RGB" if colour else "L")
    wanted = _size(picture.height, picture.width, height, width)
    if wanted != (picture.height, picture.width):
        picture = picture.resize((wanted[1], wanted[0]), Image.Resampling.LANCZOS)
    return np.array(picture, dtype=np.uint8)


def _size(
    have_height: int, have_width: int, height: int | None, width: int | None
) -> tuple[int, int]:
    """Height and width; where one is not said, the shape is kept."""
    if height is None and width is None:
        return have_height, have_width
    if height is None:
        assert width is not None
        return max(1, round(have_height * width / have_width)), width
    if width is None:
        return height, max(1, round(have_width * height / have_height))
    return height, width
