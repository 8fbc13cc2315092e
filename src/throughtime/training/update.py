"""The gradient of one update: forward and backward through one window, or several."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from throughtime.training.adaptive_clipping import threshold
from throughtime.training.bptt import Method, Position, Problem
from throughtime.training.clipping import clip_norm, clip_value, global_norm
from throughtime.training.config import TrainingConfig
from throughtime.training.hessian_free import HessianFree
from throughtime.training.omega import omega_probes
from throughtime.training.window_problem import WindowProblem


class Gradient(NamedTuple):
    """What a backward pass left beside the gradients in ``.grad``.

    loss: per target that counts.
    norm: joint norm of all gradients.
    targets: how many counted.
    carried: the model's state, detached, before ``position.start``.
    position: where the next window starts.
    """

    loss: float
    norm: float
    targets: int
    carried: Any
    position: Position


def backward(
    problem: Problem,
    method: Method,
    position: Position,
    state: Any,
    *,
    windows: int = 1,
    omega: float = 0.0,
    joined: Problem | None = None,
) -> Gradient:
    """Add the gradient of the next ``windows`` windows to every ``.grad``.

    Their losses are weighted by their targets, as if they were one batch. The gradient
    of ``omega`` times Ω comes to it; the loss that is reported has none.

    Args:
        problem: model, loss and streams.
        method: which windows.
        position: where the first one starts.
        state: carried up to there.
        windows: how many of them.
        omega: weight of Ω.
        joined: the problem that this one is a part of, whose targets count in weights
            and means; default: itself.
    """
    joined = problem if joined is None else joined
    steps, group = len(problem.inputs), []
    while len(group) < windows and position.counted < steps:
        window = method.next_window(position, steps)
        group.append(window)
        position = Position(window.carry, window.stop, position.epoch)
    targets = sum(window.targets(joined.targets, joined.mask) for window in group)
    value = 0.0
    for window in group:
        # Means add up to the mean over all targets, sums just add up.
        mean = problem.reduction == "mean"
        count = window.targets(problem.targets, problem.mask)
        weight = count / max(targets, 1) if mean else 1.0
        if omega:
            with omega_probes(problem.module) as probes:
                part, state = method.backward(problem, window, state, weight)
            # A mean over sequences, so that each counts, whatever its mask.
            count = window.targets(joined.targets, joined.mask)
            weight = count / max(targets, 1) if mean else 1.0
            share = problem.inputs.size(1) / joined.inputs.size(1)
            probes.add_gradient(omega * weight * share)
        else:
            part, state = method.backward(problem, window, state, weight)
        value += part
    if problem.reduction == "sum":
        value /= max(targets, 1)
    parameters = [p for p in problem.module.parameters() if p.grad is not None]
    norm = global_norm(p.grad for p in parameters if p.grad is not None)
    return Gradient(value, norm, targets, state, position)


def second_order_step(
    problem: Problem,
    method: Method,
    position: Position,
    state: Any,
    optimizer: HessianFree,
    *,
    share: float = 1.0,
) -> Gradient:
    """One step of Hessian-free optimisation on the next window.

    The products with the curvature are made on a ``share`` of the streams, others at
    every step.
    """
    window = method.next_window(position, len(problem.inputs))
    targets = window.targets(problem.targets, problem.mask)
    closure = WindowProblem(
        problem.module,
        problem.inputs,
        problem.targets,
        state,
        window,
        problem.loss,
        problem.mask,
        hidden=optimizer.param_groups[0]["structural_damping"] > 0,
        curvature_share=share,
        turn=optimizer.steps,
        reduction=problem.reduction,
    )
    value = optimizer.step(closure, closure.curvature)
    if problem.reduction == "sum":
        value /= max(targets, 1)
    assert optimizer.last is not None
    after = Position(window.carry, window.stop, position.epoch)
    norm = optimizer.last.gradient_norm
    return Gradient(value, norm, targets, closure.carried, after)


def clip(
    parameters: Sequence[Tensor],
    config: TrainingConfig,
    norms: list[float],
    norm: float,
) -> bool:
    """Clip the gradients as a config says.

    Args:
        parameters: whose gradients.
        config: thresholds.
        norms: of the gradients so far, ascending; a percentile of them is a threshold
            only after this one has entered.
        norm: of this one.

    Returns:
        Whether clipping by norm changed it.
    """
    if config.max_value is not None:
        clip_value(parameters, config.max_value)
        norm = global_norm(p.grad for p in parameters if p.grad is not None)
    limit = math.inf if config.max_norm is None else config.max_norm
    if config.clip_percentile is not None:
        limit = min(limit, threshold(norm, norms, config.clip_percentile))
    if math.isinf(limit):
        return False
    clip_norm(parameters, limit, joint=not config.per_tensor, norm=norm)
    return norm > limit
