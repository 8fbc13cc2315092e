"""Checkpointed backpropagation: the truth is plain autograd through the same calls."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

import throughtime as tt
from throughtime import losses
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.training.bptt import (
    BPTT,
    TruncatedBPTT,
    Window,
    window_loss,
    windows,
)
from throughtime.training.checkpointed import backward_by_blocks, checkpointed_backward
from throughtime.training.memory import Costs, plan_memory
from throughtime.training.memory_costs import measure_costs

DOUBLE = torch.float64
STEPS = 23


class Tagger(nn.Module):
    """Some layer and a linear readout; counts the steps it is run."""

    def __init__(self, layer, features, classes=3):
        super().__init__()
        self.layer, self.steps, self.graphs = layer, 0, 0
        self.read = nn.Linear(features, classes, dtype=DOUBLE)

    def forward(self, x, state=None):
        self.steps += x.size(0)
        self.graphs += x.size(0) if torch.is_grad_enabled() else 0
        outputs, state = self.layer(x, state)
        return self.read(outputs), state


def lstm(**options):
    cell = tt.cells.LSTM(2, 4, dtype=DOUBLE)
    return Tagger(tt.Recurrent(cell, 2, **options), 4)


MODELS = {
    "lstm": lstm,
    "loop": lambda: lstm(backend="loop"),
    "recomputed": lambda: lstm(recompute=3),
    "learned start": lambda: lstm(learned_initial_state=True),
    "torch": lambda: Tagger(nn.GRU(2, 4, 2, dtype=DOUBLE), 4),
}


def batch(steps=STEPS):
    torch.manual_seed(1)
    x = torch.randn(steps, 5, 2, dtype=DOUBLE)
    targets = torch.randint(3, (steps, 5))
    return x, targets, torch.rand(steps, 5) < 0.7


def collected(model):
    found = [p.grad for p in model.parameters()]
    model.zero_grad()
    return found


def equal(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def flat(state):
    return torch.utils._pytree.tree_leaves(state)


PLANS = [
    plan_memory(STEPS),
    plan_memory(STEPS, block=1, slots=1),
    plan_memory(STEPS, block=1, slots=4),
    plan_memory(STEPS, block=4, slots=2),
    plan_memory(STEPS, block=STEPS),
]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_equals_plain_backpropagation(name, masked, reduction):
    torch.manual_seed(0)
    model = MODELS[name]()
    x, targets, mask = batch()
    mask = mask if masked else None
    (window,) = windows(BPTT(), STEPS)

    def loss(outputs, targets, mask, reduction=reduction):
        return losses.cross_entropy(outputs, targets, mask=mask, reduction=reduction)

    value, state = window_loss(model, x, targets, None, window, loss, mask)
    (0.3 * value).backward()
    wanted = collected(model)
    for plan in PLANS:
        model.steps = model.graphs = 0
        found, after = checkpointed_backward(
            model, x, targets, None, window, loss, mask, plan,
            reduction=reduction, weight=0.3,
        )  # fmt: skip
        torch.testing.assert_close(found, 0.3 * value.detach(), rtol=1e-12, atol=0)
        assert not found.requires_grad
        equal(collected(model), wanted)
        equal(flat(after), flat(state))
        assert model.steps == plan.forward_steps
        assert model.graphs == STEPS


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 8, 50])
@pytest.mark.parametrize("block", [1, 3, 10])
def test_runs_as_many_steps_as_planned(block, slots):
    model, (x, targets, _) = MODELS["lstm"](), batch(60)
    plan = plan_memory(60, block=block, slots=slots)
    (window,) = windows(BPTT(), 60)
    checkpointed_backward(
        model, x, targets, None, window, losses.cross_entropy, None, plan
    )
    assert model.steps == plan.forward_steps


@pytest.mark.parametrize("block", [1, 3, 4])
@pytest.mark.parametrize("stride", [2, 5, 7])
def test_windows_that_overlap(stride, block):
    """Losses of some steps, a state carried from the middle, several windows."""
    torch.manual_seed(0)
    model, (x, targets, mask) = MODELS["lstm"](), batch()
    plain = again = None
    for window in windows(TruncatedBPTT(7, stride=stride), STEPS):
        args = (window, losses.cross_entropy, mask)
        value, plain = window_loss(model, x, targets, plain, *args)
        value.backward()
        wanted = collected(model)
        plan = plan_memory(window.stop - window.start, block=block)
        found, again = checkpointed_backward(model, x, targets, again, *args, plan)
        torch.testing.assert_close(found, value.detach(), rtol=1e-12, atol=0)
        equal(collected(model), wanted)
        equal(flat(again), flat(plain))


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.block}-{plan.slots}")
def test_loss_of_the_last_step_and_gradients_of_state_and_input(plan):
    """One target per sequence; what was handed in gets its gradient."""
    torch.manual_seed(0)
    model, (x, targets, _) = MODELS["lstm"](), batch()
    start = torch.randn(5, 4, dtype=DOUBLE, requires_grad=True)
    x.requires_grad_()

    def state():
        h = torch.tanh(start)
        return ((h, h), (2 * h, start))

    def last(outputs, begin, stop):
        del begin
        if stop < STEPS:
            return None
        return losses.cross_entropy(outputs[-1], targets[-1])

    value = losses.cross_entropy(model(x, state())[0][-1], targets[-1])
    value.backward()
    wanted = [*collected(model), start.grad, x.grad]
    start.grad = x.grad = None
    found, _ = backward_by_blocks(model, x, state(), last, plan)
    torch.testing.assert_close(found, value.detach(), rtol=1e-12, atol=0)
    equal([*collected(model), start.grad, x.grad], wanted)


@pytest.mark.parametrize("options", [{"dropout": 0.4}, {"zoneout": 0.3}], ids=str)
def test_draws_the_same_masks_again(options):
    """The truth: one graph over the blocks in a row, from the same seed."""
    torch.manual_seed(0)
    model = MODELS["lstm"]()
    model.layer = tt.Recurrent(tt.cells.LSTM(2, 4, dtype=DOUBLE), 2, **options)
    x, targets, _ = batch()
    (window,) = windows(BPTT(), STEPS)
    for plan in PLANS:
        torch.manual_seed(7)
        outputs, state = [], None
        for part in x.split(plan.block):
            out, state = model(part, state)
            outputs.append(out)
        value = losses.cross_entropy(torch.cat(outputs), targets)
        value.backward()
        wanted, after = collected(model), torch.rand(3)
        torch.manual_seed(7)
        found, _ = checkpointed_backward(
            model, x, targets, None, window, losses.cross_entropy, None, plan
        )
        # What is drawn next is as if nothing had been run twice.
        assert torch.equal(torch.rand(3), after)
        torch.testing.assert_close(found, value.detach(), rtol=1e-12, atol=0)
        equal(collected(model), wanted)


class Strange(nn.Module):
    """A state of lists, dicts, integers, and a tensor that never gets a gradient."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5, dtype=DOUBLE))

    def forward(self, x, state=None):
        if state is None:
            zero = x.new_zeros(x.size(1))
            state = {"h": [zero, None], "count": torch.zeros((), dtype=torch.long)}
        h, outputs = state["h"][0], []
        for x_t in x:
            h = torch.tanh(self.weight * h + x_t[:, 0])
            outputs.append(h)
        state = OrderedDict(h=[h, None], count=state["count"] + len(x))
        return torch.stack(outputs), dict(state)


def test_any_state():
    model, (x, _, _) = Strange(), batch()

    def part(outputs, start, stop):
        del start, stop
        return (outputs**2).sum()

    part(model(x)[0], 0, 0).backward()
    wanted = collected(model)
    _, state = backward_by_blocks(model, x, None, part, PLANS[3])
    equal(collected(model), wanted)
    assert int(state["count"]) == STEPS


def test_language_model_by_its_own_loss_in_float32():
    torch.manual_seed(0)
    config = tt.models.LanguageModelConfig(hidden_size=16, num_layers=2, tied=True)
    model = tt.models.LanguageModel(11, config)
    tokens = torch.randint(11, (101, 4))
    (window,) = windows(BPTT(), 100)
    args = (tokens[:-1], tokens[1:], None, window, model.features_loss, None)
    window_loss(model.features, *args)[0].backward()
    wanted = [g.to_dense() for g in collected(model)]
    checkpointed_backward(model.features, *args, plan_memory(100))
    for a, b in zip(collected(model), wanted, strict=True):
        assert (a.to_dense() - b).norm() <= 1e-6 * b.norm()


def test_mean_of_several_numbers_per_step():
    model, (x, _, mask) = MODELS["torch"](), batch()
    targets = torch.randn(STEPS, 5, 3, dtype=DOUBLE)
    (window,) = windows(BPTT(), STEPS)
    value, _ = window_loss(model, x, targets, None, window, losses.mse, mask)
    value.backward()
    wanted = collected(model)
    found, _ = checkpointed_backward(
        model, x, targets, None, window, losses.mse, mask, PLANS[0]
    )
    torch.testing.assert_close(found, value.detach(), rtol=1e-12, atol=0)
    equal(collected(model), wanted)


def test_measured_costs():
    """A plain cell by hand: tanh keeps its result, the product what it multiplies."""

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.eye(4, dtype=DOUBLE))

        def forward(self, x, state=None):
            h = x.new_zeros(x.size(1), 4) if state is None else state
            outputs = []
            for x_t in x:
                h = torch.tanh(h @ self.weight + x_t)
                outputs.append(h)
            return torch.stack(outputs), h

    x = torch.randn(40, 3, 4, dtype=DOUBLE)

    def total(outputs, targets, mask, reduction):
        return outputs.sum()

    before = torch.get_rng_state()
    costs = measure_costs(Plain(), x, x, total)
    assert torch.equal(torch.get_rng_state(), before)
    # Every h once; the zeros before the first step, and room for one gradient.
    assert costs == Costs(step=3 * 4 * 8, call=2 * 3 * 4 * 8, state=3 * 4 * 8)


@pytest.mark.parametrize("steps", [1, 5, 8, 9])
def test_costs_of_short_sequences(steps):
    model, (x, targets, mask) = MODELS["lstm"](), batch(steps)
    costs = measure_costs(model, x, targets, losses.cross_entropy, mask=mask)
    assert costs.step > 5 * 4 * 8
    assert costs.state == 4 * 5 * 4 * 8


def test_a_budget_is_kept_to():
    """What is alive at any time, counted by the hooks, stays below the plan's bytes."""
    torch.manual_seed(0)
    model, (x, targets, _) = MODELS["lstm"](), batch(200)
    costs = measure_costs(model, x, targets, losses.cross_entropy)
    plan = plan_memory(200, memory=30 * costs.step, costs=costs)
    assert plan.forward_steps > 200
    most, (window,) = 0, windows(BPTT(), 200)
    mine = {p.untyped_storage().data_ptr() for p in model.parameters()}
    mine |= {t.untyped_storage().data_ptr() for t in (x, targets)}
    kept = {}

    class Watched(nn.Module):
        def forward(self, inputs, state):
            kept.clear()
            return model(inputs, state)

    def pack(tensor):
        nonlocal most
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in mine:
            kept[storage.data_ptr()] = storage.nbytes()
        most = max(most, sum(kept.values()))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        checkpointed_backward(
            Watched(), x, targets, None, window, losses.cross_entropy, None, plan
        )
    assert 0 < most + plan.slots * costs.state <= plan.peak_bytes <= 30 * costs.step


def test_plan_of_another_length():
    model, (x, targets, _) = MODELS["lstm"](), batch()
    with pytest.raises(InvalidShape, match=r"the plan is for 9 steps, got 23; use"):
        checkpointed_backward(
            model, x, targets, None, Window(0, STEPS, 0, STEPS),
            losses.cross_entropy, None, plan_memory(9),
        )  # fmt: skip


def test_unknown_reduction():
    model, (x, targets, _) = MODELS["lstm"](), batch()
    with pytest.raises(InvalidValue, match="unknown reduction 'max': known are mean"):
        checkpointed_backward(
            model, x, targets, None, Window(0, STEPS, 0, STEPS),
            losses.cross_entropy, None, PLANS[0], reduction="max",
        )  # fmt: skip
