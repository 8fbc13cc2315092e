r"""The norm of ∂L/∂h_k beside what norms of factors allow.

    ‖∂L/∂h_k‖ <= ‖∂L/∂h_j‖ Π_{m=k+1..j} ‖W_hh‖ ‖diag φ'(z_m)‖,    L a loss of step j

with ‖W_hh‖ the largest singular value σ_max and ‖diag φ'‖ the largest slope. With
|φ'| <= γ the gradient must vanish where σ_max < 1/γ, and can explode only where
σ_max > 1/γ (Pascanu, Mikolov and Bengio, arXiv 1211.5063; of eigenvalues neither holds
within a given number of steps).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.cells import Activation, Elman
from throughtime.cells.leaky import Leaky
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.gradients.stack_step import check_one_way
from throughtime.layers import Recurrent

# The largest slope of each activation without a parameter; that of gelu is at z = √2.
_GELU = 0.5 * (1 + math.erf(1.0)) + math.exp(-1.0) / math.sqrt(math.pi)
_GAMMA: dict[str, float] = {
    "identity": 1.0,
    "tanh": 1.0,
    "relu": 1.0,
    "softplus": 1.0,
    "sigmoid": 0.25,
    "gelu": _GELU,
}


def largest_slope(activation: Activation, alpha: float | None = None) -> float:
    """γ = sup |φ'(z)|: 1 for tanh, 1/4 for sigmoid.

    Args:
        activation: φ.
        alpha: its α, if it is another one than its own.

    >>> largest_slope(Activation("sigmoid"))
    0.25
    """
    if activation.name in _GAMMA:
        return _GAMMA[activation.name]
    alpha = activation.alpha if alpha is None else alpha
    assert alpha is not None  # the others have one
    return max(1.0, abs(alpha))


@dataclass(frozen=True)
class NormBound:
    """‖∂L/∂h_k‖ and its bound for a loss of step j; made by ``norm_bound``.

    Attributes:
        norms: ‖∂L/∂h_k‖ over all units and sequences, (j + 1,), float64.
        bounds: what the product of norms allows, (j + 1,); never less.
        slopes: max |φ'(z_m)| of each step, (j + 1,).
        sigma_max: ‖W_hh‖, the largest singular value.
        spectral_radius: the largest |eigenvalue| of W_hh.
        gamma: the largest slope that φ has anywhere.
        leak_rate: a of a leaky cell, whose factor is 1 - a + a ‖W_hh‖ ‖diag φ'‖;
            else 1.
    """

    norms: Tensor
    bounds: Tensor
    slopes: Tensor
    sigma_max: float
    spectral_radius: float
    gamma: float
    leak_rate: float = 1.0

    @property
    def must_vanish(self) -> bool:
        """Whether σ_max < 1/γ, which is enough for the gradient to vanish."""
        return self.sigma_max * self.gamma < 1

    @property
    def can_explode(self) -> bool:
        """Whether σ_max > 1/γ, without which no gradient explodes."""
        return self.sigma_max * self.gamma > 1


def norm_bound(
    layer: Recurrent,
    x: Tensor,
    loss_fn: Callable[[Tensor], Tensor],
    state: Any = None,
    *,
    step: int | None = None,
) -> NormBound:
    """The norm of ∂L/∂h_k for every k, beside its bound.

    Args:
        layer: one layer, one direction, of a simple cell: ``Elman``, ``IRNN``,
            ``NPRNN`` or ``Leaky``.
        x: (T, B, I).
        loss_fn: from h_j (B, H) to a loss of one number.
        state: as ``layer`` takes it; default: its initial state.
        step: j; default: the last.

    Raises:
        InvalidType: another cell, whose step is no φ(W h + ..).
        InvalidValue: several layers, both directions, masks, or j is no step.
        InvalidShape: x is not (T, B, I), or the loss is not one number.

    >>> import throughtime as tt
    >>> found = norm_bound(tt.RNN(2, 3), torch.randn(9, 1, 2), lambda h: h.sum())
    >>> bool((found.bounds >= found.norms).all())
    True
    """
    check_one_way(layer, x, "the bound")
    cell = layer.cells[0]
    simple = type(cell).pointwise in (Elman.pointwise, Leaky.pointwise)
    if not isinstance(cell, Elman) or not simple:
        raise InvalidType(
            f"the bound holds for h_t = φ(W h_{{t-1}} + ..), got {cell!r}; use "
            "gradients.jacobians, which has the norm of every step of any cell"
        )
    if layer.num_layers > 1 or any(layer.zoneout.values()):
        raise InvalidValue(
            "the bound is of one layer without zoneout; use such a layer"
        )
    last = x.size(0) - 1 if step is None else step
    if not 0 <= last < x.size(0):
        raise InvalidValue(f"step must lie in [0, {x.size(0) - 1}], got {step}")
    x = x[: last + 1]
    probe = layer.zero_perturbation(x)
    with torch.enable_grad():
        outputs = layer(x, state, perturbation=probe)[0]
        loss = loss_fn(outputs[-1])
        if loss.numel() != 1:
            raise InvalidShape(
                f"loss_fn must return one number, got shape {tuple(loss.shape)}; "
                "reduce it with .sum() or .mean()"
            )
        (gradient,) = torch.autograd.grad(loss, probe[0].h)
    norms = gradient.double().flatten(1).norm(dim=1)
    weights = {name: w.detach().double() for name, w in layer.weights(0).items()}
    (first,) = layer.read_state(state, x.size(1))
    before = torch.cat([first.h.unsqueeze(0), outputs[:-1]]).detach().double()
    z = F.linear(x.double(), weights["weight_ih"], weights.get("bias_ih"))
    z = z + F.linear(before, weights["weight_hh"], weights.get("bias_hh"))
    alpha = weights.get("alpha")
    slopes = cell.activation.derivative(z, alpha).abs().flatten(1).amax(1)
    sigma = float(torch.linalg.matrix_norm(weights["weight_hh"], ord=2))
    leak = cell.leak_rate if isinstance(cell, Leaky) else 1.0
    factors = (1 - leak) + leak * sigma * slopes
    # Π_{m=k+1..j}, from the end.
    products = torch.cat([factors[1:], factors.new_ones(1)]).flip(0).cumprod(0).flip(0)
    return NormBound(
        norms,
        norms[-1] * products,
        slopes,
        sigma,
        float(torch.linalg.eigvals(weights["weight_hh"]).abs().max()),
        largest_slope(cell.activation, None if alpha is None else float(alpha)),
        leak,
    )
