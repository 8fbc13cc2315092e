"""Pictures, in folders or in a zip file, made as large as a network wants them."""

import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from throughtime.errors import DataError


@dataclass(frozen=True)
class Picture:
    """A picture that has not been read yet.

    Attributes:
        path: its file, or the zip file that it is in.
        inside: its name in the zip file.
    """

    path: Path
    inside: str | None = None

    def __str__(self) -> str:
        return str(self.path) if self.inside is None else f"{self.path}/{self.inside}"

    @property
    def name(self) -> str:
        """Without the folder."""
        return Path(self.inside or self.path).name

    def read(self) -> bytes:
        """Its content.

        Raises:
            OSError: it cannot be read.
            zipfile.BadZipFile: the zip file is damaged.
        """
        if self.inside is None:
            return self.path.read_bytes()
        with zipfile.ZipFile(self.path) as packed:
            return packed.read(self.inside)


class Album:
    """Where the pictures of a table are: a folder, or a zip file.

    Args:
        place: folder or zip file.

    Raises:
        DataError: there is none, or the zip file is damaged.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._inside: dict[str, str] | None = None
        if place.is_dir():
            return
        try:
            with zipfile.ZipFile(place) as packed:
                names = packed.namelist()
        except FileNotFoundError as error:
            raise DataError(f"{place} does not exist; check --images") from error
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{place} is neither a folder nor a zip file ({error}); check --images"
            ) from error
        # By the whole name, or its end without the folders.
        self._inside = {Path(n).name: n for n in names} | {n: n for n in names}

    def find(self, name: str, where: str) -> Picture:
        """The picture of this name.

        Raises:
            DataError: there is none; it names file and line.
        """
        if self._inside is not None:
            if name in self._inside:
                return Picture(self.place, self._inside[name])
        elif (self.place / name).is_file():
            return Picture(self.place / name)
        raise DataError(
            f"{where}: no picture {name} in {self.place}; copy it there, take the row "
            "out, or say with --images where the pictures are"
        )


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(
        error, UnidentifiedImageError
    ):  # its own words name a place in memory
        return "it is of no known kind"
    return str(error) or type(error).__name__


def load_picture(picture: Picture, size: int, grey: bool, where: str) -> Tensor:
    """The middle of a picture, uint8 (C, size, size), C = 1 if grey and else 3.

    Raises:
        DataError: it cannot be read; it names file and line.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(BytesIO(picture.read())) as found:
            turned = ImageOps.exif_transpose(found).convert("L" if grey else "RGB")
        middle = ImageOps.fit(turned, (size, size), Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, KeyError, zipfile.BadZipFile) as error:
        place = str(picture) if str(picture) == where else f"{where}: {picture}"
        raise DataError(
            f"{place} cannot be read as a picture ({_reason(error)}); replace it, or "
            "take it out"
        ) from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{where}: {picture} is too large ({error})") from error
    pixels = np.array(middle, dtype=np.uint8).reshape(size, size, -1)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
