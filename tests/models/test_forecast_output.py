"""Forecasts as numbers, Gaussians and quantiles, against torch, scipy and sklearn."""

import pytest
import torch
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from throughtime.errors import InvalidType, InvalidValue
from throughtime.models.forecast_output import (
    ForecastOutput,
    gaussian_nll,
    parse_levels,
    pinball,
)

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def test_gaussian_nll_is_torchs_and_scipys():
    mean, log_variance, target = numbers(3, 5, 4).unbind()
    found = gaussian_nll(mean, log_variance, target)
    torch.testing.assert_close(
        found.sum(),
        torch.nn.functional.gaussian_nll_loss(
            mean, target, log_variance.exp(), full=True, eps=0.0, reduction="sum"
        ),
        **CLOSE,
    )
    want = -stats.norm.logpdf(target, mean, (0.5 * log_variance).exp())
    torch.testing.assert_close(found, torch.from_numpy(want), **CLOSE)


def test_pinball_is_sklearns():
    quantiles, target = numbers(7, 3), numbers(7, seed=1)
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    found = pinball(quantiles, levels, target).mean(0)
    want = [
        mean_pinball_loss(target, quantiles[:, i], alpha=q)
        for i, q in enumerate(levels.tolist())
    ]
    torch.testing.assert_close(found, torch.tensor(want, dtype=torch.float64), **CLOSE)


@pytest.mark.parametrize(
    ("kind", "want"), [("mean", [4.0, 1.0]), ("median", [2.0, 1.0])]
)
def test_losses_of_one_number(kind, want):
    output = ForecastOutput(kind, (0.5,))
    forecast = torch.tensor([[1.0], [-1.0]])
    target = torch.tensor([3.0, 0.0])
    assert output.loss(forecast, target).tolist() == want
    assert output.point(forecast).tolist() == [1.0, -1.0]
    assert output.quantiles(forecast) is None


def test_quantiles_never_cross_and_the_median_is_free():
    output = ForecastOutput("quantile", (0.05, 0.25, 0.5, 0.9))
    scores = 30 * numbers(200, 4)
    forecast = output.read(scores)
    assert (forecast.diff(dim=-1) >= 0).all()
    assert torch.equal(output.point(forecast), scores[:, 2])
    # Closed form of the outermost ones.
    softplus = torch.nn.functional.softplus
    below = scores[:, 2] - softplus(scores[:, 1]) - softplus(scores[:, 0])
    torch.testing.assert_close(forecast[:, 0], below, **CLOSE)


def test_quantiles_of_a_gaussian_are_scipys():
    output = ForecastOutput("gaussian", (0.1, 0.5, 0.9))
    forecast = numbers(6, 2)
    want = stats.norm.ppf(
        [[0.1, 0.5, 0.9]], forecast[:, :1], (0.5 * forecast[:, 1:]).exp()
    )
    found = output.quantiles(forecast)
    torch.testing.assert_close(found, torch.from_numpy(want), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["mean", "gaussian", "quantile"])
def test_scaling_a_forecast_scales_its_quantiles(kind):
    output = ForecastOutput(kind, (0.1, 0.5, 0.9))
    forecast = output.read(numbers(4, output.size))
    shift, scale = numbers(4, seed=1), numbers(4, seed=2).exp()
    after = output.scaled(forecast, shift, scale)
    torch.testing.assert_close(
        output.point(after), shift + scale * output.point(forecast), **CLOSE
    )
    if kind != "mean":
        want = shift[:, None] + scale[:, None] * output.quantiles(forecast)
        torch.testing.assert_close(output.quantiles(after), want, **CLOSE)


@pytest.mark.parametrize("text", ["", "a", "0.9,0.5", "0.1,0.9", "0,0.5", "0.5,1"])
def test_levels_that_cannot_be_used(text):
    with pytest.raises(InvalidValue, match=r"quantiles must be ascending .* got"):
        parse_levels(text)


def test_levels_are_written_as_text():
    with pytest.raises(InvalidType, match="such as '0.1,0.5,0.9'"):
        parse_levels((0.1, 0.5))
