r"""What reads a batch: from tokens, numbers or pictures to vectors, (T, B, I).

Every front end takes a batch of ``Examples.batch`` and uses these entries:

``inputs``            the steps, time first
``inputs_lengths``    how many there are, (B,)
``inputs_present``    optional, bool (T, B): False where a step has no input

Steps that have no input, and those beyond the end, give the zero vector.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.checks import positive_int, probability
from throughtime.data.examples import Batch
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.models.network import valid_steps

# Pictures are halved until a side is at most this long.
SMALLEST_SIDE = 4
WIDTHS = (16, 32, 64)


def present_steps(batch: Batch) -> Tensor:
    """True where there is an input, (T, B).

    >>> batch = {"inputs": torch.zeros(2, 2), "inputs_lengths": torch.tensor([2, 1])}
    >>> present_steps(batch).tolist()
    [[True, True], [True, False]]
    """
    steps = valid_steps(batch["inputs_lengths"], batch["inputs"])
    present = batch.get("inputs_present")
    return steps if present is None else steps & present


class TokenFrontEnd(nn.Module):
    """Embeddings of tokens, (T, B) -> (T, B, E).

    Args:
        vocabulary_size: V.
        embedding_size: E.
        dropout: p of an embedded element.
        word_dropout: share of the tokens that training replaces by ``unknown``, so
            that something is learnt for words that are unknown (Iyyer et al., 2015,
            https://aclanthology.org/P15-1162, drop words altogether).
        unknown: index of the unknown token.

    Raises:
        InvalidValue: ``word_dropout`` without ``unknown``; a value out of range.

    >>> front_end = TokenFrontEnd(5, 3)
    >>> tokens = torch.tensor([[4, 1], [2, 0]])
    >>> batch = {"inputs": tokens, "inputs_lengths": torch.tensor([2, 1])}
    >>> front_end(batch).shape, front_end(batch)[1, 1].tolist()
    (torch.Size([2, 2, 3]), [0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        dropout: float = 0.0,
        *,
        word_dropout: float = 0.0,
        unknown: int | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(
            positive_int("vocabulary_size", vocabulary_size),
            positive_int("embedding_size", embedding_size),
        )
        self.dropout = probability("dropout", dropout)
        self.word_dropout = probability("word_dropout", word_dropout)
        if word_dropout and unknown is None:
            raise InvalidValue("word_dropout needs the index of the unknown token")
        if unknown is not None and not 0 <= unknown < vocabulary_size:
            raise InvalidValue(
                f"unknown must be an index below {vocabulary_size}, got {unknown}"
            )
        self.unknown = unknown
        self.output_size = embedding_size

    def forward(self, batch: Batch) -> Tensor:
        tokens = batch["inputs"]
        if self.training and self.word_dropout:
            assert self.unknown is not None
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.word_dropout
            tokens = tokens.masked_fill(dropped, self.unknown)
        embedded = F.dropout(self.embedding(tokens), self.dropout, self.training)
        return embedded * present_steps(batch).unsqueeze(-1)


class VectorFrontEnd(nn.Module):
    """Standardised numbers, (T, B, I) -> (T, B, I): (x - mean) / std.

    Numbers of any type become that of the module. A feature whose ``std`` is 0 was
    constant in training and is only centred. What a step without input holds, NaN for
    instance, goes nowhere.

    Args:
        size: I.
        mean: of each feature in the training part; default: 0.
        std: standard deviation of each feature; default: 1.

    Raises:
        InvalidShape: ``mean`` or ``std`` has not ``size`` entries.
        InvalidValue: ``std`` is negative, or an entry is not finite.

    >>> front_end = VectorFrontEnd(2, mean=[1.0, 5.0], std=[2.0, 0.0])
    >>> x = torch.tensor([[[5, 5]]])
    >>> front_end({"inputs": x, "inputs_lengths": torch.tensor([1])}).tolist()
    [[[2.0, 0.0]]]
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        size: int,
        mean: Sequence[float] | Tensor | None = None,
        std: Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.output_size = positive_int("size", size)
        for name, values, default in (("mean", mean, 0.0), ("std", std, 1.0)):
            values = [default] * size if values is None else values
            entries = torch.as_tensor(values, dtype=torch.get_default_dtype()).clone()
            if entries.shape != (size,):
                raise InvalidShape(
                    f"{name} must have {size} entries, got {tuple(entries.shape)}"
                )
            if not entries.isfinite().all() or (name == "std" and entries.lt(0).any()):
                raise InvalidValue(f"{name} must be finite, std not negative")
            self.register_buffer(name, entries)

    def forward(self, batch: Batch) -> Tensor:
        x = batch["inputs"]
        if x.dim() != 3 or x.size(-1) != self.output_size:
            raise InvalidShape(
                f"inputs must be (T, B, {self.output_size}), got {tuple(x.shape)}"
            )
        scale = self.std.where(self.std > 0, 1)
        x = (x.to(self.mean.dtype) - self.mean) / scale
        return x.where(present_steps(batch).unsqueeze(-1), 0)


class ImageFrontEnd(nn.Module):
    """A small convolutional network on the picture of each step.

    (T, B, C, height, width) -> (T, B, ``features``). Convolutions of 3 x 3, each with
    rectifier and 2 x 2 maximum behind it, halve the picture until a side is at most 4;
    a linear layer and a rectifier end it. Whole numbers 0 to 255 become 0 to 1. Only
    the steps with an input are computed.

    Args:
        channels: C, 1 for grey, 3 for colour.
        height: of all pictures.
        width: of all pictures.
        features: of each step.

    Raises:
        InvalidType: a size is no int.
        InvalidValue: a size is not positive.

    >>> front_end = ImageFrontEnd(1, 16, 8, features=10)
    >>> pictures = torch.zeros(5, 2, 1, 16, 8, dtype=torch.uint8)
    >>> batch = {"inputs": pictures, "inputs_lengths": torch.tensor([5, 3])}
    >>> front_end(batch).shape
    torch.Size([5, 2, 10])
    """

    def __init__(self, channels: int, height: int, width: int, features: int) -> None:
        super().__init__()
        self.shape = (
            positive_int("channels", channels),
            positive_int("height", height),
            positive_int("width", width),
        )
        self.output_size = positive_int("features", features)
        layers: list[nn.Module] = []
        while min(height, width) > SMALLEST_SIDE:
            filters = WIDTHS[min(len(layers) // 3, len(WIDTHS) - 1)]
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
            channels, height, width = filters, height // 2, width // 2
        size = channels * height * width
        layers += [nn.Flatten(), nn.Linear(size, features), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, batch: Batch) -> Tensor:
        pictures = batch["inputs"]
        if tuple(pictures.shape[2:]) != self.shape:
            raise InvalidShape(
                f"inputs must be (T, B, {', '.join(map(str, self.shape))}), "
                f"got {tuple(pictures.shape)}"
            )
        present = present_steps(batch)
        weight = next(self.layers.parameters())
        chosen = pictures[present]
        if not chosen.is_floating_point():
            chosen = chosen.to(weight.dtype) / 255
        features = self.layers(chosen.to(weight.dtype))
        outputs = features.new_zeros((*present.shape, self.output_size))
        return outputs.masked_scatter(present.unsqueeze(-1), features)
