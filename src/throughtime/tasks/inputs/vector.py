"""Vectors of numbers as inputs: sequences of one step."""

import numpy as np
import torch
from torch import Tensor

from throughtime.errors import DataError
from throughtime.tasks.inputs.series import SeriesInputs, features, numbers_of
from throughtime.tasks.task import RawExample


class VectorInputs(SeriesInputs):
    """Arrays (F,), each read in one step; otherwise as ``SeriesInputs``."""

    kind = "vector"

    @staticmethod
    def _series(example: RawExample) -> Tensor:
        array = numbers_of(example)
        if array.ndim != 1 or array.dtype.kind not in "biuf":
            raise DataError(
                f"{example.where}: a vector should be numbers (features,), got "
                f"{array.dtype} {array.shape}"
            )
        return torch.from_numpy(array.astype(np.float32))[None]

    def describe(self) -> str:
        return features(len(self.mean))
