"""Mean and standard deviation of features over many series, one after the other."""

import torch
from torch import Tensor


class Moments:
    """Counts rows of F features, which need not be held together.

    What is summed is the distance from the first row, so that a feature that never
    changes has the standard deviation 0 and not a rounding error.

    >>> moments = Moments()
    >>> moments.add(torch.tensor([[1.0, 0.5], [3.0, 0.5]]))
    >>> moments.mean(), moments.std()
    ([2.0, 0.5], [1.0, 0.0])
    """

    def __init__(self) -> None:
        self.count = 0
        self._origin: Tensor | None = None
        self._sum: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """Count the rows of a tensor (N, F), N may be 0."""
        if not len(rows):
            return
        rows = rows.double()
        if self._origin is None or self._sum is None or self._squares is None:
            self._origin = rows[0]
            self._sum = torch.zeros_like(rows[0])
            self._squares = torch.zeros_like(rows[0])
        distance = rows - self._origin
        self.count += len(rows)
        self._sum += distance.sum(0)
        self._squares += distance.square().sum(0)

    def mean(self) -> list[float]:
        """Of each feature; empty if nothing was counted."""
        if self._origin is None or self._sum is None:
            return []
        return (self._origin + self._sum / self.count).tolist()

    def std(self) -> list[float]:
        """Of each feature, divided by N; empty if nothing was counted."""
        if self._sum is None or self._squares is None:
            return []
        variance = self._squares / self.count - (self._sum / self.count).square()
        return variance.clamp(min=0).sqrt().tolist()
