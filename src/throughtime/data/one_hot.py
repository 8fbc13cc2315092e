"""One-hot vectors of tokens."""

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidType, InvalidValue


def one_hot(tokens: Tensor, size: int) -> Tensor:
    """1 at the token's index, else 0: (...) long -> (..., V) of the default float type.

    Raises:
        InvalidType: tokens that are not long.
        InvalidValue: a token outside [0, V).

    >>> one_hot(torch.tensor([1, 0]), 3)
    tensor([[0., 1., 0.],
            [1., 0., 0.]])
    """
    positive_int("size", size)
    if tokens.dtype != torch.long:
        raise InvalidType(f"tokens should be of dtype long, got: {tokens.dtype}")
    if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < size:
        raise InvalidValue(
            f"tokens must lie in [0, {size}), got values from {int(tokens.min())} to "
            f"{int(tokens.max())}"
        )
    hot = torch.nn.functional.one_hot(tokens, size)
    return hot.to(torch.get_default_dtype())
