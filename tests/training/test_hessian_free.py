"""Hessian-free optimisation: what one step does, resuming, and what it refuses."""

import math

import pytest
import torch
from torch import nn

import throughtime as tt
from throughtime.errors import InvalidType, InvalidValue
from throughtime.training.hessian_free import LOWER, RAISE, HessianFree
from throughtime.training.optimizers import load_optimizer_state


def random(*shape, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=drawn, dtype=torch.float64)


def quadratic(size=6):
    """A least-squares problem: its weight, its closure and its solution."""
    x, y = random(20, size), random(20, seed=1)
    weight = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    solution = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    return weight, lambda: (x @ weight, lambda o: tt.losses.mse(o, y)), solution


class Network(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        torch.manual_seed(0)
        cell = tt.cells.Elman(2, 8)
        self.layer = tt.Recurrent(cell, num_layers=2, dropout=dropout)
        self.read = nn.Linear(8, 1)
        self.double()

    def forward(self, x):
        states, _ = self.layer(x)
        return self.read(states[-1])[:, 0], states


def task(model, seed=0):
    """The adding problem over 8 steps as a closure."""
    drawn = torch.Generator().manual_seed(seed)
    x, target = tt.data.adding(8, 40, generator=drawn)
    x, target = x.double(), target.double()

    def closure():
        outputs, states = model(x)
        return outputs, lambda o: tt.losses.mse(o, target), [states]

    return closure


class TestStep:
    @pytest.mark.parametrize("preconditioner", [0.0, 0.75, 1.0])
    def test_solves_a_quadratic_at_once(self, preconditioner):
        weight, closure, solution = quadratic()
        optimizer = HessianFree(
            [weight], damping=1e-14, tolerance=0, preconditioner=preconditioner
        )
        optimizer.step(closure)
        torch.testing.assert_close(weight.detach(), solution, rtol=1e-9, atol=1e-9)
        done = optimizer.last
        assert done.ratio == pytest.approx(1)
        assert (done.rate, done.iterations) == (1, done.chosen)

    def test_solves_the_damped_quadratic(self):
        weight, closure, _ = quadratic()
        HessianFree([weight], damping=0.3, tolerance=0).step(closure)
        x, y = random(20, 6), random(20, seed=1)
        # Of the mean of squares: G = 2 xᵀx / 20 and g = -2 xᵀy / 20 at 0.
        G = 2 * x.T @ x / 20 + 0.3 * torch.eye(6)
        truth = torch.linalg.solve(G, 2 * x.T @ y / 20)
        # Going back may take an iterate next to the last one.
        torch.testing.assert_close(weight.detach(), truth, rtol=1e-7, atol=1e-7)

    def test_returns_the_loss_before(self):
        weight, closure, _ = quadratic()
        loss = HessianFree([weight]).step(closure)
        assert loss == pytest.approx(float((random(20, seed=1) ** 2).mean()))

    def test_structural_damping_holds_hidden_states(self):
        changes = []
        for structural in (0.0, 100.0):
            model = Network()
            closure = task(model)
            before = closure()[2][0].detach()
            options = {"damping": 0.1, "structural_damping": structural}
            HessianFree(model.parameters(), **options).step(closure)
            changes.append(float((closure()[2][0].detach() - before).norm()))
        assert changes[1] < changes[0] / 10

    def test_a_small_network_improves_in_every_step(self):
        model = Network()
        closure = task(model)
        optimizer = HessianFree(
            model.parameters(), damping=0.1, structural_damping=0.03
        )
        losses = [optimizer.step(closure) for _ in range(15)]
        assert all(b < a for a, b in zip(losses, losses[1:], strict=False))
        assert losses[-1] < 1e-3 < 1 / 6

    def test_curvature_on_less_data(self):
        weight, closure, _ = quadratic()
        x, y = random(20, 6)[:10], random(20, seed=1)[:10]

        def less():
            return x @ weight, lambda o: tt.losses.mse(o, y)

        HessianFree([weight], damping=0.1, tolerance=0).step(closure, less)
        # Slope of all data, curvature of half of them; then the line search.
        every, wanted = random(20, 6), random(20, seed=1)
        G = 2 * x.T @ x / 10 + 0.1 * torch.eye(6)
        truth = torch.linalg.solve(G, 2 * every.T @ wanted / 20)
        along = weight.detach() / truth
        torch.testing.assert_close(along, along.mean().expand(6), rtol=1e-8, atol=0)

    def test_a_loss_that_is_not_finite_changes_nothing(self):
        weight = torch.ones(2, requires_grad=True)
        optimizer = HessianFree([weight])
        loss = optimizer.step(lambda: (weight * math.nan, torch.sum))
        assert math.isnan(loss)
        assert weight.tolist() == [1.0, 1.0]

    def test_a_step_that_makes_it_worse_is_not_made(self):
        weight = torch.tensor([1.0], requires_grad=True)

        def closure():
            # Everywhere but at the start the loss is 100: no step helps.
            away = 100.0 * (weight.detach() != 1.0)
            return weight + 0.0, lambda o: ((o - 3) ** 2).sum() + away

        optimizer = HessianFree([weight], damping=1.0)
        optimizer.step(closure)
        assert weight.tolist() == [1.0]
        assert optimizer.last.rate == 0
        assert optimizer.damping == RAISE


class TestDamping:
    def test_falls_where_the_model_predicts_well(self):
        weight, closure, _ = quadratic()
        optimizer = HessianFree([weight], damping=0.9)
        optimizer.step(closure)
        assert optimizer.last.ratio > 3 / 4
        assert optimizer.damping == 0.9 * LOWER

    def test_rises_where_it_promises_too_much(self):
        # Far from its least value log cosh is flat, and G tiny: the step overshoots.
        weight = torch.tensor([4.0], dtype=torch.float64, requires_grad=True)
        optimizer = HessianFree([weight], damping=1e-6)
        optimizer.step(lambda: (weight + 0, lambda o: o.cosh().log().sum()))
        assert optimizer.last.ratio < 1 / 4
        assert optimizer.damping == 1e-6 * RAISE
        assert optimizer.last.new_loss < optimizer.last.loss

    def test_stays_in_between(self):
        # f(w) = eʷ - 2 w from 0: g = -1, G = 1, δ = 1 and q promises 1/2.
        weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = HessianFree([weight], damping=1e-12)
        optimizer.step(lambda: (weight + 0, lambda o: (o.exp() - 2 * o).sum()))
        assert optimizer.last.ratio == pytest.approx((3 - math.e) / (1 / 2))
        assert optimizer.damping == 1e-12


class TestResume:
    def test_goes_on_with_the_same_bits(self):
        def begin():
            model = Network()
            options = {"damping": 0.1, "structural_damping": 0.03}
            return model, HessianFree(model.parameters(), **options)

        model, optimizer = begin()
        for step in range(3):
            optimizer.step(task(model, step))
        saved = optimizer.state_dict()
        weights = {n: p.clone() for n, p in model.state_dict().items()}
        assert saved["param_groups"][0]["damping"] != 0.1
        again, other = begin()
        again.load_state_dict(weights)
        assert other.steps == 0
        load_optimizer_state(other, saved)
        for step in range(3, 6):
            optimizer.step(task(model, step))
            other.step(task(again, step))
        assert optimizer.last == other.last
        assert optimizer.steps == other.steps == 6
        for a, b in zip(model.parameters(), again.parameters(), strict=True):
            assert torch.equal(a, b)


class TestBadInput:
    def test_dropout(self):
        model = Network(dropout=0.5)
        with pytest.raises(InvalidValue, match=r"deterministic.*model\.eval"):
            HessianFree(model.parameters()).step(task(model))
        model.eval()
        HessianFree(model.parameters()).step(task(model))

    def test_structural_damping_without_hidden_states(self):
        weight, closure, _ = quadratic()
        with pytest.raises(InvalidValue, match="record_hidden"):
            HessianFree([weight], structural_damping=0.1).step(closure)

    def test_a_loss_that_is_not_convex(self):
        weight = torch.ones(2, requires_grad=True)
        optimizer = HessianFree([weight], damping=0.1)
        with pytest.warns(UserWarning, match="not convex"):
            optimizer.step(lambda: (weight * 2, lambda o: -(o**2).sum()))

    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            (lambda w: w, "got: Tensor"),
            (lambda w: (w,), "got: tuple"),
            (lambda w: (w * 2, (w**2).sum()), "as a function"),
            (lambda w: (w.detach(), torch.sum), "no graph"),
            (lambda w: (3.0, torch.sum), "outputs should be of type Tensor"),
        ],
    )
    def test_closures_that_return_something_else(self, returned, message):
        weight = torch.ones(2, requires_grad=True)
        with pytest.raises(InvalidType, match=message):
            HessianFree([weight]).step(lambda: returned(weight))

    def test_a_loss_without_outputs(self):
        weight = torch.ones(2, requires_grad=True)
        with pytest.raises(InvalidValue, match="does not depend on the outputs"):
            HessianFree([weight]).step(lambda: (weight * 2, lambda o: torch.ones(())))

    @pytest.mark.parametrize(
        "options",
        [
            {"damping": 0},
            {"structural_damping": -1},
            {"max_iterations": 0},
            {"warm_start": 1.5},
            {"preconditioner": 2},
            {"preconditioner_draws": 0},
            {"spacing": 1},
            {"lr": -1},
        ],
    )
    def test_options_out_of_range(self, options):
        with pytest.raises(InvalidValue, match=next(iter(options))):
            HessianFree([torch.ones(2, requires_grad=True)], **options)

    def test_two_groups(self):
        groups = [{"params": [torch.ones(1, requires_grad=True)]} for _ in range(2)]
        with pytest.raises(InvalidValue, match="one group"):
            HessianFree(groups)
