"""NT-ASGD: when averaging starts, what the average is, and that it goes on alike."""

import math

import pytest
import torch

from throughtime.errors import InvalidType, InvalidValue
from throughtime.training.checkpoint import flatten, unflatten
from throughtime.training.nt_asgd import NTASGD
from throughtime.training.optimizers import load_optimizer_state


def network():
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 2), (3,)]
    return [
        torch.nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64))
        for s in shapes
    ]


def steps(parameters, optimizer, numbers):
    """Steps along gradients that depend on weights and number; all iterates."""
    iterates = []
    for number in numbers:
        for p in parameters:
            p.grad = torch.sin(p.detach() * 3 + number)
        optimizer.step()
        iterates.append([p.detach().clone() for p in parameters])
    return iterates


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_starts_when_no_better_than_what_is_older_than_patience(patience):
    """Truth: Algorithm 1 of the paper, with its t and logs."""
    losses = [5.0, 4.0, 4.5, 3.0, 3.5, 3.4, 3.2, 3.1, 3.3, 3.6, 2.0]
    optimizer = NTASGD(network(), lr=0.1, patience=patience)
    logs, averaging = [], False
    for loss in losses:
        t = len(logs)
        averaging = averaging or (t > patience and loss > min(logs[: t - patience]))
        logs.append(loss)
        assert optimizer.observe(loss) is averaging is optimizer.averaging
    assert averaging


def test_average_is_the_mean_of_the_iterates_since_the_start():
    parameters = network()
    optimizer = NTASGD(parameters, lr=0.1, patience=1, momentum=0.9, weight_decay=0.1)
    steps(parameters, optimizer, range(3))
    assert [optimizer.observe(v) for v in (1.0, 2.0, 3.0)] == [False, False, True]
    iterates = [[p.detach().clone() for p in parameters]]
    iterates += steps(parameters, optimizer, range(3, 20))
    now = [p.detach().clone() for p in parameters]
    with optimizer.averaged():
        for index, p in enumerate(parameters):
            mean = torch.stack([iterate[index] for iterate in iterates]).mean(0)
            torch.testing.assert_close(p.detach(), mean, rtol=1e-12, atol=1e-14)
            assert not torch.equal(p, now[index])
    assert all(torch.equal(p, kept) for p, kept in zip(parameters, now, strict=True))


def test_steps_are_those_of_sgd():
    options = {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True}
    ours, theirs = network(), network()
    optimizer = NTASGD(ours, 0.1, patience=1, **options)
    for loss in (1.0, 2.0, 3.0):
        optimizer.observe(loss)
    got = steps(ours, optimizer, range(10))
    truth = steps(theirs, torch.optim.SGD(theirs, 0.1, **options), range(10))
    for a, b in zip(got, truth, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("stop", [1, 6])
def test_goes_on_to_the_bit(stop):
    """Through a checkpoint before and after averaging starts, at update 4."""

    def run(parameters, optimizer, numbers):
        for number in numbers:
            steps(parameters, optimizer, [number])
            optimizer.observe(float(number))

    whole = network()
    first = NTASGD(whole, 0.1, patience=2, momentum=0.5)
    run(whole, first, range(stop))
    state = unflatten(*flatten(first.state_dict()))
    resumed = [torch.nn.Parameter(p.detach().clone()) for p in whole]
    second = NTASGD(resumed, 0.3, patience=7)
    load_optimizer_state(second, state)
    assert second.averaging is first.averaging is (stop == 6)
    for parameters, optimizer in ((whole, first), (resumed, second)):
        run(parameters, optimizer, range(stop, 12))
    for swap in (False, True):
        with first.averaged() if swap else torch.no_grad():
            expected = [p.detach().clone() for p in whole]
        with second.averaged() if swap else torch.no_grad():
            assert all(
                torch.equal(*pair) for pair in zip(resumed, expected, strict=True)
            )
    assert first.averaging


def test_before_averaging_the_weights_are_themselves():
    parameters = network()
    optimizer = NTASGD(parameters, 0.1)
    kept = [p.detach().clone() for p in parameters]
    with optimizer.averaged():
        assert all(torch.equal(*pair) for pair in zip(parameters, kept, strict=True))


def test_weights_come_back_after_an_error_and_a_swap_within():
    parameters = network()
    optimizer = NTASGD(parameters, 0.1, patience=1)
    for loss in (1.0, 2.0, 3.0):
        optimizer.observe(loss)
    steps(parameters, optimizer, range(3))
    kept = [p.detach().clone() for p in parameters]
    with pytest.raises(KeyError), optimizer.averaged(), optimizer.averaged():
        raise KeyError
    assert all(torch.equal(*pair) for pair in zip(parameters, kept, strict=True))


def test_a_group_added_later_is_averaged_from_its_first_step():
    (first, later) = network()
    optimizer = NTASGD([first], 0.1, patience=1)
    for loss in (1.0, 2.0, 3.0):
        optimizer.observe(loss)
    optimizer.add_param_group({"params": [later]})
    iterates = [after[0] for after in steps([later, first], optimizer, range(4))]
    with optimizer.averaged():
        mean = torch.stack(iterates).mean(0)
        torch.testing.assert_close(later.detach(), mean, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_the_worst(loss):
    optimizer = NTASGD(network(), 0.1, patience=1)
    assert [optimizer.observe(v) for v in (1.0, 2.0, loss)] == [False, False, True]


def test_bad_input():
    with pytest.raises(InvalidValue, match="patience must be greater than zero, got 0"):
        NTASGD(network(), 0.1, patience=0)
    parameters = network()
    optimizer = NTASGD(parameters, 0.1, patience=1)
    with pytest.raises(InvalidType, match="validation_loss should be a number, got: s"):
        optimizer.observe("3")
    for loss in (1.0, 2.0, 3.0):
        optimizer.observe(loss)
    with (
        pytest.raises(InvalidValue, match=r"step\(\) inside `with averaged\(\)`"),
        optimizer.averaged(),
    ):
        optimizer.step()
