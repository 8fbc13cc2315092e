r"""Backpropagation through T steps within m stored states: what to store, and when.

A run forward stores the carried state at a few places; the backward pass goes from the
last step to the first and runs forward again from the nearest stored state. With m
states for t steps, the least number of steps that have to be run forward is

    C(t, m) = min_y [y + C(t - y, m - 1) + C(y, m)],   C(t, 1) = t (t + 1) / 2:

run y steps, store the state there, do the rest with the m - 1 others, come back.
Gruslys et al., "Memory-efficient backpropagation through time", arXiv 1606.03401. The
recursion has a solution: with β(m, r) = (m + r choose m) and β(m, r-1) < t <= β(m, r),

    C(t, m) = (r + 1) t - β(m + 1, r - 1).

Griewank and Walther, "Algorithm 799: revolve", ACM TOMS 26, 2000.

A "step" may be a block of steps that keeps all it needs for its gradient at once: then
blocks of √T steps and a state before each need about 2 √T of everything.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from throughtime.checks import parse_memory, positive_int
from throughtime.errors import InvalidValue

# What calling a model costs beside its steps, in steps forward: weights are packed
# anew. Measured for layers of 256 units: 10 with a batch of 8, 40 with a batch of 1.
_CALL = 16


def forward_count(blocks: int, slots: int) -> int:
    """C(t, m): the least number of blocks to run forward, with or without graph.

    Args:
        blocks: t, to differentiate.
        slots: m, the states that can be stored, the first one included.

    >>> [forward_count(1000, slots) for slots in (1, 5, 10, 20, 32, 50, 64)]
    [500500, 7284, 4636, 3747, 3405, 2948, 2934]
    """
    positive_int("blocks", blocks)
    again = _repetitions(blocks, positive_int("slots", slots))
    return (again + 1) * blocks - (math.comb(slots + again, slots + 1) if again else 0)


def first_part(blocks: int, slots: int) -> int:
    """The y of C(t, m) for t > 1: blocks to run before the next state is stored.

    >>> first_part(10, 1), first_part(10, 9), first_part(1000, 50)
    (9, 1, 51)
    """
    if slots == 1:
        return blocks - 1  # and nothing but the first state stays
    again = _repetitions(blocks, slots)
    # The largest y that leaves both parts the repetitions they are best at.
    left = math.comb(slots + again - 1, slots)
    right = math.comb(slots + again - 2, slots - 1)
    return min(left, blocks - right)


def _repetitions(blocks: int, slots: int) -> int:
    """r: how often a block runs forward without graph, at most."""
    if slots == 1:
        return blocks - 1
    again = 0
    while math.comb(slots + again, slots) < blocks:
        again += 1
    return again


class Costs(NamedTuple):
    """Bytes of a training step.

    step: what each step of a block keeps until the block's gradient is known.
    call: what a block keeps however short it is.
    state: the carried state.
    """

    step: int
    call: int
    state: int


@dataclass(frozen=True)
class MemoryPlan:
    """How to run the backward pass of ``steps`` steps.

    Attributes:
        steps: T.
        block: steps whose graph is held at once; the last block may have fewer.
        slots: states that are stored at once, the first one included.
        forward_steps: steps that are run forward; plain backpropagation runs T.
        peak_bytes: of states and one block's graph together; None if not measured.
    """

    steps: int
    block: int
    slots: int
    forward_steps: int
    peak_bytes: int | None = None


def plan_memory(
    steps: int,
    *,
    block: int | None = None,
    slots: int | None = None,
    memory: int | str | None = None,
    costs: Costs | None = None,
) -> MemoryPlan:
    """The plan for ``steps`` steps.

    Args:
        steps: T.
        block: steps whose graph is held at once; default: √T, rounded up.
        slots: states that are stored at once, the first one included; default: one
            before each block, so that no step runs forward more than twice.
        memory: instead of these two: a budget such as ``"200MB"``, or bytes, for the
            stored states and the graph of one block. Chosen are the block and the
            states that fit and take the least time.
        costs: bytes of the training step, from ``measure_costs``; with ``memory``.

    Raises:
        InvalidType: a number is no int.
        InvalidValue: a number below one, ``memory`` without ``costs`` or together with
            the others, or not enough for a single step (the text names the minimum).

    >>> plan_memory(10_000)
    MemoryPlan(steps=10000, block=100, slots=99, forward_steps=19900, peak_bytes=None)
    >>> plan_memory(1000, block=1, slots=50).forward_steps
    2948
    >>> plan_memory(1000, memory="1MB", costs=Costs(10_000, 0, 1_000))
    MemoryPlan(steps=1000, block=91, slots=10, forward_steps=1910, peak_bytes=922000)
    """
    positive_int("steps", steps)
    if memory is None:
        block = math.isqrt(steps - 1) + 1 if block is None else block
        block = min(positive_int("block", block), steps)
        most = max(1, -(-steps // block) - 1)
        slots = most if slots is None else min(positive_int("slots", slots), most)
        return _plan(steps, block, slots, costs)
    budget = parse_memory(memory)
    if costs is None or block is not None or slots is not None:
        raise InvalidValue(
            "memory= chooses block and slots from costs=; give it together with the "
            "result of measure_costs and without block and slots"
        )
    minimum = _bytes(1, 1, costs)
    if budget < minimum:
        raise InvalidValue(
            f"memory must be at least {minimum} bytes ({minimum / 1e6:.3g} MB) for one "
            f"state and the graph of one step, got {budget}; use a smaller batch or "
            "model, or a larger memory"
        )
    plans = [
        _plan(steps, size, _slots_within(budget, steps, size, costs), costs)
        for size in _block_sizes(steps)
        if _bytes(size, 1, costs) <= budget
    ]
    return min(plans, key=_time)


def _bytes(block: int, slots: int, costs: Costs) -> int:
    """Stored states, the one at work and its gradient, and a block's graph."""
    return (slots + 2) * costs.state + costs.call + block * costs.step


def _plan(steps: int, block: int, slots: int, costs: Costs | None) -> MemoryPlan:
    blocks = -(-steps // block)
    # The last block, which may be shorter, runs once.
    last = steps - (blocks - 1) * block
    count = (forward_count(blocks, slots) - 1) * block + last
    peak = None if costs is None else _bytes(block, slots, costs)
    return MemoryPlan(steps, block, slots, count, peak)


def _slots_within(budget: int, steps: int, block: int, costs: Costs) -> int:
    most = max(1, -(-steps // block) - 1)
    left = budget - _bytes(block, 1, costs)
    return min(most, 1 + left // costs.state) if costs.state else most


def _block_sizes(steps: int) -> list[int]:
    """The shortest block for every possible number of blocks."""
    root = math.isqrt(steps)
    return sorted({*range(1, root + 1), *(-(-steps // n) for n in range(1, root + 2))})


def _time(plan: MemoryPlan) -> tuple[int, int]:
    """To compare plans: what forward runs cost, then bytes."""
    blocks = -(-plan.steps // plan.block)
    runs = forward_count(blocks, plan.slots)
    return plan.forward_steps + _CALL * runs, plan.peak_bytes or 0
