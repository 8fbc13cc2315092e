"""Examples on their way through a model."""

from collections.abc import Iterator

from torch import nn

from throughtime.data.examples import Batch, Examples

SIZE = 64


def device_batches(
    model: nn.Module, examples: Examples, size: int = SIZE
) -> Iterator[Batch]:
    """All examples in their order, ``size`` at a time, where the model is.

    >>> import torch
    >>> examples = Examples({"inputs": [torch.zeros(2), torch.zeros(1)]})
    >>> [len(b["inputs"]) for b in device_batches(nn.Linear(1, 1), examples, 1)]
    [2, 1]
    """
    device = next(model.parameters()).device
    for batch in examples.batches(size):
        yield {name: part.to(device) for name, part in batch.items()}
