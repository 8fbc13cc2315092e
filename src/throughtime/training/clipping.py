r"""Gradient clipping.

    g <- min(1, θ / ‖g‖) g            by norm (Pascanu, Mikolov and Bengio, 2013)
    g_i <- max(-θ, min(θ, g_i))       by value

A norm that is not finite leaves the gradient as it is: there is no direction to keep.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from throughtime.checks import number


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    return [p.grad for p in parameters if p.grad is not None]


def global_norm(tensors: Iterable[Tensor]) -> Tensor:
    """√(Σ ‖g‖²) over all tensors together, 0 for none.

    >>> global_norm([torch.tensor([3.0]), torch.tensor([4.0])])
    tensor(5.)
    """
    norms = [torch.linalg.vector_norm(t) for t in tensors]
    if not norms:
        return torch.zeros(())
    return torch.linalg.vector_norm(torch.stack([n.to(norms[0].device) for n in norms]))


def clip_norm(
    parameters: Tensor | Iterable[Tensor], max_norm: float, *, joint: bool = True
) -> Tensor:
    """Scale the gradients so that their norm is at most ``max_norm``, in place.

    Args:
        parameters: whose ``.grad`` to clip.
        max_norm: θ > 0. A gradient with ‖g‖ <= θ is not touched.
        joint: one norm over all parameters; False: each by its own norm.

    Returns:
        The joint norm before clipping, a tensor ().

    Raises:
        InvalidType: ``max_norm`` is no number.
        InvalidValue: ``max_norm`` is not positive.

    >>> p = torch.zeros(2, requires_grad=True)
    >>> p.grad = torch.tensor([3.0, 4.0])
    >>> clip_norm([p], 1.0), p.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    number("max_norm", max_norm, minimum=0, exclude_minimum=True)
    gradients = _gradients(parameters)
    norm = global_norm(gradients)
    if not joint:
        for gradient in gradients:
            _scale([gradient], torch.linalg.vector_norm(gradient), max_norm)
    else:
        _scale(gradients, norm, max_norm)
    return norm


def _scale(gradients: list[Tensor], norm: Tensor, max_norm: float) -> None:
    if torch.isfinite(norm) and norm > max_norm:
        for gradient in gradients:
            gradient.mul_((max_norm / norm).to(gradient))


def clip_value(parameters: Tensor | Iterable[Tensor], max_value: float) -> None:
    """Limit every element of the gradients to ± ``max_value``, in place.

    Raises:
        InvalidType: ``max_value`` is no number.
        InvalidValue: ``max_value`` is not positive.

    >>> p = torch.zeros(2, requires_grad=True)
    >>> p.grad = torch.tensor([3.0, -0.5])
    >>> clip_value([p], 1.0); p.grad
    tensor([ 1.0000, -0.5000])
    """
    number("max_value", max_value, minimum=0, exclude_minimum=True)
    for gradient in _gradients(parameters):
        gradient.clamp_(-max_value, max_value)
