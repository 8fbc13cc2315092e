"""From one long text to parallel streams of input and target tokens."""

import re

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.data.vocabulary import UNITS
from throughtime.errors import DataError, InvalidShape, InvalidValue, unknown_name


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
    as in the word language model of pytorch/examples.

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
    columns = tokens[: length * batch_size].reshape(batch_size, length).t().contiguous()
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
        padded = values.new_zeros(length * batch_size)
        padded[: len(values)] = values
        return padded.view(batch_size, length).t().contiguous()

    return fold(inputs), fold(targets), fold(torch.ones_like(inputs, dtype=torch.bool))


def split(text: str, fraction: float = 0.1, *, unit: str = "char") -> tuple[str, str]:
    """The text without its end, and the last ``fraction`` of it, held out.

    For words and subwords the cut moves on to the next start of a line, or without one
    to the end of the next white space.

    Raises:
        DataError: a part would be empty.
        InvalidType: ``fraction`` is no number.
        InvalidValue: ``fraction`` outside (0, 1), or an unknown unit.

    >>> split("abcdefghij", 0.2)
    ('abcdefgh', 'ij')
    """
    if not 0 < number("fraction", fraction) < 1:
        raise InvalidValue(
            f"fraction must lie between 0 and 1, as in 0.1, got {fraction}"
        )
    if unit not in UNITS:
        raise unknown_name("unit", unit, UNITS)
    cut = len(text) - max(1, round(len(text) * fraction))
    if unit != "char":
        cut = _next_start(text, cut)
    if not text[:cut].strip() or not text[cut:].strip():
        raise DataError(
            f"the text of {len(text)} characters is too short to hold out "
            f"{fraction:.0%} of it; give a longer text, or a held-out file of its own"
        )
    return text[:cut], text[cut:]


def _next_start(text: str, cut: int) -> int:
    # What comes before may already end at the cut. White space at the end of the text
    # has nothing behind it to hold out.
    begin, end = max(cut - 1, 0), len(text.rstrip())
    newline = text.find("\n", begin, end)
    if newline >= 0:
        return newline + 1
    space = re.compile(r"\s").search(text, begin, end)
    return space.end() if space else cut


def _check_one_dimension(tokens: Tensor) -> None:
    if tokens.dim() != 1:
        raise InvalidShape(
            f"tokens must have shape (N,), got {tuple(tokens.shape)}; flatten them, or "
            "pass one text at a time"
        )
