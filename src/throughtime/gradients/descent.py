r"""What one step of gradient descent does to the loss, against what it is promised.

A loss whose gradient is nowhere longer than Λ on the way (a Lipschitz constant) obeys

    |L(x) - L(x - ηg)| <= Λ η ‖g‖

so a small step cannot do much harm, and with the gradient clipped to ‖g‖ <= θ the
change is at most Λ η θ. Where gradients explode, Λ is the catch: a step from a steep
place lands far away, and is measured by the steepest place on its way.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidType, InvalidValue


@dataclass(frozen=True)
class LossChange:
    """A step of gradient descent and its bound; made by ``loss_change``.

    Attributes:
        before: L(x).
        after: L(x - ηg).
        gradient_norm: ‖∂L/∂x‖ at x, before clipping.
        clipped_norm: ‖g‖, after clipping.
        learning_rate: η.
        lipschitz: Λ, the largest gradient norm found between x and x - ηg: an
            estimate from below.
    """

    before: float
    after: float
    gradient_norm: float
    clipped_norm: float
    learning_rate: float
    lipschitz: float

    @property
    def change(self) -> float:
        """L(x - ηg) - L(x): negative where the step helps."""
        return self.after - self.before

    @property
    def bound(self) -> float:
        """Λ η ‖g‖."""
        return self.lipschitz * self.learning_rate * self.clipped_norm

    @property
    def holds(self) -> bool:
        """Whether |L(x) - L(x - ηg)| is finite and <= Λ η ‖g‖, up to rounding."""
        if not math.isfinite(self.change):
            return False
        rounding = 1e-6 * (abs(self.before) + abs(self.after))
        return abs(self.change) <= self.bound + rounding

    @property
    def destructive(self) -> bool:
        """Whether the step makes the loss larger, or no number."""
        return not self.after <= self.before


def loss_change(
    loss: Callable[[], Tensor],
    parameters: Iterable[Tensor],
    learning_rate: float,
    *,
    max_norm: float | None = None,
    points: int = 20,
) -> LossChange:
    """Try one step x - ηg, compare it with its bound, and take it back.

    Args:
        loss: L at the present values of the parameters, one number with a graph; the
            same value whenever it is called.
        parameters: x, tensors that take gradients; afterwards they are what they were,
            and their ``.grad`` is not touched.
        learning_rate: η > 0.
        max_norm: θ > 0, to which g is clipped, g <- min(1, θ/‖g‖) g; default: not.
        points: at how many equal distances on the way the gradient is measured, beside
            the start.

    Raises:
        InvalidType: a number is no number, or the loss no tensor.
        InvalidValue: a number is out of range, there are no parameters, or the loss is
            not one number.

    >>> w = torch.tensor([3.0], requires_grad=True)
    >>> step = loss_change(lambda: (w**2).sum(), [w], 0.1)
    >>> step.before, round(step.after, 4), round(step.bound, 4), step.holds
    (9.0, 5.76, 3.6, True)
    >>> w
    tensor([3.], requires_grad=True)
    """
    eta = number("learning_rate", learning_rate, minimum=0, exclude_minimum=True)
    points = positive_int("points", points)
    if max_norm is not None:
        max_norm = number("max_norm", max_norm, minimum=0, exclude_minimum=True)
    parameters = list(parameters)
    if not parameters:
        raise InvalidValue("parameters must hold at least one tensor, got none")
    before, gradient = _gradient(loss, parameters)
    norm = _norm(gradient)
    scale = 1.0 if max_norm is None or norm <= max_norm else max_norm / norm
    start = [parameter.detach().clone() for parameter in parameters]
    lipschitz, after = norm, before
    try:
        for point in range(1, points + 1):
            share = scale * eta * point / points
            with torch.no_grad():
                for x, x0, g in zip(parameters, start, gradient, strict=True):
                    x.copy_(x0 - share * g)
            after, here = _gradient(loss, parameters)
            lipschitz = max(lipschitz, _norm(here))
    finally:
        with torch.no_grad():
            for x, x0 in zip(parameters, start, strict=True):
                x.copy_(x0)
    return LossChange(before, after, norm, scale * norm, eta, lipschitz)


def _gradient(
    loss: Callable[[], Tensor], parameters: list[Tensor]
) -> tuple[float, list[Tensor]]:
    value = loss()
    if not isinstance(value, Tensor):
        raise InvalidType(
            f"loss should return a torch.Tensor, got: {type(value).__name__}"
        )
    if value.numel() != 1 or not value.requires_grad:
        raise InvalidValue(
            "loss must return one number with a graph to the parameters, got shape "
            f"{tuple(value.shape)}, requires_grad={value.requires_grad}"
        )
    found = torch.autograd.grad(
        value.sum(), parameters, allow_unused=True, materialize_grads=True
    )
    return float(value.detach()), list(found)


def _norm(tensors: list[Tensor]) -> float:
    """√(Σ ‖g‖²) over all tensors."""
    norms = torch.stack([torch.linalg.vector_norm(t.double()).cpu() for t in tensors])
    return float(torch.linalg.vector_norm(norms))
