"""Pictures as inputs: a row, a column or a pixel at each step."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.images import fit_picture, read_picture
from throughtime.errors import DataError
from throughtime.models.front_ends import VectorFrontEnd
from throughtime.models.network import NetworkConfig
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.inputs.image_options import ImageOptions
from throughtime.tasks.inputs.options_of import options_of
from throughtime.tasks.inputs.series import features, steps
from throughtime.tasks.task import RawExample

# What all pictures must have in common.
SIDES = {"rows": "wide", "columns": "high"}
HINT = "--height and --width"
Pixels = NDArray[np.uint8]


class ImageInputs(Inputs):
    """Picture files, each of which is read once, or arrays of bytes.

    Bytes stay bytes until the front end standardises them, all pixels alike.

    Args:
        options: how pictures are read; a task without the option ``steps`` reads
            columns, as writing goes.
        mean: of a pixel in training.
        std: of a pixel.
        features: of each step.
        steps: fewest and most of a training example.
        shape: height and width of the pictures, where pixels are shuffled.
    """

    kind = "image"

    def __init__(
        self,
        options: ImageOptions,
        mean: float,
        std: float,
        features: int,
        steps: Sequence[int],
        shape: Sequence[int] | None = None,
    ) -> None:
        self.options = options
        self.mean, self.std = mean, std
        self.features, self.steps = features, list(steps)
        self.shape = None if shape is None else tuple(shape)
        self._seen: dict[Path, Pixels] = {}

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: Any) -> Self:
        if not raw:
            raise DataError("there are no training examples")
        inputs = cls(_options(options), 0.0, 1.0, 0, [0, 0])
        first = inputs._picture(raw[0])
        inputs.features = inputs._sequence(first).shape[1]
        if inputs.options.permute is not None:
            inputs.shape = first.shape[:2]
        counts = np.zeros(256, dtype=np.int64)
        lengths = []
        for example in raw:
            picture = inputs._picture(example)
            lengths.append(len(inputs._checked(picture, example)))
            counts += np.bincount(picture.reshape(-1), minlength=256)
        values, share = np.arange(256), counts / counts.sum()
        inputs.mean = float(share @ values)
        inputs.std = float(share @ (values - inputs.mean) ** 2) ** 0.5
        inputs.steps = [min(lengths), max(lengths)]
        return inputs

    def to_dict(self) -> dict[str, Any]:
        return {
            "mean": self.mean,
            "std": self.std,
            "features": self.features,
            "steps": self.steps,
            "shape": None if self.shape is None else list(self.shape),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], options: Any) -> Self:
        known = {k: v for k, v in values.items() if k != "kind"}
        return cls(_options(options), **known)

    def encode(self, example: RawExample) -> dict[str, Tensor]:
        sequence = self._checked(self._picture(example), example)
        return {"inputs": torch.from_numpy(sequence)}

    def _picture(self, example: RawExample) -> Pixels:
        """(height, width), in colour (height, width, 3)."""
        options, found = self.options, example.input
        size = {"height": options.height, "width": options.width}
        try:
            if isinstance(found, np.ndarray):
                return fit_picture(found, **size, colour=options.colour)
            if found not in self._seen:
                self._seen[found] = read_picture(found, **size, colour=options.colour)
            return self._seen[found]
        except DataError as error:
            if str(error).startswith(example.where):
                raise
            raise DataError(f"{example.where}: {error}") from error

    def _checked(self, picture: Pixels, example: RawExample) -> Pixels:
        """The steps of a picture, all of the size that was learnt."""
        sequence = self._sequence(picture)
        high, wide = picture.shape[:2]
        if sequence.shape[1] != self.features:
            side = SIDES[self.options.steps]
            channels = 3 if self.options.colour else 1
            raise DataError(
                f"{example.where}: the picture is {wide} x {high}, and others are "
                f"{self.features // channels} {side}; make all alike with {HINT}"
            )
        if self.shape is not None and picture.shape[:2] != self.shape:
            raise DataError(
                f"{example.where}: the picture is {wide} x {high}, and others are "
                f"{self.shape[1]} x {self.shape[0]}, so their pixels cannot be "
                f"shuffled alike; make all alike with {HINT}"
            )
        return sequence

    def _sequence(self, picture: Pixels) -> Pixels:
        """(T, F)."""
        high, wide = picture.shape[:2]
        if self.shape == (high, wide):
            shuffled = picture.reshape(high * wide, -1)[self._order]
            picture = shuffled.reshape(picture.shape)
        if self.options.steps == "rows":
            return picture.reshape(high, -1)
        if self.options.steps == "columns":
            return picture.swapaxes(0, 1).reshape(wide, -1)
        return picture.reshape(high * wide, -1)

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """Where each pixel of the shuffled picture comes from."""
        assert self.shape is not None
        draw = np.random.default_rng(self.options.permute)
        return draw.permutation(self.shape[0] * self.shape[1])

    def front_end(self, config: NetworkConfig) -> VectorFrontEnd:
        del config
        size = self.features
        return VectorFrontEnd(size, [self.mean] * size, [self.std] * size)

    def describe(self) -> str:
        return f"{features(self.features)}, {steps(*self.steps)}"


def _options(options: Any) -> ImageOptions:
    return options_of(ImageOptions, options, steps="columns")
