"""A small convolutional network from a picture to a vector, or to one of each part."""

import torch
from torch import Tensor, nn

from throughtime.checks import boolean, positive_int
from throughtime.data.examples import Batch
from throughtime.errors import InvalidShape
from throughtime.models.network import valid_steps

# Filters double while the sides halve.
FIRST_FILTERS = 32
SMALLEST_SIDE = 4


class PictureEncoder(nn.Module):
    """Pictures (1, B, C, height, width) to vectors (G, B, ``features``).

    Convolutions of 3 x 3 with stride 2, each with batch normalisation and rectifier,
    until a side is at most 4 wide. G is the number of parts of the picture that are
    left, in rows from the top left, or 1 for their mean. Whole numbers 0 to 255 become
    -1 to 1. A picture that is missing, of length 0, gives zeros.

    Args:
        channels: C, 1 for grey, 3 for colour.
        height: of all pictures.
        width: of all pictures.
        features: of each vector.
        grid: a vector for each part of the picture, for attention, instead of one.
        flip: mirror half of the pictures in training, left for right.

    Raises:
        InvalidType: a size is no int, or an option no bool.
        InvalidValue: a size is not positive.

    >>> encoder = PictureEncoder(3, 64, 64, features=8, grid=True)
    >>> pictures = torch.zeros(1, 2, 3, 64, 64, dtype=torch.uint8)
    >>> batch = {"inputs": pictures, "inputs_lengths": torch.tensor([1, 1])}
    >>> encoder(batch).shape
    torch.Size([16, 2, 8])
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        features: int,
        *,
        grid: bool = False,
        flip: bool = False,
    ) -> None:
        super().__init__()
        self.shape = (
            positive_int("channels", channels),
            positive_int("height", height),
            positive_int("width", width),
        )
        self.output_size = positive_int("features", features)
        self.grid, self.flip = boolean("grid", grid), boolean("flip", flip)
        sizes, side = [channels], min(height, width)
        while side > SMALLEST_SIDE:
            sizes.append(FIRST_FILTERS << (len(sizes) - 1))
            side = -(-side // 2)
        sizes = [*sizes[:-1], features] if len(sizes) > 1 else [*sizes, features]
        layers: list[nn.Module] = []
        for read, made in zip(sizes, sizes[1:], strict=False):
            layers += [
                nn.Conv2d(read, made, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(made),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, batch: Batch) -> Tensor:
        """Vectors (G, B, ``features``).

        Raises:
            InvalidShape: pictures of another shape.
        """
        pictures = batch["inputs"]
        if tuple(pictures.shape[2:]) != self.shape or len(pictures) > 1:
            raise InvalidShape(
                f"inputs must be (1, B, {', '.join(map(str, self.shape))}), one "
                f"picture each, got {tuple(pictures.shape)}"
            )
        present = valid_steps(batch["inputs_lengths"], pictures)
        weight = next(self.layers.parameters())
        chosen = pictures[present]
        if not chosen.is_floating_point():
            chosen = chosen.to(weight.dtype) / 127.5 - 1
        if self.training and self.flip:
            mirrored = torch.rand(len(chosen), 1, 1, 1, device=chosen.device) < 0.5
            chosen = chosen.flip(-1).where(mirrored, chosen)
        features = self.layers(chosen.to(weight.dtype)).flatten(2).permute(2, 0, 1)
        if not self.grid:
            features = features.mean(0, keepdim=True)
        outputs = features.new_zeros(len(features), pictures.size(1), self.output_size)
        return outputs.index_copy(1, present.any(0).nonzero()[:, 0], features)
