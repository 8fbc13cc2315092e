"""Problems without files, made to need memory."""

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidValue


def adding(
    steps: int, count: int, *, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """The adding problem: the sum of the two marked numbers of a sequence.

    Feature 0 is U[0, 1], feature 1 marks two different steps anywhere. Hochreiter and
    Schmidhuber, 1997, in the form of Bai, Kolter and Koltun, arXiv 1803.01271. Always
    answering 1 has the mean squared error 1/6.

    Args:
        steps: T >= 2.
        count: sequences B.
        generator: where the numbers come from.

    Returns:
        x (T, B, 2) and targets (B,).

    Raises:
        InvalidValue: fewer than 2 steps, or no sequence.

    >>> x, target = adding(10, 4)
    >>> bool(((x[..., 0] * x[..., 1]).sum(0) == target).all())
    True
    """
    positive_int("count", count)
    if positive_int("steps", steps) < 2:
        raise InvalidValue(f"steps must be at least 2 for two marks, got {steps}")
    values = torch.rand(steps, count, generator=generator)
    order = torch.rand(steps, count, generator=generator).argsort(0)
    marks = torch.zeros(steps, count).scatter_(0, order[:2], 1.0)
    return torch.stack([values, marks], -1), (values * marks).sum(0)
