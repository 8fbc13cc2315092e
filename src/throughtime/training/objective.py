"""The loss as a function of the parameters, as Hessian-free optimisation needs it."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.errors import InvalidType, InvalidValue
from throughtime.training.curvature import check_outputs, flatten, unflatten

# Two evaluations differ by rounding only; dropout changes outputs by far more.
_SAME = 1e-3


class Evaluation(NamedTuple):
    """What a closure returns; a plain pair or triple will do.

    outputs: of the model, with their graph.
    loss: the loss of outputs, one number, convex in them.
    hidden: hidden states (T, B, H) with their graph, for structural damping.
    """

    outputs: Tensor
    loss: Callable[[Tensor], Tensor]
    hidden: Sequence[Tensor] = ()


Closure = Callable[[], Evaluation | tuple[Any, ...]]


class Objective:
    """f as a function of δ: the loss at θ + δ, inf if it is not finite.

    Args:
        closure: see ``Evaluation``; it reads the parameters.
        parameters: θ is what they hold now; they hold it again after every call.

    >>> weight = torch.ones(2, requires_grad=True)
    >>> f = Objective(lambda: (weight, lambda o: (o**2).sum()), [weight])
    >>> f(torch.ones(2)), f(torch.zeros(2)), f.evaluations
    (8.0, 2.0, 2)
    """

    def __init__(self, closure: Closure, parameters: Sequence[Tensor]) -> None:
        self.closure, self.parameters = closure, parameters
        self.start = flatten(parameters).detach().clone()
        self.evaluations = 0

    @torch.no_grad()
    def __call__(self, direction: Tensor) -> float:
        """The loss at θ + δ."""
        try:
            self._set(self.start + direction)
            at = evaluation(self.closure(), graph=False)
            value = float(at.loss(at.outputs))
        finally:
            self._set(self.start)
        self.evaluations += 1
        return value if math.isfinite(value) else math.inf

    def _set(self, vector: Tensor) -> None:
        parts = unflatten(vector, self.parameters)
        for parameter, part in zip(self.parameters, parts, strict=True):
            # Past autograd's count of versions: the graph at the start is used again,
            # but never before the start is back.
            parameter.data.copy_(part)

    @torch.no_grad()
    def check_deterministic(self, outputs: Tensor) -> None:
        """Raise unless the closure gives these outputs once more.

        Raises:
            InvalidValue: it does not.
        """
        again = evaluation(self.closure(), graph=False).outputs
        self.evaluations += 1
        same = again.shape == outputs.shape
        change = (again - outputs).norm() if same else math.inf
        if not change <= _SAME * outputs.norm():
            raise InvalidValue(
                "the model is not deterministic: two evaluations with the same "
                "parameters gave different outputs; switch dropout off (model.eval(), "
                "or dropout=0, zoneout=0, weight_drop=0) and let the closure return "
                "the same batch each time"
            )


def evaluation(value: Any, *, graph: bool = True) -> Evaluation:
    """What a closure returned, checked.

    Raises:
        InvalidType: it is something else.
    """
    if not isinstance(value, tuple) or len(value) not in (2, 3):
        raise InvalidType(
            "the closure should return (outputs, loss) or (outputs, loss, hidden), "
            f"got: {type(value).__name__}; loss is a function of the outputs"
        )
    found = Evaluation(*value)
    check_outputs(found.outputs, graph=graph)
    if not callable(found.loss):
        raise InvalidType(
            "the closure should return the loss as a function of the outputs, got: "
            f"{type(found.loss).__name__}; return (outputs, lambda outputs: ...)"
        )
    return found
