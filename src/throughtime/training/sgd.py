"""Plain gradient descent without an optimiser object: x <- x - η g."""

from collections.abc import Iterable

import torch
from torch import Tensor

from throughtime.checks import number


def sgd_step(parameters: Iterable[Tensor], learning_rate: float) -> None:
    """x <- x - η ∂L/∂x for every parameter that has a gradient, in place.

    Args:
        parameters: tensors x with their ``.grad``.
        learning_rate: η >= 0.

    Raises:
        InvalidType: ``learning_rate`` is no number.
        InvalidValue: it is negative.

    >>> x = torch.ones(2, requires_grad=True)
    >>> (x**2).sum().backward(); sgd_step([x], 0.1); x
    tensor([0.8000, 0.8000], requires_grad=True)
    """
    number("learning_rate", learning_rate, minimum=0)
    with torch.no_grad():
        for parameter in parameters:
            if parameter.grad is not None:
                parameter -= learning_rate * parameter.grad
