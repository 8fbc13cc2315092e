r"""The activations φ of the simple recurrent cell, with their derivatives.

==============  =====================================  =======================
name            φ(z)                                   φ'(z)
==============  =====================================  =======================
``identity``    z                                      1
``sigmoid``     1 / (1 + e^-z)                         φ (1 - φ)
``tanh``        tanh z                                 1 - φ²
``relu``        max(z, 0)                              [z > 0]
``gelu``        z Φ(z), Φ the normal distribution      Φ(z) + z N(z)
``softplus``    ln(1 + e^z)                            sigmoid(z)
``elu``         z if z > 0 else α (e^z - 1)            1 if z > 0 else α e^z
``leaky_relu``  z if z > 0 else α z, default α 0.01    1 if z > 0 else α
``prelu``       as leaky_relu, α trained, from 0.25    1 if z > 0 else α
==============  =====================================  =======================

At z = 0 the derivative is the one of the left branch, as in torch: 0 for ``relu``,
α for ``elu``, ``leaky_relu`` and ``prelu``. ``gelu`` is the exact form by the error
function (Hendrycks and Gimpel, 2016), not the tanh approximation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from throughtime.checks import number
from throughtime.errors import InvalidValue, unknown_name
from throughtime.vector_math import settle

settle()

Alpha = float | Tensor | None


def _alpha(alpha: Alpha) -> float | Tensor:
    assert alpha is not None  # Activation fills in its own α
    return alpha


def _softplus(z: Tensor, alpha: Alpha) -> Tensor:
    # torch switches to z itself above a threshold of 20, where ln(1 + e^-z) is still
    # 2e-9; above 50 it is below the resolution of float64.
    return F.softplus(z, threshold=50)


def _elu(z: Tensor, alpha: Alpha) -> Tensor:
    # The clamp keeps the branch that is not taken finite, and so its gradient.
    return torch.where(z > 0, z, _alpha(alpha) * torch.expm1(z.clamp(max=0)))


def _leaky(z: Tensor, alpha: Alpha) -> Tensor:
    return torch.where(z > 0, z, _alpha(alpha) * z)


def _d_gelu(z: Tensor, alpha: Alpha) -> Tensor:
    density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return torch.special.ndtr(z) + z * density


def _d_elu(z: Tensor, alpha: Alpha) -> Tensor:
    return torch.where(z > 0, 1.0, _alpha(alpha) * torch.exp(z.clamp(max=0)))


def _d_leaky(z: Tensor, alpha: Alpha) -> Tensor:
    return torch.where(z > 0, torch.ones_like(z), _alpha(alpha) * torch.ones_like(z))


def _d_sigmoid(z: Tensor, alpha: Alpha) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s)


_Function = Callable[[Tensor, Alpha], Tensor]

# name -> (φ, φ', default α)
_TABLE: dict[str, tuple[_Function, _Function, float | None]] = {
    "identity": (lambda z, _: z, lambda z, _: torch.ones_like(z), None),
    "sigmoid": (lambda z, _: torch.sigmoid(z), _d_sigmoid, None),
    "tanh": (
        lambda z, _: torch.tanh(z),
        lambda z, _: 1 - torch.tanh(z) ** 2,
        None,
    ),
    "relu": (lambda z, _: torch.relu(z), lambda z, _: (z > 0).to(z.dtype), None),
    "gelu": (lambda z, _: F.gelu(z), _d_gelu, None),
    "softplus": (_softplus, lambda z, _: torch.sigmoid(z), None),
    "elu": (_elu, _d_elu, 1.0),
    "leaky_relu": (_leaky, _d_leaky, 0.01),
    "prelu": (_leaky, _d_leaky, 0.25),
}

ACTIVATIONS: tuple[str, ...] = tuple(_TABLE)


@dataclass(frozen=True)
class Activation:
    """One activation φ and its derivative, see the table at the top of this file.

    Args:
        name: one of ``ACTIVATIONS``.
        alpha: α of ``elu``, the slope of ``leaky_relu``, the initial slope of
            ``prelu``; default as in the table. Other activations have none.

    Raises:
        InvalidValue: unknown name, or ``alpha`` for an activation without one.

    >>> Activation("elu", alpha=0.5)(torch.tensor([-1.0, 2.0]))
    tensor([-0.3161,  2.0000])
    >>> Activation("tanh").derivative(torch.zeros(1))
    tensor([1.])
    """

    name: str
    alpha: float | None = None

    def __post_init__(self) -> None:
        if self.name not in _TABLE:
            raise unknown_name("nonlinearity", self.name, ACTIVATIONS)
        default = _TABLE[self.name][2]
        if default is None and self.alpha is not None:
            raise InvalidValue(
                f"nonlinearity {self.name!r} has no alpha, got alpha={self.alpha}; "
                "leave alpha out, or use elu, leaky_relu or prelu"
            )
        if default is not None:
            alpha = default if self.alpha is None else number("alpha", self.alpha)
            object.__setattr__(self, "alpha", alpha)

    @property
    def trainable(self) -> bool:
        """Whether α is a parameter of the cell (``prelu`` only)."""
        return self.name == "prelu"

    def __call__(self, z: Tensor, alpha: Tensor | None = None) -> Tensor:
        """φ(z), element by element; ``alpha`` overrides the stored α."""
        return _TABLE[self.name][0](z, self.alpha if alpha is None else alpha)

    def derivative(self, z: Tensor, alpha: Tensor | None = None) -> Tensor:
        """φ'(z), element by element, in closed form."""
        return _TABLE[self.name][1](z, self.alpha if alpha is None else alpha)


def as_activation(value: str | Activation, alpha: float | None = None) -> Activation:
    """The activation meant by a name (with an optional α) or by an Activation.

    >>> as_activation("leaky_relu")
    Activation(name='leaky_relu', alpha=0.01)
    """
    if isinstance(value, Activation):
        return value if alpha is None else replace(value, alpha=alpha)
    return Activation(value, alpha)
