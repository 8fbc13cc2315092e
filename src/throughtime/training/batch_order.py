"""Which examples stand side by side, in which order."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Examples of so many batches are sorted by length before they are cut into batches:
# little padding, and still other neighbours in every epoch.
POOL = 32


@dataclass(frozen=True)
class BatchOrder:
    """The batches of every epoch: each example once, similar lengths together.

    Attributes:
        lengths: steps of each example, (N,).
        batch_size: examples of a batch; the last of an epoch's pools may have fewer.
        seed: of the order; each epoch has another.

    >>> order = BatchOrder(torch.tensor([3, 9, 3, 9]), 2, seed=0)
    >>> sorted(batch.sort().values.tolist() for batch in order.epoch(0))
    [[0, 2], [1, 3]]
    """

    lengths: Tensor
    batch_size: int
    seed: int = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        pool = POOL * self.batch_size
        whole, rest = divmod(len(self.lengths), pool)
        return whole * POOL + -(-rest // self.batch_size)

    def epoch(self, number: int) -> list[Tensor]:
        """The indices of each batch, in order."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        shuffled = torch.randperm(len(self.lengths), generator=generator)
        batches: list[Tensor] = []
        for pool in shuffled.split(POOL * self.batch_size):
            # Stable: examples of one length stay as they were shuffled.
            order = self.lengths[pool].argsort(stable=True)
            batches += pool[order].split(self.batch_size)
        mixed = torch.randperm(len(batches), generator=generator).tolist()
        return [batches[i] for i in mixed]
