"""Sounds as inputs: features every ten milliseconds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from throughtime.data.audio import read_sound, sound_features
from throughtime.errors import DataError
from throughtime.models.front_ends import VectorFrontEnd
from throughtime.models.network import NetworkConfig
from throughtime.tasks.inputs.audio_options import AudioOptions
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.inputs.moments import Moments
from throughtime.tasks.inputs.options_of import options_of
from throughtime.tasks.inputs.series import features, steps
from throughtime.tasks.path_table import place_of
from throughtime.tasks.task import RawExample


class AudioInputs(Inputs):
    """Sound files, standardised as the training part says; each is read once.

    Args:
        options: what is heard in them.
        sample_rate: of all sounds.
        mean: of each feature in training.
        std: of each feature.
        steps: fewest and most of a training example.
    """

    kind = "audio"

    def __init__(
        self,
        options: AudioOptions,
        sample_rate: int,
        mean: Sequence[float] = (),
        std: Sequence[float] = (),
        steps: Sequence[int] = (0, 0),
    ) -> None:
        self.options = options
        self.sample_rate = sample_rate
        self.mean, self.std, self.steps = list(mean), list(std), list(steps)
        self._heard: dict[Path, Tensor] = {}

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: Any) -> Self:
        if not raw:
            raise DataError("there are no training examples")
        chosen = options_of(AudioOptions, options)
        rate = chosen.sample_rate
        inputs = cls(chosen, rate or _read(raw[0], None)[1])
        moments, lengths = Moments(), []
        for example in raw:
            heard = inputs._features(example)
            lengths.append(len(heard))
            moments.add(heard)
        inputs.mean, inputs.std = moments.mean(), moments.std()
        inputs.steps = [min(lengths), max(lengths)]
        return inputs

    def to_dict(self) -> dict[str, Any]:
        return {
            "sample_rate": self.sample_rate,
            "mean": self.mean,
            "std": self.std,
            "steps": self.steps,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], options: Any) -> Self:
        return cls(
            options_of(AudioOptions, options),
            values["sample_rate"],
            values["mean"],
            values["std"],
            values["steps"],
        )

    def encode(self, example: RawExample) -> dict[str, Tensor]:
        return {"inputs": self._features(example)}

    def _features(self, example: RawExample) -> Tensor:
        path = Path(example.input)
        if path in self._heard:
            return self._heard[path]
        samples, rate = _read(example, self.options.sample_rate)
        if rate != self.sample_rate:
            raise DataError(
                f"{place_of(example)} has {rate} samples per second, and others "
                f"have {self.sample_rate}; train with --sample-rate {self.sample_rate}"
            )
        try:
            found = sound_features(
                samples,
                rate,
                self.options.features,
                coefficients=self.options.coefficients,
                deltas=self.options.deltas,
            )
        except DataError as error:
            raise DataError(f"{place_of(example)}: {error}") from error
        self._heard[path] = torch.from_numpy(found)
        return self._heard[path]

    def front_end(self, config: NetworkConfig) -> VectorFrontEnd:
        del config
        return VectorFrontEnd(len(self.mean), self.mean, self.std)

    def describe(self) -> str:
        name = self.options.features
        return f"{name}: {features(len(self.mean))}, {steps(*self.steps)}"


def _read(example: RawExample, sample_rate: int | None) -> tuple[Any, int]:
    try:
        return read_sound(example.input, sample_rate)
    except DataError as error:
        if str(error).startswith(example.where):
            raise
        raise DataError(f"{example.where}: {error}") from error
