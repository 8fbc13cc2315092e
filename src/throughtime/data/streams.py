"""From one long text to parallel streams of input and target tokens."""

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import DataError, InvalidShape


def shift_pairs(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs x_1..x_{N-1} and targets x_2..x_N.

    Raises:
        InvalidShape: tokens that are not (N,).

    >>> inputs, targets = shift_pairs(torch.tensor([1, 2, 3]))
    >>> inputs.tolist(), targets.tolist()
    ([1, 2], [2, 3])
    """
    _check_one_dimension(tokens)
    return tokens[:-1], tokens[1:]


def streams(tokens: Tensor, batch_size: int) -> tuple[Tensor, Tensor]:
    """Parallel contiguous streams: column b is the b-th piece of the text.

    The text is cut to B * (N // B) tokens, and each stream to its pairs of neighbours,
    as in the word language model of pytorch/examples. Nothing is copied: both are views
    of ``tokens``, which may be memory-mapped.

    Args:
        tokens: (N,).
        batch_size: B.

    Returns:
        inputs and targets, each (N // B - 1, B).

    Raises:
        DataError: fewer than 2 B tokens.
        InvalidShape: tokens that are not (N,).

    >>> inputs, targets = streams(torch.arange(7), 2)
    >>> inputs.T.tolist(), targets.T.tolist()
    ([[0, 1], [3, 4]], [[1, 2], [4, 5]])
    """
    positive_int("batch_size", batch_size)
    _check_one_dimension(tokens)
    length = len(tokens) // batch_size
    if length < 2:
        raise DataError(
            f"the text has {len(tokens)} tokens, too few for batch_size = {batch_size} "
            f"streams of at least 2; give {2 * batch_size} tokens or more, or a "
            "smaller batch_size"
        )
    columns = tokens[: length * batch_size].reshape(batch_size, length).t()
    return columns[:-1], columns[1:]


def evaluation_streams(
    tokens: Tensor, batch_size: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Streams that score every pair of neighbours exactly once.

    Args:
        tokens: (N,), at least 2.
        batch_size: pieces the N - 1 pairs are cut into; 1 is the exact chain rule.

    Returns:
        inputs, targets (L, B), L = ceil((N - 1) / B), and a mask, True where there is
        a pair.

    Raises:
        DataError: fewer than 2 tokens.
        InvalidShape: tokens that are not (N,).

    >>> inputs, targets, mask = evaluation_streams(torch.arange(4), 2)
    >>> inputs.T.tolist(), mask.T.tolist()
    ([[0, 1], [2, 0]], [[True, True], [True, False]])
    """
    positive_int("batch_size", batch_size)
    _check_one_dimension(tokens)
    if len(tokens) < 2:
        raise DataError(
            f"the text has {len(tokens)} token(s), at least 2 are needed to predict "
            "one; give a longer text"
        )
    inputs, targets = shift_pairs(tokens)
    length = -(-len(inputs) // batch_size)

    def fold(values: Tensor) -> Tensor:
        if len(values) == length * batch_size:  # as for B = 1: no copy
            return values.reshape(batch_size, length).t()
        padded = values.new_zeros(length * batch_size)
        padded[: len(values)] = values
        return padded.view(batch_size, length).t().contiguous()

    return fold(inputs), fold(targets), fold(torch.ones_like(inputs, dtype=torch.bool))


def _check_one_dimension(tokens: Tensor) -> None:
    if tokens.dim() != 1:
        raise InvalidShape(
            f"tokens must have shape (N,), got {tuple(tokens.shape)}; flatten them, or "
            "pass one text at a time"
        )
