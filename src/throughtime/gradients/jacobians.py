r"""The Jacobian of every step, and their ordered products.

    ∂s_j/∂s_k = J_j J_{j-1} … J_{k+1},    J_t = ∂s_t/∂s_{t-1},

where s_t is the whole state of a stack behind step t, all layers and fields side by
side. The matrices do not commute, so the order matters: later steps stand on the left.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from throughtime.errors import InvalidValue
from throughtime.gradients.stack_step import StackStep, check_one_way, flatten_state
from throughtime.layers import Recurrent


@dataclass(frozen=True)
class Jacobians:
    """Step Jacobians of one run; made by ``jacobians``.

    Steps count from 0, and s_{-1} is the state before the first.

    Attributes:
        steps: J_t, (T, B, S, S), float64.
        states: s_t, (T, B, S).
    """

    steps: Tensor
    states: Tensor

    @property
    def factor_norms(self) -> Tensor:
        """The largest singular value of each factor J_t, (T, B)."""
        return torch.linalg.matrix_norm(self.steps, ord=2)

    def product(self, j: int, k: int) -> Tensor:
        """∂s_j/∂s_k for -1 <= k <= j < T, (B, S, S).

        Raises:
            InvalidValue: other j or k.
        """
        count = len(self.steps)
        if not -1 <= k <= j < count:
            raise InvalidValue(
                f"a product needs -1 <= k <= j < T = {count}, got j = {j}, k = {k}"
            )
        eye = torch.eye(self.steps.size(-1), dtype=self.steps.dtype)
        found = eye.to(self.steps.device).expand(self.steps.shape[1:])
        for t in range(k + 1, j + 1):
            found = self.steps[t] @ found
        return found

    def singular_values(self, j: int | None = None) -> Tensor:
        """Those of ∂s_j/∂s_{j-lag} for every lag from 0 to j + 1, (j + 2, B, S).

        Sorted, the largest first; default: of the last step.

        Raises:
            InvalidValue: j is no step.
        """
        j = len(self.steps) - 1 if j is None else j
        found = self.product(j, j)
        values = [torch.linalg.svdvals(found)]
        for t in range(j, -1, -1):
            found = found @ self.steps[t]
            values.append(torch.linalg.svdvals(found))
        return torch.stack(values)

    def condition_numbers(self, j: int | None = None) -> Tensor:
        """σ_max / σ_min of ∂s_j/∂s_{j-lag} over lag, (j + 2, B); inf if singular."""
        values = self.singular_values(j)
        return values[..., 0] / values[..., -1]


def jacobians(layer: Recurrent, x: Tensor, state: Any = None) -> Jacobians:
    """The Jacobian ∂s_t/∂s_{t-1} of every step.

    Args:
        layer: a recurrent layer of any cell, also several layers; one direction.
        x: (T, B, I).
        state: as ``layer`` takes it; default: its initial state.

    Raises:
        InvalidType: no recurrent layer.
        InvalidValue: bidirectional, or with random masks.
        InvalidShape: x is not (T, B, I).

    >>> import throughtime as tt
    >>> found = jacobians(tt.LSTM(2, 3), torch.randn(5, 1, 2))
    >>> found.steps.shape, found.product(4, 1).shape
    (torch.Size([5, 1, 6, 6]), torch.Size([1, 6, 6]))
    """
    check_one_way(layer, x, "a Jacobian of the step")
    step = StackStep(layer)
    with torch.no_grad():
        first = flatten_state(layer.read_state(state, x.size(1)))
        trace = layer(x, state, return_states=True)[2]
        every = flatten_state(trace.states)
        before = torch.cat([first.unsqueeze(0), every[:-1]])

        def new_state(flat: Tensor, x_t: Tensor) -> Tensor:
            return step({}, flat, x_t)[0]

        steps = vmap(vmap(jacrev(new_state)))(before, x)
    return Jacobians(steps.double(), every)
