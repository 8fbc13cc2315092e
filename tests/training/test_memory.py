"""Plans of memory: the truth is the recursion itself, and published counts."""

import functools

import pytest

from throughtime.errors import InvalidValue
from throughtime.training.memory import (
    Costs,
    MemoryPlan,
    first_part,
    forward_count,
    plan_memory,
)


@functools.cache
def recursion(t, m):
    """C(t, m) of Gruslys et al. (2016), by trying every y."""
    if t == 1 or m == 1:
        return t * (t + 1) // 2
    return min(y + recursion(t - y, m - 1) + recursion(y, m) for y in range(1, t))


@pytest.mark.parametrize("slots", range(1, 13))
def test_count_and_split_solve_the_recursion(slots):
    for blocks in range(1, 60):
        assert forward_count(blocks, slots) == recursion(blocks, slots)
        if blocks > 1 and slots > 1:
            y = first_part(blocks, slots)
            parts = recursion(blocks - y, slots - 1) + recursion(y, slots)
            assert y + parts == recursion(blocks, slots)


@pytest.mark.parametrize(
    ("slots", "count"),
    [(5, 7284), (10, 4636), (20, 3747), (32, 3405), (50, 2948), (64, 2934)],
)
def test_counts_for_1000_steps(slots, count):
    assert plan_memory(1000, block=1, slots=slots).forward_steps == count


def test_the_root_needs_twice_the_root():
    """T = 1000: 32 blocks of 32 steps, every step but the last block's run twice."""
    plan = plan_memory(1000)
    assert plan == MemoryPlan(1000, 32, 31, 1000 + 31 * 32)
    assert plan.block + plan.slots <= 64


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 99, 1000, 100_000])
def test_the_root_of_any_length_runs_no_step_more_than_twice(steps):
    plan = plan_memory(steps)
    assert (plan.block - 1) ** 2 < steps <= plan.block**2
    assert steps <= plan.forward_steps < 2 * steps


def cost_of(steps, block, slots, costs):
    """Bytes and counts of a plan, from their definitions."""
    blocks = -(-steps // block)
    count = (recursion(blocks, slots) - 1) * block + steps - (blocks - 1) * block
    used = (slots + 2) * costs.state + costs.call + block * costs.step
    return used, count


@pytest.mark.parametrize("budget", [40, 60, 100, 200, 400, 1000, 5000])
@pytest.mark.parametrize("costs", [Costs(10, 3, 9), Costs(30, 0, 2), Costs(5, 10, 5)])
def test_no_plan_within_the_budget_is_faster(budget, costs):
    steps = 61
    plan = plan_memory(steps, memory=budget, costs=costs)
    expected = cost_of(steps, plan.block, plan.slots, costs)
    assert (plan.peak_bytes, plan.forward_steps) == expected
    assert plan.peak_bytes <= budget

    def time(block, slots, count):
        # As the module counts it: a call costs as much as 16 steps.
        return count + 16 * recursion(-(-steps // block), slots)

    found = time(plan.block, plan.slots, plan.forward_steps)
    for block in range(1, steps + 1):
        for slots in range(1, steps + 1):
            used, count = cost_of(steps, block, slots, costs)
            assert used > budget or time(block, slots, count) >= found


def test_enough_memory_is_plain_backpropagation():
    plan = plan_memory(1000, memory="1GB", costs=Costs(100, 0, 100))
    assert (plan.block, plan.forward_steps) == (1000, 1000)


@pytest.mark.parametrize("memory", [50, "50", "50B", "0.05 kB"])
def test_the_minimum_is_enough_and_less_is_not(memory):
    costs = Costs(20, 0, 10)
    assert plan_memory(30, memory=memory, costs=costs).block == 1
    with pytest.raises(InvalidValue, match=r"memory must be at least 50 bytes .* 49;"):
        plan_memory(30, memory=49, costs=costs)


def test_a_model_without_state_and_a_block_longer_than_all():
    assert plan_memory(30, memory=50, costs=Costs(10, 0, 0)).block == 5
    assert plan_memory(30, block=100) == MemoryPlan(30, 30, 1, 30)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"steps": 0}, "steps must be greater than zero"),
        ({"steps": 9, "block": 0}, "block must be greater than zero"),
        ({"steps": 9, "slots": -1}, "slots must be greater than zero"),
        ({"steps": 9, "memory": "1MB"}, "measure_costs"),
        ({"steps": 9, "memory": 1, "costs": Costs(1, 1, 1), "block": 2}, "without"),
    ],
)
def test_plans_of_nonsense(arguments, says):
    with pytest.raises(InvalidValue, match=says):
        plan_memory(**arguments)
