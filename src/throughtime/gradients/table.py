"""The gradient of one parameter as a table over loss step and occurrence."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.errors import InvalidValue
from throughtime.gradients.occurrences import Factor, Place


class Part(NamedTuple):
    """A factor of the parameter, with the place that has its δ."""

    place: Place
    factor: Factor


class Table:
    """G[j, k] of one parameter and its sums; the table itself is not kept.

    Args:
        parameter: what the gradient is of.
        parts: where it acts.
    """

    def __init__(self, parameter: Tensor, parts: Sequence[Part]) -> None:
        self.parameter = parameter
        self.timed = [part for part in parts if part.place.timed]
        self.timeless = [part for part in parts if not part.place.timed]
        steps = {part.place.delta.size(1) for part in self.timed}
        if len(steps) > 1:
            raise InvalidValue(
                "a parameter acts in sequences of several lengths, "
                f"{sorted(steps)} steps, so that its steps cannot be compared; "
                "leave it out with parameters=[...]"
            )
        self.steps = steps.pop() if steps else 0

    def _spread(self, part: Part, values: Tensor) -> Tensor:
        """Gradients of a piece, (n, *shape), as gradients of the parameter."""
        source, index = part.factor.piece
        if index is not None:
            place = index if isinstance(index, tuple) else (index,)
            whole = values.new_zeros((len(values), *source.shape))
            whole[(slice(None), *place)] = values
            values = whole
        if source is self.parameter:
            return values
        (found,) = torch.autograd.grad(
            source, self.parameter, values, retain_graph=True, is_grads_batched=True
        )
        return found

    def _sum(self, part: Part, delta: Tensor, inputs: Tensor | None) -> Tensor:
        return self._spread(part, part.factor.outer(delta, inputs))

    def per_loss_step(self) -> Tensor:
        """Σ_k G[j, k], (J, *shape), also over what has no step."""
        parts = [
            self._sum(part, part.place.delta.flatten(1, 2), _rows(part.factor.inputs))
            for part in (*self.timed, *self.timeless)
        ]
        return sum(parts[1:], parts[0])

    def outside(self) -> Tensor:
        """What no step can be given for, summed over loss steps."""
        total = torch.zeros_like(self.parameter)
        for part in self.timeless:
            delta = part.place.delta.sum(0).flatten(0, 1)
            total += self._sum(part, delta[None], _rows(part.factor.inputs))[0]
        return total

    def per_occurrence(self) -> Tensor:
        """Σ_j G[j, k], (K, *shape)."""
        parts = [
            self._sum(part, part.place.delta.sum(0), part.factor.inputs)
            for part in self.timed
        ]
        return sum(parts[1:], parts[0])

    def terms(self, j: int) -> Tensor:
        """G[j, k] of every k, (K, *shape)."""
        parts = [
            self._sum(part, part.place.delta[j], part.factor.inputs)
            for part in self.timed
        ]
        return sum(parts[1:], parts[0])

    def term(self, j: int, k: int) -> Tensor:
        """G[j, k], (*shape)."""
        total = torch.zeros_like(self.parameter)
        for part in self.timed:
            inputs = part.factor.inputs
            one = None if inputs is None else inputs[k : k + 1]
            total += self._sum(part, part.place.delta[j, k : k + 1], one)[0]
        return total

    def per_lag(self, lags: Tensor) -> Tensor:
        """Sums over the pairs of each lag, (K, *shape); ``lags`` is (J, K)."""
        total = self.parameter.new_zeros((self.steps, *self.parameter.shape))
        for part in self.timed:
            delta, inputs = part.place.delta, part.factor.inputs
            there = delta.flatten(2).any(-1)
            sums = delta.new_zeros((self.steps, *part.factor.shape))
            for lag in range(self.steps):
                j, k = torch.nonzero((lags == lag) & there, as_tuple=True)
                rows = None if inputs is None else inputs[k].flatten(0, 1)
                sums[lag] = part.factor.outer(delta[j, k].flatten(0, 1), rows)
            total += self._spread(part, sums)
        return total

    def norms(self) -> Tensor:
        """‖G[j, k]‖, (J, K) in float64."""
        loss_steps = self.timed[0].place.delta.size(0)
        if not self._disjoint():
            rows = [self.terms(j).flatten(1).double() for j in range(loss_steps)]
            return torch.stack([row.norm(dim=1) for row in rows])
        grams = [part.factor.gram() for part in self.timed]
        rows = []
        for j in range(loss_steps):
            squares = torch.zeros((), dtype=torch.float64)
            for part, gram in zip(self.timed, grams, strict=True):
                # float64: the square of a vanishing number is below float32.
                delta = part.place.delta[j].double()
                if gram is None:
                    squares = squares + delta.sum(1).square().sum(1)
                else:
                    products = delta @ delta.transpose(1, 2)
                    squares = squares + (products * gram).sum((1, 2))
            rows.append(squares.clamp(min=0).sqrt())
        return torch.stack(rows)

    def _disjoint(self) -> bool:
        """Whether pieces are rows of the parameter itself, none of them twice."""
        count = torch.zeros(self.parameter.shape, dtype=torch.int64)
        for part in self.timed:
            source, index = part.factor.piece
            if source is not self.parameter:
                return False
            count[... if index is None else index] += 1
        return not bool((count > 1).any())


def _rows(inputs: Tensor | None) -> Tensor | None:
    return None if inputs is None else inputs.flatten(0, 1)
