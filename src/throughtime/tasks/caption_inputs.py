"""What a text is written about: a picture, or a vector of numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from throughtime.errors import DataError, InvalidValue
from throughtime.models.captioner import CaptionerConfig
from throughtime.models.front_ends import VectorFrontEnd
from throughtime.models.network import NetworkConfig
from throughtime.models.picture_encoder import PictureEncoder
from throughtime.tasks.caption_options import CaptionOptions
from throughtime.tasks.inputs.base import Inputs
from throughtime.tasks.pictures import Picture, load_picture
from throughtime.tasks.pretrained import OWN, pretrained_features
from throughtime.tasks.task import RawExample


class PictureInputs(Inputs):
    """One picture as a sequence of one step; each file is read once.

    Args:
        options: size and colours of the pictures, and what looks at them.
        statistics: mean and standard deviation of each feature, where a network that
            others trained gives features.
    """

    kind = "picture"

    def __init__(
        self,
        options: CaptionOptions,
        statistics: tuple[list[float], list[float]] | None = None,
    ) -> None:
        self.options = options
        self.statistics = statistics
        self._read: dict[Picture, Tensor] = {}

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: CaptionOptions) -> Self:
        inputs = cls(options)
        if options.network != OWN:
            inputs.statistics = _statistics([inputs._features(e)[0] for e in raw])
        return inputs

    def to_dict(self) -> dict[str, Any]:
        return {"statistics": self.statistics}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], options: CaptionOptions) -> Self:
        return cls(options, values["statistics"])

    def picture(self, example: RawExample) -> Tensor:
        """uint8 (C, size, size)."""
        options, picture = self.options, example.input
        if picture not in self._read:
            self._read[picture] = load_picture(
                picture, options.size, options.grey, example.where
            )
        return self._read[picture]

    def _features(self, example: RawExample) -> Tensor:
        if example.input not in self._read:
            found = pretrained_features(
                self.options.network,
                lambda side: load_picture(example.input, side, False, example.where),
            )
            self._read[example.input] = found[None]
        return self._read[example.input]

    def encode(self, example: RawExample) -> dict[str, Tensor]:
        if self.options.network != OWN:
            return {"inputs": self._features(example)}
        return {"inputs": self.picture(example)[None]}

    def front_end(self, config: NetworkConfig) -> nn.Module:
        assert isinstance(config, CaptionerConfig)
        options = self.options
        if self.statistics is not None:
            _refuse_attention(config, "features of a whole picture")
            return VectorFrontEnd(len(self.statistics[0]), *self.statistics)
        return PictureEncoder(
            1 if options.grey else 3,
            options.size,
            options.size,
            config.encoded,
            grid=config.attention,
            flip=options.flip,
        )

    def describe(self) -> str:
        return f"pictures of {self.options.size} x {self.options.size}"


class VectorInputs(Inputs):
    """A vector of numbers as a sequence of one step.

    Args:
        mean: of each number in training.
        std: its standard deviation.
    """

    kind = "numbers"

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = list(mean), list(std)

    @classmethod
    def fit(cls, raw: Sequence[RawExample], options: CaptionOptions) -> Self:
        del options
        for example in raw:
            if len(example.input) != len(raw[0].input):
                raise DataError(
                    f"{example.where}: {len(example.input)} numbers, and "
                    f"{raw[0].where} has {len(raw[0].input)}"
                )
        return cls(*_statistics([torch.tensor(e.input) for e in raw]))

    def to_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "std": self.std}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], options: CaptionOptions) -> Self:
        del options
        return cls(values["mean"], values["std"])

    def encode(self, example: RawExample) -> dict[str, Tensor]:
        if len(example.input) != len(self.mean):
            raise DataError(
                f"{example.where}: {len(example.input)} numbers, and what was trained "
                f"reads {len(self.mean)}"
            )
        return {"inputs": torch.tensor([example.input])}

    def front_end(self, config: NetworkConfig) -> nn.Module:
        assert isinstance(config, CaptionerConfig)
        _refuse_attention(config, "a vector")
        return VectorFrontEnd(len(self.mean), self.mean, self.std)

    def describe(self) -> str:
        return f"vectors of {len(self.mean)} numbers"


def _statistics(rows: Sequence[Tensor]) -> tuple[list[float], list[float]]:
    together = torch.stack(list(rows)).double()
    return together.mean(0).tolist(), together.std(0, correction=0).tolist()


def _refuse_attention(config: CaptionerConfig, what: str) -> None:
    if config.attention:
        raise InvalidValue(
            f"attention looks at the parts of a picture, and {what} has none; leave it "
            "out"
        )
