"""Separate sequences of any lengths, and batches of them, time first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.errors import InvalidShape, InvalidValue

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Examples:
    """What a network reads and what it is to answer, example by example.

    Attributes:
        sequences: by name, one tensor (T_n, ...) for each example, T_n from 0 on. The
            first name says how long an example is.
        values: by name, one row for each example, (N, ...).

    Raises:
        InvalidShape: the parts have different numbers of examples.
        InvalidValue: there are no sequences.

    >>> words = [torch.tensor([3, 1, 4]), torch.tensor([1])]
    >>> examples = Examples({"inputs": words}, {"labels": torch.tensor([0, 1])})
    >>> {name: part.tolist() for name, part in examples.batch([1, 0]).items()}
    {'inputs': [[1, 3], [0, 1], [0, 4]], 'inputs_lengths': [1, 3], 'labels': [1, 0]}
    """

    sequences: Mapping[str, Sequence[Tensor]]
    values: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.sequences:
            raise InvalidValue("sequences must have at least one name, got none")
        counts = {name: len(part) for name, part in self.sequences.items()}
        counts |= {name: len(part) for name, part in self.values.items()}
        if len(set(counts.values())) > 1:
            raise InvalidShape(
                f"all parts must have the same number of examples, got {counts}"
            )

    def __len__(self) -> int:
        return len(next(iter(self.sequences.values())))

    @property
    def lengths(self) -> Tensor:
        """Steps of each example, (N,)."""
        first = next(iter(self.sequences.values()))
        return torch.tensor([len(sequence) for sequence in first], dtype=torch.long)

    def select(self, indices: Sequence[int] | Tensor) -> "Examples":
        """Some of the examples, in this order."""
        chosen = _as_list(indices)
        rows = torch.tensor(chosen, dtype=torch.long)
        return Examples(
            {n: [part[i] for i in chosen] for n, part in self.sequences.items()},
            {name: part[rows] for name, part in self.values.items()},
        )

    def batch(self, indices: Sequence[int] | Tensor) -> Batch:
        """Some of the examples side by side.

        Returns:
            For each sequence its steps, (T, B, ...), with 0 (False) beyond the end, and
            under NAME_lengths how many there are, (B,). Further dimensions that differ
            are filled in the same way. For each value its rows, (B, ...).
        """
        chosen = _as_list(indices)
        batch: Batch = {}
        for name, part in self.sequences.items():
            rows = [part[i] for i in chosen]
            batch[name] = _padded(rows)
            batch[f"{name}_lengths"] = torch.tensor([len(row) for row in rows])
        index = torch.tensor(chosen, dtype=torch.long)
        for name, part in self.values.items():
            batch[name] = part[index]
        return batch

    def batches(self, size: int) -> Iterator[Batch]:
        """All examples in their order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(range(start, min(start + size, len(self))))


def _as_list(indices: Sequence[int] | Tensor) -> list[int]:
    return [int(i) for i in indices]


def _padded(rows: Sequence[Tensor]) -> Tensor:
    """(T_n, ...) tensors side by side, (T, B, ...)."""
    shape = [max(sizes) for sizes in zip(*(row.shape for row in rows), strict=True)]
    full = []
    for row in rows:
        missing = [want - have for want, have in zip(shape, row.shape, strict=True)]
        widths = [n for more in reversed(missing) for n in (0, more)]
        full.append(F.pad(row, widths) if any(missing) else row)
    return torch.stack(full, 1)
