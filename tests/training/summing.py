"""Sequences of numbers and their sums, for trainings on separate examples."""

import torch
from torch import nn

import throughtime as tt
from throughtime.data.examples import Examples


class Sums(nn.Module):
    """Reads numbers, says their sum at the end; one target per sequence."""

    def __init__(self, **options):
        super().__init__()
        torch.manual_seed(1)
        self.recurrent = tt.Recurrent(tt.cells.GRU(1, 6), **options).double()
        self.read = nn.Linear(self.recurrent.output_size, 1).double()

    def batch_loss(self, batch):
        lengths = batch["inputs_lengths"]
        outputs, _ = self.recurrent(batch["inputs"], lengths=lengths)
        last = outputs[(lengths - 1).clamp(min=0), torch.arange(len(lengths))]
        return (self.read(last)[:, 0] - batch["sums"]).square().sum(), len(lengths)


def some(count=20, longest=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=generator).tolist()
    rows = [torch.rand(n, 1, generator=generator, dtype=torch.float64) for n in lengths]
    return Examples({"inputs": rows}, {"sums": torch.stack([r.sum() for r in rows])})
