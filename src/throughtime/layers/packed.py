"""torch's PackedSequence: read row by row, or by way of padding and back.

The data of a packed sequence are its steps one after the other, at step t the sequences
0..batch_sizes[t] - 1 of a batch ordered from long to short.
"""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from throughtime.errors import InvalidValue
from throughtime.layers.loop import valid_mask


def check_packed(packed: PackedSequence) -> None:
    """Raise unless the batch sizes fit the data.

    Raises:
        InvalidValue: they grow, end with less than one, or add up to another number.
    """
    sizes = packed.batch_sizes
    fits = sizes.numel() > 0 and int(sizes.sum()) == packed.data.size(0)
    if not fits or int(sizes[-1]) < 1 or bool((sizes[1:] > sizes[:-1]).any()):
        raise InvalidValue(
            "batch_sizes of the PackedSequence must not grow and must add up to the "
            f"{packed.data.size(0)} rows of its data, got {sizes.tolist()}; use "
            "pack_sequence or pack_padded_sequence"
        )


def row_layout(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """The number of the first row of each step, (T,), and the ordered lengths (B,)."""
    sizes = packed.batch_sizes.to(torch.int64)
    column = torch.arange(int(sizes[0]))
    return sizes.cumsum(0) - sizes, (column < sizes[:, None]).sum(0)


def pad_rows(x: Tensor, first_rows: Tensor, lengths: Tensor) -> Tensor:
    """Rows (1, N, I) as (T, B, I); steps that do not exist repeat row 0."""
    rows = first_rows[:, None] + torch.arange(lengths.size(0), device=x.device)
    valid = valid_mask(lengths, first_rows.size(0))
    return x[0][rows.masked_fill(~valid, 0)]


def pack_rows(grid: Tensor, lengths: Tensor) -> Tensor:
    """The rows (1, N, H) of the steps that exist in (T, B, H)."""
    where = valid_mask(lengths, grid.size(0)).flatten().nonzero().flatten()
    return grid.flatten(0, 1).index_select(0, where).unsqueeze(0)


def unpack(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """The padded sequences, (T, B, I), in the user's order, and their lengths (B,).

    By plain indexing, so that it works under ``torch.func`` as well.
    """
    rows, valid = _rows(packed)
    padded = packed.data[rows]  # padding repeats row 0; unroll does not look at it
    return padded, valid.sum(0)


def repack(outputs: Tensor, packed: PackedSequence) -> PackedSequence:
    """Pack ``outputs`` (T, B, H) with the order and batch sizes of ``packed``."""
    if packed.sorted_indices is not None:
        outputs = outputs.index_select(1, packed.sorted_indices)
    _, valid = _rows(packed._replace(sorted_indices=None, unsorted_indices=None))
    where = valid.flatten().nonzero().flatten()
    data = outputs.flatten(0, 1).index_select(0, where)
    return packed._replace(data=data)


def _rows(packed: PackedSequence) -> tuple[Tensor, Tensor]:
    """Row of ``packed.data`` of every step and sequence (T, B), and where it exists."""
    device = packed.data.device
    sizes = packed.batch_sizes.to(device)
    column = torch.arange(int(packed.batch_sizes[0]), device=device)
    valid = column < sizes[:, None]
    rows = (sizes.cumsum(0) - sizes)[:, None] + column
    rows = rows.masked_fill(~valid, 0)
    if packed.unsorted_indices is not None:
        rows = rows.index_select(1, packed.unsorted_indices)
        valid = valid.index_select(1, packed.unsorted_indices)
    return rows, valid
