"""Features of pictures by networks that others trained, from torchvision."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import DataError, InvalidValue, unknown_name

# The encoder that is trained here, along with what reads it.
OWN = "own"


@cache
def _network(name: str) -> tuple[nn.Module, Any, int]:
    """The network without its last layer, what prepares pictures, and their side.

    Raises:
        DataError: torchvision, or the weights, cannot be had.
        InvalidValue: unknown name.
    """
    try:
        from torchvision import (  # pyright: ignore[reportMissingImports]
            models,
        )
    except ImportError as error:
        raise DataError(
            f"network {name} needs torchvision: pip install 'throughtime[vision]', or "
            f"leave it at {OWN}"
        ) from error
    known = [n for n in models.list_models(module=models) if n.startswith("resnet")]
    if name not in known:
        raise unknown_name("network", name, [OWN, *known])
    try:
        weights = models.get_model_weights(name).DEFAULT
        network = models.get_model(name, weights=weights)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"the weights of {name} could not be loaded ({error}); they are fetched "
            f"once from the network, or leave network at {OWN}"
        ) from error
    network.fc = nn.Identity()
    prepare = weights.transforms()
    return network.eval(), prepare, int(prepare.resize_size[0])


def pretrained_features(name: str, load: Callable[[int], Tensor]) -> Tensor:
    """What a network says of a picture before it names a class, (F,).

    Args:
        name: of the network, a ResNet of torchvision.
        load: from a side to the picture, uint8 (3, side, side).

    Raises:
        DataError: torchvision, or the weights, cannot be had.
        InvalidValue: unknown name, or the network gives no vector.
    """
    network, prepare, side = _network(name)
    with torch.no_grad():
        features = network(prepare(load(side))[None])[0]
    if features.dim() != 1:
        raise InvalidValue(f"{name} gives no vector but {tuple(features.shape)}")
    return features
