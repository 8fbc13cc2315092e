r"""Gradient clipping.

    g <- min(1, θ / ‖g‖) g            by norm (Pascanu, Mikolov and Bengio, 2013)
    g_i <- max(-θ, min(θ, g_i))       by value

A norm that is not finite leaves the gradient as it is: there is no direction to keep.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from throughtime.checks import number

# torch sums the squares of a whole tensor in one running float32 sum, which is off by
# 3e-4 for ten million elements. Sums of this many are right to 2e-7.
_BLOCK = 1 << 16


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    return [p.grad for p in parameters if p.grad is not None]


def global_norm(tensors: Iterable[Tensor]) -> float:
    """√(Σ ‖g‖²) over all tensors together, 0 for none.

    The number is summed in double precision, so tensors whose squares overflow their
    own type still have a norm.

    >>> global_norm([torch.tensor([3.0]), torch.tensor([4.0])])
    5.0
    """
    tensors = list(tensors)
    norm = _norm(tensors)
    if math.isinf(norm):
        norm = _norm([t.detach().cpu().double() for t in tensors])
    return norm


def _norm(tensors: list[Tensor]) -> float:
    norms = [
        torch.linalg.vector_norm(block, dtype=torch.promote_types(t.dtype, torch.float))
        for t in tensors
        for block in t.detach().reshape(-1).split(_BLOCK)
    ]
    if not norms:
        return 0.0
    together = torch.stack([n.to(norms[0].device) for n in norms])
    return float(torch.linalg.vector_norm(together.cpu().double()))


def clip_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    *,
    joint: bool = True,
    norm: float | None = None,
) -> float:
    """Scale the gradients so that their norm is at most ``max_norm``, in place.

    Args:
        parameters: whose ``.grad`` to clip.
        max_norm: θ > 0. A gradient with ‖g‖ <= θ is not touched.
        joint: one norm over all parameters; False: each by its own norm.
        norm: the joint norm where ``global_norm`` has just told it; default: computed.

    Returns:
        The joint norm before clipping. If it is not finite, nothing was clipped.

    Raises:
        InvalidType: ``max_norm`` is no number.
        InvalidValue: ``max_norm`` is not positive.

    >>> p = torch.zeros(2, requires_grad=True)
    >>> p.grad = torch.tensor([3.0, 4.0])
    >>> clip_norm([p], 1.0), p.grad
    (5.0, tensor([0.6000, 0.8000]))
    """
    number("max_norm", max_norm, minimum=0, exclude_minimum=True)
    gradients = _gradients(parameters)
    norm = global_norm(gradients) if norm is None else norm
    if not math.isfinite(norm):
        return norm
    if joint:
        _scale(gradients, norm, max_norm)
    else:
        for gradient in gradients:
            _scale([gradient], global_norm([gradient]), max_norm)
    return norm


def _scale(gradients: list[Tensor], norm: float, max_norm: float) -> None:
    if norm > max_norm:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)


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
