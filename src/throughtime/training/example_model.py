"""What a model of separate sequences offers to training."""

from typing import Protocol

from torch import Tensor

from throughtime.data.examples import Batch


class ExampleModel(Protocol):
    """A model that knows the loss of a batch, as ``Examples.batch`` makes them."""

    def batch_loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The sum of the losses of all targets that count, and how many these are."""
        ...
