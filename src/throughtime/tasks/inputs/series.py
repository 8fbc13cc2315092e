"""Series of numbers as inputs."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.errors import DataError
from throughtime.models.front_ends import VectorFrontEnd
from throughtime.models.network import NetworkConfig
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.inputs.moments import Moments
from throughtime.tasks.task import RawExample


class SeriesInputs(Inputs):
    """Arrays (T, F), standardised as the training part says.

    NaN is a missing number. With the option ``missing="skip"`` a step where one is
    missing is a step without input; otherwise it is an error.

    Args:
        mean: of each feature in training.
        std: of each feature; 0 for one that never changed.
        steps: fewest and most of a training example.
        missing: ``error`` or ``skip``.
    """

    kind = "series"

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        steps: Sequence[int],
        missing: str = "error",
    ) -> None:
        self.mean, self.std = list(mean), list(std)
        self.steps, self.missing = list(steps), missing

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: Any) -> Self:
        missing = getattr(options, "missing", "error")
        if not raw:
            raise DataError("there are no training examples")
        size = cls._series(raw[0]).shape[1]
        if not size:
            raise DataError(f"{raw[0].where}: the series has no feature")
        moments, lengths = Moments(), []
        for example in raw:
            series = _checked(cls._series(example), example, missing)
            if series.shape[1] != size:
                raise DataError(
                    f"{example.where}: {series.shape[1]} features, and {raw[0].where} "
                    f"has {size}; all should have as many"
                )
            lengths.append(len(series))
            moments.add(series[_present(series)])
        if not moments.count:
            raise DataError(
                f"{raw[0].where}: no training example has a step without a missing "
                "number; fill some in"
            )
        return cls(moments.mean(), moments.std(), [min(lengths), max(lengths)], missing)

    @staticmethod
    def _series(example: RawExample) -> Tensor:
        """The numbers (T, F)."""
        array = numbers_of(example)
        if array.ndim != 2 or array.dtype.kind not in "biuf":
            raise DataError(
                f"{example.where}: a series should be numbers (steps, features), got "
                f"{array.dtype} {array.shape}"
            )
        return torch.from_numpy(array.astype(np.float32))

    def to_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std, "steps": self.steps}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], options: Any) -> Self:
        missing = getattr(options, "missing", "error")
        return cls(values["mean"], values["std"], values["steps"], missing)

    def encode(self, example: RawExample) -> dict[str, Tensor]:
        series = _checked(self._series(example), example, self.missing)
        if series.shape[1] != len(self.mean):
            raise DataError(
                f"{example.where}: {series.shape[1]} features, and what was trained "
                f"reads {len(self.mean)}"
            )
        present = _present(series)
        if present.all():
            return {"inputs": series}
        return {"inputs": series.nan_to_num(0.0), "inputs_present": present}

    def front_end(self, config: NetworkConfig) -> VectorFrontEnd:
        del config
        return VectorFrontEnd(len(self.mean), self.mean, self.std)

    def describe(self) -> str:
        return f"{features(len(self.mean))}, {steps(*self.steps)}"


def features(count: int) -> str:
    """How many, in words.

    >>> features(1), features(12)
    ('1 feature', '12 features')
    """
    return f"{count:,} feature{'' if count == 1 else 's'}"


def steps(fewest: int, most: int) -> str:
    """How many there are, in words.

    >>> steps(7, 29), steps(28, 28), steps(1, 1)
    ('7 to 29 steps', '28 steps', '1 step')
    """
    if fewest != most:
        return f"{fewest:,} to {most:,} steps"
    return f"{most:,} step{'' if most == 1 else 's'}"


def numbers_of(example: RawExample) -> NDArray[Any]:
    """The array that an input is.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(example.input, np.ndarray):
        raise DataError(
            f"{example.where}: expected numbers, got {str(example.input)[:40]!r}; give "
            "files of numbers, or with --inputs series say that they are"
        )
    return example.input


def _present(series: Tensor) -> Tensor:
    return ~series.isnan().any(1)


def _checked(series: Tensor, example: RawExample, missing: str) -> Tensor:
    if series.isinf().any():
        raise DataError(
            f"{example.where}: a number is infinite; correct it, or write it as a "
            "missing one"
        )
    if missing == "error" and series.isnan().any():
        raise DataError(
            f"{example.where}: a number is missing; fill it in, or say --missing skip"
        )
    return series
