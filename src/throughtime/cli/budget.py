"""The hidden size at which a language model has a given number of parameters."""

import math
from dataclasses import replace

import torch

from throughtime.cells import cell_title
from throughtime.cli.lm_measure import count_parameters
from throughtime.errors import InvalidValue
from throughtime.models import LanguageModel, LanguageModelConfig

# Three small models; their counts fix the polynomial of the second degree in H.
_SIZES = (8, 16, 24)


def hidden_size_for(
    parameters: int, vocabulary_size: int, config: LanguageModelConfig
) -> int:
    """H with the count of parameters closest to ``parameters``.

    The count of every recurrent model is a H² + b H + c: matrices, vectors, numbers.

    Args:
        parameters: how many the whole model may have.
        vocabulary_size: V.
        config: the model but for its ``hidden_size``.

    Raises:
        InvalidValue: even one hidden unit takes more.

    >>> hidden_size_for(40 * 40 * 2 + 40 * 2 + 2 * 5 * 40 + 5, 5,
    ...     LanguageModelConfig(cell="elman"))
    40
    """
    with torch.random.fork_rng(devices=[]):
        counts = [
            count_parameters(
                LanguageModel(vocabulary_size, replace(config, hidden_size=size))
            )
            for size in _SIZES
        ]
    step = _SIZES[0]
    a = (counts[2] - 2 * counts[1] + counts[0]) / (2 * step**2)
    b = (counts[1] - counts[0]) / step - a * (_SIZES[0] + _SIZES[1])
    c = counts[0] - a * step**2 - b * step

    def count(size: int) -> float:
        return a * size**2 + b * size + c

    if parameters < count(1):
        raise InvalidValue(
            f"--parameters {parameters}: a model of this text with the cell "
            f"{cell_title(config.cell)} has at least {count(1):,.0f}; give more"
        )
    if a > 0:
        best = (math.sqrt(b * b + 4 * a * (parameters - c)) - b) / (2 * a)
    else:
        best = (parameters - c) / b
    below = max(1, math.floor(best))
    return min((below, below + 1), key=lambda size: abs(count(size) - parameters))
