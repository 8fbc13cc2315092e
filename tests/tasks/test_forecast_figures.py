"""Figures of forecasts, against formulas, sums and numerical integrals."""

import numpy as np
import pytest
from scipy import integrate, stats

from throughtime.tasks.forecast_figures import (
    error_by_step,
    gaussian_crps,
    point_figures,
    quantile_figures,
    seasonal_error,
)

GENERATOR = np.random.default_rng(0)


def test_point_figures_by_hand():
    truth = np.array([[[1.0, 10.0], [2.0, np.nan]]])
    forecast = np.array([[[2.0, 14.0], [4.0, 0.0]]])
    found = point_figures(
        forecast, truth, std=np.array([1.0, 2.0]), naive_errors=np.array([3.0, 8.0])
    )
    want = {
        "mae": (1 + 2 + 4) / 3,
        "rmse": ((1 + 4 + 16) / 3) ** 0.5,
        "mase": (1.5 / 3 + 4 / 8) / 2,
        "standardised_mse": (1 + 4 + 4) / 3,
        "standardised_mae": (1 + 2 + 2) / 3,
    }
    assert found == pytest.approx(want, rel=1e-12)
    assert next(iter(found)) == "mae"


def test_mase_of_the_seasonal_naive_itself_is_one():
    values = GENERATOR.normal(size=(50, 2))
    errors = seasonal_error([values], 7)
    forecast, truth = values[None, :-7], values[None, 7:]
    found = point_figures(forecast, truth, std=np.ones(2), naive_errors=errors)
    assert found["mase"] == pytest.approx(1, rel=1e-12)


def test_seasonal_errors_of_several_series():
    a, b = np.array([[1.0], [2.0], [4.0]]), np.array([[0.0], [np.nan], [9.0], [1.0]])
    # |2 - 1|, |4 - 2|; |1 - 9|
    assert seasonal_error([a, b], 1).tolist() == [11 / 3]
    assert np.isnan(seasonal_error([a], 5)).all()


def test_pinball_and_coverage_at_known_quantiles():
    """Of a uniform distribution on [0, 1] the loss at level q is q (1 - q) / 2."""
    levels = (0.1, 0.5, 0.9)
    truth = ((np.arange(100_000) + 0.5) / 100_000)[:, None, None]
    quantiles = np.broadcast_to(levels, (100_000, 1, 1, 3))
    found = quantile_figures(quantiles, levels, truth)
    want = np.mean([q * (1 - q) / 2 for q in levels])
    assert found["pinball"] == pytest.approx(want, rel=1e-8)
    assert found["coverage"] == 0.8


def test_unknown_values_are_not_covered_nor_missed():
    truth = np.array([[[0.5], [np.nan]]])
    found = quantile_figures(np.ones((1, 2, 1, 2)) * [0, 1], (0.25, 0.5), truth)
    assert found["coverage"] == 1


def test_crps_is_the_integral_it_is_defined_by():
    """∫ (F(x) - 1[x >= y])² dx."""
    mean, deviation, truth = 0.3, 1.7, -0.8

    def below(x):
        return stats.norm.cdf(x, mean, deviation) ** 2

    def above(x):
        return (1 - stats.norm.cdf(x, mean, deviation)) ** 2

    want = integrate.quad(below, -40, truth)[0] + integrate.quad(above, truth, 40)[0]
    found = gaussian_crps(*(np.full((1, 1, 1), v) for v in (mean, deviation, truth)))
    assert found == pytest.approx(want, rel=1e-7)


def test_errors_by_step():
    truth = np.zeros((2, 3, 1))
    forecast = np.array([[1.0, 2.0, 3.0], [3.0, -4.0, np.nan]])[..., None]
    assert error_by_step(forecast, truth, np.array([2.0])).tolist() == [1, 1.5, 1.5]
