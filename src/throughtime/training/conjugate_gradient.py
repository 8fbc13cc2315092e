r"""Preconditioned conjugate gradients as Hessian-free optimisation uses them.

They minimise φ(x) = ½ xᵀ A x - bᵀ x for A symmetric positive definite, known only by
its products, and stop long before A x = b holds (Martens, "Deep learning via
Hessian-free optimization", ICML 2010): after iteration i, as soon as

    i > k,   φ(x_i) < 0   and   (φ(x_i) - φ(x_{i-k})) / φ(x_i) < k ε,

with k = max(10, ⌈0.1 i⌉): the last k iterations won less than ε each.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.checks import number, positive_int


class Solution(NamedTuple):
    """What conjugate gradients found.

    iterates: (i, x_i) at i = 1, 2, 3, 4, ..., each about ``spacing`` times the one
        before, and the last one.
    values: φ(x_0), φ(x_1), ...
    curvature: False if a direction p had pᵀ A p <= 0, which ended the search: then A is
        not positive definite.
    """

    iterates: list[tuple[int, Tensor]]
    values: list[float]
    curvature: bool

    @property
    def x(self) -> Tensor:
        """The last iterate."""
        return self.iterates[-1][1]

    @property
    def iterations(self) -> int:
        """How many were made."""
        return self.iterates[-1][0]


def conjugate_gradient(
    product: Callable[[Tensor], Tensor],
    b: Tensor,
    *,
    start: Tensor | None = None,
    preconditioner: Tensor | None = None,
    max_iterations: int = 100,
    tolerance: float = 5e-4,
    spacing: float = 1.3,
) -> Solution:
    """Minimise φ(x) = ½ xᵀ A x - bᵀ x.

    Args:
        product: v -> A v.
        b: right side, (n,).
        start: x_0; default: zeros.
        preconditioner: the diagonal of M ≈ A, (n,), positive; default: ones.
        max_iterations: iterations at most.
        tolerance: ε of the stopping rule; 0: stop only at A x = b or the maximum.
        spacing: γ > 1, how far apart the iterates are that are kept.

    Raises:
        InvalidType: a number is none.
        InvalidValue: a number is out of range.

    >>> A = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    >>> found = conjugate_gradient(lambda v: A @ v, torch.tensor([3.0, 4.0]))
    >>> found.x, found.iterations
    (tensor([1., 1.]), 2)
    """
    positive_int("max_iterations", max_iterations)
    number("tolerance", tolerance, minimum=0)
    number("spacing", spacing, minimum=1, exclude_minimum=True)

    x = torch.zeros_like(b) if start is None else start.clone()
    r = b.clone() if start is None else b - product(x)
    y = r if preconditioner is None else r / preconditioner
    p = y.clone()
    ry = dot(r, y)
    values = [_value(x, r, b)]
    iterates: list[tuple[int, Tensor]] = []
    # Rounding leaves nothing to win below this.
    floor = (torch.finfo(b.dtype).eps * float(torch.linalg.vector_norm(b))) ** 2
    keep, i, curvature = 1.0, 0, True
    while i < max_iterations and dot(r, r) > floor:
        Ap = product(p)
        pAp = dot(p, Ap)
        if not pAp > 0:  # also if it is no number
            curvature = not pAp <= 0
            break
        step = ry / pAp
        x = x + step * p
        r = r - step * Ap
        y = r if preconditioner is None else r / preconditioner
        before, ry = ry, dot(r, y)
        p = y + (ry / before) * p
        i += 1
        values.append(_value(x, r, b))
        if i >= keep:
            iterates.append((i, x))
            keep = max(math.ceil(keep * spacing), i + 1)
        if _little_progress(values, tolerance):
            break
    if not iterates or iterates[-1][0] != i:
        iterates.append((i, x))
    return Solution(iterates, values, curvature)


def _little_progress(values: list[float], tolerance: float) -> bool:
    i = len(values) - 1
    k = max(10, math.ceil(0.1 * i))
    if i <= k or not values[-1] < 0:
        return False
    return (values[-1] - values[-1 - k]) / values[-1] < k * tolerance


def _value(x: Tensor, r: Tensor, b: Tensor) -> float:
    """φ(x) = -½ xᵀ (r + b), as A x = b - r."""
    return -0.5 * dot(x, r + b)


def dot(a: Tensor, b: Tensor) -> float:
    """Σ a_i b_i, summed in double precision.

    >>> dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    11.0
    """
    return float((a * b).sum(dtype=torch.float64))
