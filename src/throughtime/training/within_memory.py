"""A method of training through time whose backward passes keep within a budget."""

from typing import Any

from throughtime.errors import InvalidValue
from throughtime.training.bptt import (
    BPTT,
    Method,
    Position,
    Problem,
    TruncatedBPTT,
    Window,
)
from throughtime.training.checkpointed import checkpointed_backward
from throughtime.training.memory import Costs, MemoryPlan, plan_memory
from throughtime.training.memory_costs import measure_costs


class WithinMemory:
    """Windows of a method, each differentiated by the plan for its length.

    The gradient is that of the method; steps are run forward again instead of being
    kept, see ``checkpointed``.

    Args:
        method: ``BPTT`` or ``TruncatedBPTT``.
        memory: bytes, or a text such as ``"200MB"``, for stored states and what one
            block of steps keeps; not for weights, optimiser and data.
        problem: what is trained on what; some of its steps are run to measure.

    Raises:
        InvalidType: ``memory`` is neither.
        InvalidValue: another method, or no size.

    >>> import torch, throughtime as tt
    >>> rnn, x = tt.LSTM(2, 8), torch.randn(400, 4, 2)
    >>> task = Problem(rnn, rnn, tt.losses.mse, x, torch.zeros(400, 4, 8))
    >>> method = WithinMemory(BPTT(), "100kB", task)
    >>> value, state = method.backward(task, Window(0, 400, 0, 400), None)
    >>> method.plan(400).peak_bytes < 100_000
    True
    """

    def __init__(self, method: Method, memory: int | str, problem: Problem) -> None:
        if not isinstance(method, (BPTT, TruncatedBPTT)):
            raise InvalidValue(
                "memory needs windows that are run once, of truncation 'full', "
                f"'chunked' or 'adaptive', got {type(method).__name__}"
            )
        self.method, self.memory = method, memory
        self.costs: Costs = measure_costs(
            problem.run,
            problem.inputs,
            problem.targets,
            problem.loss,
            mask=problem.mask,
        )
        self._plans: dict[int, MemoryPlan] = {}

    def plan(self, steps: int) -> MemoryPlan:
        """How a window of so many steps is run.

        Raises:
            InvalidValue: the budget is below the minimum, which the error names.
        """
        if steps not in self._plans:
            self._plans[steps] = plan_memory(
                steps, memory=self.memory, costs=self.costs
            )
        return self._plans[steps]

    def next_window(self, position: Position, steps: int) -> Window:
        """See ``Method.next_window``."""
        return self.method.next_window(position, steps)

    def backward(
        self, problem: Problem, window: Window, state: Any, weight: float = 1.0
    ) -> tuple[float, Any]:
        """See ``Method.backward``."""
        value, carried = checkpointed_backward(
            problem.run,
            problem.inputs,
            problem.targets,
            state,
            window,
            problem.loss,
            problem.mask,
            self.plan(window.stop - window.start),
            reduction=problem.reduction,
            weight=weight,
        )
        return value.item(), carried
