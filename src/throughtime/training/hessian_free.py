r"""Hessian-free optimisation of recurrent networks.

One step minimises the quadratic model of the loss f around the parameters θ,

    q(δ) = gᵀ δ + ½ δᵀ G δ,        G = Jᵀ H_L J,

damped by λ (½ ‖δ‖² + μ S(δ)), by conjugate gradients; S is the change of the hidden
states, ½ Σ_t ‖J_h δ‖², the mean over sequences (structural damping). Then it goes
back among the iterates to the best one, adapts λ to how well the model predicted the
loss, and searches along the line.

Martens, "Deep learning via Hessian-free optimization", ICML 2010; Martens and
Sutskever, "Learning recurrent neural networks with Hessian-free optimization", ICML
2011, and "Training deep and recurrent networks with Hessian-free optimization", 2012.
"""

import math
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue
from throughtime.training.conjugate_gradient import Solution, conjugate_gradient, dot
from throughtime.training.curvature import (
    GaussNewton,
    check_alike,
    check_loss,
    flatten,
    unflatten,
)
from throughtime.training.objective import Closure, Evaluation, Objective, evaluation

# λ after a step whose model predicted too much, or very well (Martens, 2010).
RAISE, LOWER = 3 / 2, 2 / 3
# Armijo: a step wins at least this share of what the slope promises; or is shortened.
_SUFFICIENT, _SHORTER, _MOST_SHORTENINGS = 1e-2, 0.8, 60
_TINY = 1e-300


class StepReport(NamedTuple):
    """What a step did.

    loss, new_loss: f before and after. gradient_norm: ‖g‖. damping: λ that was used.
    ratio: what δ won over what q promised. iterations: of conjugate gradients, each
    one Gauss-Newton product; chosen: those up to the iterate that was taken. rate: of
    the line search, 0 if no step was made. evaluations: of f alone.
    """

    loss: float
    new_loss: float
    gradient_norm: float
    damping: float
    ratio: float = math.nan
    iterations: int = 0
    chosen: int = 0
    rate: float = 0.0
    evaluations: int = 0


class HessianFree(torch.optim.Optimizer):
    """Hessian-free optimisation with the interface of ``torch.optim``.

    The type of parameters and outputs should have the precision that the loss needs;
    float32 is enough for most. The model must give the same outputs every time it is
    asked: no dropout.

    Args:
        params: one group of tensors.
        lr: the longest step along the direction found, relative to it.
        damping: λ > 0 to begin with. It is kept in ``param_groups`` and adapts.
        structural_damping: μ >= 0, the weight of S relative to ½ ‖δ‖².
        max_iterations: of conjugate gradients in one step.
        tolerance: ε of their stopping rule, see ``conjugate_gradient``.
        warm_start: they start from this share in [0, 1] of the last direction.
        preconditioner: exponent α in [0, 1] of (diag Σ_i g_i² + λ)^α, Martens' is 0.75;
            0: none, which took fewer iterations in the networks measured here. g_i is
            the part of the gradient that comes through output i, an entry of
            ``outputs``; the sum is estimated by as many backward passes with random
            signs as ``preconditioner_draws`` says, which is unbiased,
            E (Σ_i ±g_i)² = Σ_i g_i², and scaled to the size of diag G.
        preconditioner_draws: how many.
        spacing: γ > 1, of the iterates among which it goes back.

    Raises:
        InvalidType: an option is no number, or parameters differ in type or device.
        InvalidValue: an option is out of range, or several parameter groups.

    >>> weight = torch.zeros(2, requires_grad=True)
    >>> x, y = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([1.0, 3.0])
    >>> optimizer = HessianFree([weight], damping=1e-6)
    >>> loss = optimizer.step(lambda: (x @ weight, lambda o: ((o - y) ** 2).sum()))
    >>> loss, weight
    (10.0, tensor([1.0000, 2.0000], requires_grad=True))
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1.0,
        *,
        damping: float = 1.0,
        structural_damping: float = 0.0,
        max_iterations: int = 100,
        tolerance: float = 5e-4,
        warm_start: float = 0.95,
        preconditioner: float = 0.0,
        preconditioner_draws: int = 4,
        spacing: float = 1.3,
    ) -> None:
        options = {
            "lr": number("lr", lr, minimum=0),
            "damping": number("damping", damping, minimum=0, exclude_minimum=True),
            "structural_damping": number(
                "structural_damping", structural_damping, minimum=0
            ),
            "max_iterations": positive_int("max_iterations", max_iterations),
            "tolerance": number("tolerance", tolerance, minimum=0),
            "warm_start": number("warm_start", warm_start, minimum=0, maximum=1),
            "preconditioner": number(
                "preconditioner", preconditioner, minimum=0, maximum=1
            ),
            "preconditioner_draws": positive_int(
                "preconditioner_draws", preconditioner_draws
            ),
            "spacing": number("spacing", spacing, minimum=1, exclude_minimum=True),
        }
        super().__init__(params, options)
        if len(self.param_groups) > 1:
            raise InvalidValue(
                "HessianFree takes one group of parameters, got "
                f"{len(self.param_groups)}; it has no options per parameter"
            )
        check_alike(self._parameters)
        self.last: StepReport | None = None

    @property
    def _parameters(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    @property
    def damping(self) -> float:
        """λ of the next step."""
        return self.param_groups[0]["damping"]

    @property
    def steps(self) -> int:
        """Steps made; it is part of the state, and so goes on after a resume."""
        return self.state.get(self._parameters[0], {}).get("step", 0)

    @torch.enable_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride] - needs a closure
        self, closure: Closure, curvature: Closure | None = None
    ) -> float:
        """One step; ``last`` then says what it did.

        Args:
            closure: returns ``(outputs, loss)`` or ``(outputs, loss, hidden)``, see
                ``Evaluation``; called many times.
            curvature: the same on less data, on which Gauss-Newton products are made;
                gradient and loss stay those of ``closure``.

        Returns:
            The loss before the step. If it or the gradient is not finite, nothing was
            changed.

        Raises:
            InvalidType: the closure returns something else.
            InvalidValue: the model is not deterministic; the loss is not one number,
                or does not depend on the outputs; or no hidden states to damp.
        """
        options, parameters = self.param_groups[0], self._parameters
        damping = options["damping"]
        memory = self.state[parameters[0]]
        memory["step"] = memory.get("step", 0) + 1
        objective = Objective(closure, parameters)
        start = objective.start

        at = evaluation(closure())
        value = check_loss(at.loss(at.outputs))
        gradient, squares = self._gradients(at, value, memory["step"])
        loss, norm = float(value.detach()), math.sqrt(dot(gradient, gradient))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.last = StepReport(loss, loss, gradient_norm=norm, damping=damping)
            return loss
        objective.check_deterministic(at.outputs)

        if curvature is not None:
            at = evaluation(curvature())
        product = self._product(at)
        del at, value
        found = self._solve(product, gradient, squares)
        for name, part in self._named(found.x):
            self.state[name]["direction"] = part.clone()
        chosen, direction, new = _best(found, objective)

        # The graph is used again: the parameters are back where they were.
        promised = dot(gradient, direction) + product.energy(direction) / 2
        ratio = (new - loss) / promised if promised < 0 else -math.inf
        if not ratio >= 1 / 4:
            options["damping"] = damping * RAISE
        elif ratio > 3 / 4:
            options["damping"] = damping * LOWER

        slope = dot(gradient, direction)
        rate, new = _search(objective, direction, slope, loss, new, options["lr"])
        if rate:
            with torch.no_grad():
                for parameter, part in self._named(start + rate * direction):
                    parameter.copy_(part)
        self.last = StepReport(
            loss,
            new,
            norm,
            damping,
            ratio,
            found.iterations,
            chosen,
            rate,
            objective.evaluations,
        )
        return loss

    def _named(self, vector: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        """Each parameter and its part of a vector."""
        parts = unflatten(vector, self._parameters)
        return zip(self._parameters, parts, strict=True)

    def _gradients(
        self, at: Evaluation, value: Tensor, seed: int
    ) -> tuple[Tensor, Tensor | None]:
        """g, and an estimate of Σ_i g_i² if there is a preconditioner."""
        options = self.param_groups[0]
        draws, wanted = options["preconditioner_draws"], options["preconditioner"] > 0
        (slope,) = torch.autograd.grad(value, at.outputs, create_graph=wanted)

        def back(outputs: Tensor) -> Tensor:
            found = torch.autograd.grad(
                at.outputs,
                self._parameters,
                outputs,
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            return flatten(found)

        gradient = back(slope.detach())
        if not wanted or not slope.requires_grad:
            return gradient, None
        # From the step's number, so that a resumed training draws the same.
        generator = torch.Generator().manual_seed(seed)

        def signs() -> Tensor:
            drawn = torch.randint(0, 2, slope.shape, generator=generator)
            return (2 * drawn - 1).to(slope)

        some = signs()
        (curved,) = torch.autograd.grad(slope, at.outputs, some)
        slope = slope.detach()
        squares = sum(back(slope * signs()) ** 2 for _ in range(draws)) / draws
        # Σ_i (∂L/∂o_i)² becomes the trace of H_L, and so squares of the size of diag G.
        trace = max(dot(some, curved), 0.0)
        return gradient, squares * (trace / max(dot(slope, slope), _TINY))

    def _product(self, at: Evaluation) -> GaussNewton:
        options = self.param_groups[0]
        weight = options["damping"] * options["structural_damping"]
        if not weight:
            return GaussNewton(at.outputs, at.loss, self._parameters)
        if not at.hidden:
            raise InvalidValue(
                "structural_damping needs hidden states, and the closure returned "
                "none; return (outputs, loss, hidden) with what record_hidden(model) "
                "has recorded, or use structural_damping=0"
            )
        return GaussNewton(
            at.outputs,
            at.loss,
            self._parameters,
            hidden=at.hidden,
            hidden_weight=weight / at.hidden[0].size(1),
        )

    def _solve(
        self, product: GaussNewton, gradient: Tensor, squares: Tensor | None
    ) -> Solution:
        """Conjugate gradients on the damped model."""
        options = self.param_groups[0]
        damping = options["damping"]
        known = [self.state[p].get("direction") for p in self._parameters]
        start = None
        if options["warm_start"] and all(part is not None for part in known):
            start = options["warm_start"] * flatten([p for p in known if p is not None])
        found = conjugate_gradient(
            lambda v: product(v) + damping * v,
            -gradient,
            start=start,
            preconditioner=None
            if squares is None
            else (squares + damping) ** options["preconditioner"],
            max_iterations=options["max_iterations"],
            tolerance=options["tolerance"],
            spacing=options["spacing"],
        )
        if not found.curvature:
            warnings.warn(
                "the loss is not convex in the outputs: conjugate gradients met a "
                "direction of negative curvature and stopped; use a convex loss such "
                "as losses.mse or losses.cross_entropy, or more damping",
                stacklevel=5,
            )
        return found


def _best(found: Solution, f: Objective) -> tuple[int, Tensor, float]:
    """Back among the iterates while that lowers the loss: (i, δ, f)."""
    (chosen, direction), *before = reversed(found.iterates)
    value = f(direction)
    for i, earlier in before:
        other = f(earlier)
        if other > value or (other == value and math.isfinite(value)):
            break
        chosen, direction, value = i, earlier, other
    return chosen, direction, value


def _search(
    f: Objective,
    direction: Tensor,
    slope: float,
    loss: float,
    new: float,
    longest: float,
) -> tuple[float, float]:
    """The first rate that is good enough and its loss; (0, loss) if there is none.

    ``new`` is the loss at rate 1.
    """
    rate = longest
    value = new if rate == 1 else f(rate * direction)
    for _ in range(_MOST_SHORTENINGS):
        if value <= loss + _SUFFICIENT * rate * slope:
            return rate, value
        rate *= _SHORTER
        value = f(rate * direction)
    return 0.0, loss
