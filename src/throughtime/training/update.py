"""The gradient of one update: forward and backward through one window, or several."""

from typing import Any, NamedTuple

from throughtime.training.bptt import Method, Position, Problem


class Gradient(NamedTuple):
    """What a backward pass left beside the gradients in ``.grad``.

    loss: per target that counts.
    targets: how many counted.
    carried: the model's state, detached, before ``position.start``.
    position: where the next window starts.
    """

    loss: float
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
) -> Gradient:
    """Add the gradient of the next ``windows`` windows to every ``.grad``.

    Their losses are weighted by their targets, as if they were one batch.
    """
    steps, group = len(problem.inputs), []
    while len(group) < windows and position.counted < steps:
        window = method.next_window(position, steps)
        group.append((window, window.targets(problem.targets, problem.mask)))
        position = Position(window.carry, window.stop, position.epoch)
    targets = sum(count for _, count in group)
    value = 0.0
    for window, count in group:
        # Means add up to the mean over all targets, sums just add up.
        mean = problem.reduction == "mean"
        weight = count / max(targets, 1) if mean else 1.0
        part, state = method.backward(problem, window, state, weight)
        value += part
    if problem.reduction == "sum":
        value /= max(targets, 1)
    return Gradient(value, targets, state, position)
