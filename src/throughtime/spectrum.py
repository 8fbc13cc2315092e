"""The spectrum of a recurrent matrix: what its powers do to a state over many steps.

A linear recurrence h_t = W h_{t-1} multiplies by W^k in k steps, and its gradient by
(Wᵀ)^k. Two kinds of numbers describe that, and they answer different questions:

- the **eigenvalues** λ of W give the rate in the end: ‖W^k‖^(1/k) tends to the spectral
  radius max|λ| (Gelfand's formula);
- the **singular values** σ of W^k bound what happens within k steps: no state is
  stretched by more than the largest one, ‖W^k‖ = max σ(W^k) <= max σ(W)^k.

For a normal matrix (WᵀW = WWᵀ, such as an orthogonal or symmetric one) they agree. In
general they do not: [[0.9, 50], [0, 0.9]] has spectral radius 0.9, so its powers vanish
in the end, yet its tenth power stretches a state 193.7 times.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidType, InvalidValue


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues and singular values of W^power; made by ``spectrum``.

    Attributes:
        matrix: W, (H, H), float64.
        power: the exponent k.
        eigenvalues: those of W^k, (H,), complex, largest modulus first.
        singular_values: those of W^k, (H,), largest first.
    """

    matrix: Tensor
    power: int
    eigenvalues: Tensor
    singular_values: Tensor

    @property
    def spectral_radius(self) -> float:
        """max|λ(W^k)|, which is max|λ(W)|^k."""
        return float(self.eigenvalues[0].abs())

    @property
    def spectral_norm(self) -> float:
        """max σ(W^k) = ‖W^k‖: the most that k steps can stretch a state."""
        return float(self.singular_values[0])

    @property
    def condition_number(self) -> float:
        """max σ / min σ of W^k: how unequally it treats directions; 1 is best.

        Infinite if W^k is singular, also if it only looks so in float64: when min σ is
        below the rounding error H ε max σ.
        """
        largest, smallest = self.singular_values[[0, -1]].tolist()
        rounding = len(self.singular_values) * torch.finfo(torch.float64).eps * largest
        return largest / smallest if smallest > rounding else math.inf

    def of_power(self, power: int) -> "Spectrum":
        """The spectrum of W^power, W being ``matrix`` (whatever ``self.power`` is).

        Raises:
            InvalidType: ``power`` is no int.
            InvalidValue: ``power`` is not positive, or W^power overflows.

        >>> w = torch.tensor([[0.9, 50.0], [0.0, 0.9]], dtype=torch.float64)
        >>> tenth = spectrum(w).of_power(10)
        >>> round(tenth.spectral_radius, 4), round(tenth.spectral_norm, 1)
        (0.3487, 193.7)
        """
        return spectrum(self.matrix, power)

    def table(self, powers: Sequence[int] = (1, 2, 5, 10, 20, 50)) -> str:
        """One line of plain text per power of W: radius, norm and condition number.

        Raises:
            InvalidType: a power is no int.
            InvalidValue: a power is not positive, or W to that power overflows.

        >>> print(spectrum(torch.eye(2) / 2).table(powers=(1, 2)))
        power  spectral radius  spectral norm  condition number
            1              0.5            0.5                 1
            2             0.25           0.25                 1
        """
        lines = ["power  spectral radius  spectral norm  condition number"]
        for power in powers:
            of = self.of_power(power)
            lines.append(
                f"{power:5}  {of.spectral_radius:15.6g}  {of.spectral_norm:13.6g}  "
                f"{of.condition_number:16.6g}"
            )
        return "\n".join(lines)

    def __str__(self) -> str:
        size = len(self.eigenvalues)
        name = "W" if self.power == 1 else f"W^{self.power}"
        return "\n".join(
            [
                f"{name} ({size} x {size})",
                f"spectral radius   {self.spectral_radius:.6g}  (rate in the end)",
                f"spectral norm     {self.spectral_norm:.6g}  (most it can stretch)",
                f"condition number  {self.condition_number:.6g}",
                f"eigenvalues       {_first(self.eigenvalues)}",
                f"singular values   {_first(self.singular_values)}",
            ]
        )


def spectrum(matrix: Tensor, power: int = 1) -> Spectrum:
    """Eigenvalues and singular values of ``matrix`` to the power of ``power``.

    Read both: the eigenvalues tell the rate after very many steps, the singular values
    what can happen within ``power`` steps. The module's text has the counter-example
    to trusting the eigenvalues alone.

    Args:
        matrix: W, (H, H), real; computed in float64 whatever its type.
        power: k >= 1.

    Raises:
        InvalidType: ``matrix`` is no real tensor, or ``power`` no int.
        InvalidShape: ``matrix`` is not square.
        InvalidValue: ``matrix`` has entries that are not finite, ``power`` is not
            positive, or W^power overflows.

    >>> print(spectrum(torch.tensor([[1.0, 1.0], [1.0, 0.0]])))
    W (2 x 2)
    spectral radius   1.61803  (rate in the end)
    spectral norm     1.61803  (most it can stretch)
    condition number  2.61803
    eigenvalues       1.618, -0.618
    singular values   1.618, 0.618
    """
    w = _square(matrix)
    power = positive_int("power", power)
    w_power = torch.linalg.matrix_power(w, power)
    if not w_power.isfinite().all():
        raise InvalidValue(f"matrix to the power of {power} overflows; use a lower one")
    # λ(W^k) = λ(W)^k, and the eigenvalues of W itself are the more accurate ones.
    eigenvalues = torch.linalg.eigvals(w) ** power
    order = eigenvalues.abs().argsort(descending=True, stable=True)
    return Spectrum(
        matrix=w,
        power=power,
        eigenvalues=eigenvalues[order],
        singular_values=torch.linalg.svdvals(w_power),
    )


def _square(matrix: Tensor) -> Tensor:
    """A checked float64 copy on the CPU, out of the caller's reach."""
    if not isinstance(matrix, Tensor) or matrix.is_complex():
        got = matrix.dtype if isinstance(matrix, Tensor) else type(matrix).__name__
        raise InvalidType(f"matrix should be a real torch.Tensor, got: {got}")
    shape = tuple(matrix.shape)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise InvalidShape(
            f"matrix must be square, (H, H), got shape {shape}; look at a stacked gate "
            "matrix (G*H, H) gate by gate: [spectrum(w) for w in weight_hh.chunk(G)]"
        )
    if not matrix.isfinite().all():
        raise InvalidValue(
            "matrix has entries that are NaN or infinite; did training diverge?"
        )
    return matrix.detach().to("cpu", torch.float64, copy=True)


def _first(values: Tensor, count: int = 6) -> str:
    """The first values, and how many are left."""
    shown = ", ".join(_number(value) for value in values[:count].tolist())
    left = len(values) - count
    return f"{shown}, ... and {left} more" if left > 0 else shown


def _number(value: complex | float) -> str:
    if not isinstance(value, complex):
        return f"{value:.4g}"
    # Rounding leaves a tiny part where exact arithmetic has none.
    tiny = 1e-12 * abs(value)
    real = value.real if abs(value.real) > tiny else 0.0
    return f"{real:.4g}{value.imag:+.4g}i" if abs(value.imag) > tiny else f"{real:.4g}"
