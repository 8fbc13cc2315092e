"""Forecasters: what they may see, what they must not depend on, and two strategies."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from throughtime.errors import InvalidValue
from throughtime.models.forecast_output import OUTPUTS
from throughtime.models.forecaster import Forecaster, ForecasterConfig

CLOSE = {"rtol": 1e-11, "atol": 1e-11}
BASE = ForecasterConfig(cell="gru", hidden_size=6)
KINDS = [
    {"cell": cell, "strategy": strategy, "output": output, "normalisation": how}
    for cell, strategy, output, how in product(
        ("lstm", "none"),
        ("direct", "recursive"),
        ("mean", "gaussian", "quantile"),
        ("none", "last", "mean-std"),
    )
    if (strategy, output) != ("recursive", "quantile")
]


def build(horizon=3, known=2, **entries):
    torch.manual_seed(0)
    config = replace(BASE, **entries)
    past = 0 if config.strategy == "recursive" else 1
    model = Forecaster(2, horizon, config, past_size=past, known_size=known)
    return model.double().eval()


def make_batch(model, lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape):
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    count, steps = len(lengths), max(lengths)
    size = model.target_size + model.past_size + model.known_size
    horizon = model.horizon
    batch = {
        "inputs": numbers(steps, count, size),
        "inputs_lengths": torch.tensor(lengths),
        "inputs_present": torch.rand(steps, count, size, generator=generator) > 0.2,
        "targets": numbers(horizon, count, 2),
        "targets_mask": torch.rand(horizon, count, 2, generator=generator) > 0.2,
    }
    if model.known_size:
        batch["future"] = numbers(horizon, count, model.known_size)
    return batch


def one_of(batch, index):
    length = int(batch["inputs_lengths"][index])
    return {
        name: part[index : index + 1]
        if name == "inputs_lengths"
        else part[: length if name.startswith("inputs") else None, index : index + 1]
        for name, part in batch.items()
    }


KINDS += [{"cell": "gru", "highway": 4, "output": kind} for kind in OUTPUTS]


def as_name(entries):
    return "-".join(map(str, entries.values()))


@pytest.mark.parametrize("entries", KINDS, ids=as_name)
def test_no_window_depends_on_others_or_on_padding(entries):
    model = build(**entries)
    batch = make_batch(model, [5, 2, 0, 4])
    batch["inputs"][2:, 1] = float("nan")  # padding
    batch["inputs"][~batch["inputs_present"]] = float("nan")
    loss, count = model.batch_loss(batch)
    assert count == int(batch["targets_mask"].sum())
    forecast = model.forecast(batch)
    assert forecast.shape == (3, 4, 2, model.output.size)
    assert forecast.isfinite().all()
    parts = [one_of(batch, i) for i in range(4)]
    alone = torch.cat([model.forecast(part) for part in parts], 1)
    torch.testing.assert_close(forecast, alone, **CLOSE)
    losses = sum(model.batch_loss(part)[0] for part in parts)
    torch.testing.assert_close(loss, losses, **CLOSE)


@pytest.mark.parametrize("output", ["mean", "median", "gaussian"])
@pytest.mark.parametrize("normalisation", ["none", "last", "mean-std"])
def test_recursive_is_direct_for_one_step(output, normalisation):
    options = {"output": output, "normalisation": normalisation, "horizon": 1}
    recursive = build(**options, strategy="recursive")
    config = replace(recursive.config, strategy="direct")
    direct = Forecaster(2, 1, config, known_size=2).double().eval()
    direct.load_state_dict(recursive.state_dict())
    batch = make_batch(direct, [4, 0, 3])
    torch.testing.assert_close(direct(batch), recursive(batch), **CLOSE)
    torch.testing.assert_close(
        direct.forecast(batch), recursive.forecast(batch), **CLOSE
    )


@pytest.mark.parametrize("known", [0, 2])
def test_a_recursive_forecast_is_one_step_forecasts_in_a_row(known):
    """The truth: windows that grow by each forecast, given to a model of one step."""
    model = build(strategy="recursive", normalisation="none", known=known, horizon=4)
    one = Forecaster(2, 1, model.config, known_size=known).double().eval()
    one.load_state_dict(model.state_dict())
    batch = make_batch(model, [5, 5])
    batch["inputs_present"][:] = True
    found = model.forecast(batch)
    window = batch["inputs"]
    for step in range(4):
        grown = {"inputs": window, "inputs_lengths": torch.tensor([len(window)] * 2)}
        if known:
            grown["future"] = batch["future"][step : step + 1]
        (value,) = one.forecast(grown)
        torch.testing.assert_close(value, found[step], **CLOSE)
        rest = [batch["future"][step]] if known else []
        row = torch.cat([value[..., 0], *rest], -1)
        window = torch.cat([window, row.unsqueeze(0)])


def test_teacher_forcing_is_the_forecast_where_the_truth_is_the_forecast():
    model = build(strategy="recursive", normalisation="mean-std")
    batch = make_batch(model, [5, 3, 0])
    batch["targets"] = model.forecast(batch)[..., 0]
    batch["targets_mask"][:] = True
    torch.testing.assert_close(model(batch)[..., 0], batch["targets"], **CLOSE)
    assert model.batch_loss(batch)[0] < 1e-20


def test_paths_of_a_linear_gaussian_model():
    """y' = a y + b + noise, σ constant: mean and variance of step k in closed form."""
    model = build(
        cell="none",
        strategy="recursive",
        output="gaussian",
        normalisation="none",
        known=0,
        horizon=4,
        hidden_size=1,
    )
    # tanh(ε y) / ε is y: a network without memory that is linear.
    a, b, log_variance, tiny = 0.8, 0.3, -1.0, 1e-4
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.network.plain[0].weight[0, 0] = tiny
        model.head.weight[0, 0] = a / tiny
        model.head.bias[:] = torch.tensor([b, log_variance, 0.0, 0.0])
    inputs = torch.full((1, 1, 2), 2.0, dtype=torch.float64)
    batch = {"inputs": inputs, "inputs_lengths": torch.tensor([1])}
    found = model.forecast(batch, samples=20_000)[:, 0, 0]
    mean, variance = 2.0, 0.0
    for step in range(4):
        mean, variance = a * mean + b, a**2 * variance + torch.e**log_variance
        assert float(found[step, 0]) == pytest.approx(mean, abs=0.02)
        assert float(found[step, 1].exp()) == pytest.approx(variance, rel=0.03)
    again = model.forecast(batch, samples=20_000)[:, 0, 0]
    assert torch.equal(found, again)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_forecasts_move_with_their_window(strategy):
    """Reversible normalisation: shifted, and for mean-std stretched, alike."""
    for how, scale in (("last", 1.0), ("mean-std", 30.0)):
        model = build(strategy=strategy, normalisation=how, known=0)
        batch = make_batch(model, [6, 6])
        batch["inputs"] *= 1e6  # so that the least deviation does not matter
        moved = batch | {"inputs": batch["inputs"] * scale + 7e6}
        want = model.forecast(batch) * scale + 7e6
        torch.testing.assert_close(model.forecast(moved), want, rtol=1e-10, atol=0)


def test_a_window_without_any_change():
    model = build(normalisation="mean-std")
    batch = make_batch(model, [4])
    batch["inputs"][:] = 5.0
    assert model.forecast(batch).isfinite().all()


def test_without_memory_only_the_last_step_counts():
    model = build(cell="none", normalisation="none")
    batch = make_batch(model, [4, 4])
    batch["inputs_present"][:] = True
    other = batch | {"inputs": batch["inputs"].clone()}
    other["inputs"][:-1] += 1
    assert torch.equal(model.forecast(batch), model.forecast(other))
    other["inputs"][-1] += 1
    assert not torch.equal(model.forecast(batch), model.forecast(other))


def test_both_directions_are_read():
    model = build(bidirectional=True, normalisation="none")
    batch = make_batch(model, [4, 0, 2])
    batch["inputs"].requires_grad_()
    model(batch)[..., 0].sum().backward()
    assert (batch["inputs"].grad[0, 0] != 0).any()
    parts = [model.forecast(one_of(batch, i)) for i in range(3)]
    torch.testing.assert_close(model.forecast(batch), torch.cat(parts, 1), **CLOSE)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_last_values_go_straight_to_the_forecast(output):
    """With a network that says nothing what is left is a product of matrices."""
    model = build(highway=4, known=0, normalisation="none", output=output)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.highway.weight.copy_(torch.randn(3, 4, generator=generator))
    batch = make_batch(model, [6, 3])
    batch["inputs_present"][:] = True
    values = batch["inputs"][..., :2]
    short = torch.cat([torch.zeros(1, 2, dtype=torch.float64), values[:3, 1]])
    last = torch.stack([values[2:6, 0], short], 1)
    want = torch.einsum("hl,lbc->hbc", model.highway.weight, last)
    found = model.output.point(model.forecast(batch))
    torch.testing.assert_close(found, want, **CLOSE)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_training_learns_a_sine(strategy):
    torch.manual_seed(0)
    config = ForecasterConfig(cell="gru", hidden_size=16, strategy=strategy)
    model = Forecaster(1, 4, config)
    series = torch.sin(torch.arange(200.0) * 0.4).unsqueeze(-1)
    windows = torch.stack([series[i : i + 24] for i in range(176)], 1)
    batch = {
        "inputs": windows[:20],
        "inputs_lengths": torch.full((176,), 20),
        "targets": windows[20:],
    }
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(80):
        loss, count = model.batch_loss(batch)
        optimizer.zero_grad()
        (loss / count).backward()
        optimizer.step()
    error = model.forecast(batch)[..., 0] - batch["targets"]
    # The sine itself has a mean square of a half.
    assert float((error**2).mean()) < 0.02


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"output": "normal"}, "unknown output 'normal': known are mean, median"),
        ({"strategy": "both"}, "unknown strategy 'both': known are direct, recurs"),
        ({"normalisation": "z"}, "unknown normalisation 'z': known are none, last"),
        ({"strategy": "recursive", "output": "quantile"}, "quantiles cannot be fed"),
        ({"strategy": "recursive", "bidirectional": True}, "bidirectional network can"),
        ({"strategy": "recursive", "highway": 3}, "highway belongs to strategy 'dir"),
        ({"highway": -1}, "highway must be greater than zero"),
        ({"quantiles": "0.9"}, "quantiles must be ascending"),
    ],
)
def test_configs_that_cannot_be_used(entries, says):
    with pytest.raises(InvalidValue, match=says):
        replace(BASE, **entries)


def test_configs_as_plain_values():
    config = replace(BASE, output="quantile", quantiles="0.2,0.5")
    assert ForecasterConfig.from_dict(config.to_dict()) == config
    assert config.levels == (0.2, 0.5)
    with pytest.raises(InvalidValue, match="unknown option of the forecaster 'x'"):
        ForecasterConfig.from_dict({"x": 1})


def test_recursive_needs_to_know_its_inputs():
    with pytest.raises(InvalidValue, match="forecast the 2 further inputs as well"):
        Forecaster(1, 3, replace(BASE, strategy="recursive"), past_size=2)
