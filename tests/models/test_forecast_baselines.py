"""Simple forecasts: exact where the series is what they assume."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from throughtime.errors import InvalidValue
from throughtime.models import forecast_baselines
from throughtime.models.forecast_baselines import (
    LinearForecaster,
    carried_forward,
    drift,
    naive,
    seasonal_naive,
    window_mean,
)

ORIGINS = np.array([14, 17, 20])


def truth(values, horizon):
    return values[ORIGINS[:, None] + np.arange(horizon)]


def test_each_is_exact_on_its_own_series():
    steps = np.arange(60.0)[:, None]
    constant = np.full((60, 2), 3.0)
    periodic = np.stack([np.tile(np.arange(7.0), 9)[:60] ** k for k in (1, 2)], 1)
    line = np.concatenate([2 * steps, 5 - steps], 1)
    for horizon in (1, 5, 16):
        for found, values in (
            (naive(constant, ORIGINS, horizon), constant),
            (window_mean(constant, ORIGINS, horizon, 6), constant),
            (seasonal_naive(periodic, ORIGINS, horizon, 7), periodic),
            (seasonal_naive(periodic, ORIGINS, horizon, 14), periodic),
            (drift(line, ORIGINS, horizon, 9), line),
        ):
            want = truth(values, horizon)
            np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)


def test_the_mean_is_numpys():
    values = np.random.default_rng(0).normal(size=(60, 2))
    want = np.stack([values[o - 5 : o].mean(0) for o in ORIGINS])
    found = window_mean(values, ORIGINS, 3, 5)
    np.testing.assert_allclose(found, np.repeat(want[:, None], 3, 1), rtol=1e-12)


def test_nothing_behind_the_origin_is_looked_at():
    values = np.random.default_rng(0).normal(size=(60, 2))
    later = values.copy()
    later[14:] += 1e6
    first = ORIGINS[:1]
    linear = LinearForecaster(6, 4).fit([(values[:14], np.array([6, 7, 8, 9, 10]))])
    for method in (
        lambda v: naive(v, first, 4),
        lambda v: seasonal_naive(v, first, 4, 3),
        lambda v: drift(v, first, 4, 6),
        lambda v: window_mean(v, first, 4, 6),
        lambda v: linear.forecast(v, first),
    ):
        assert np.array_equal(method(values), method(later))


def test_a_season_needs_one_before():
    with pytest.raises(InvalidValue, match="20 steps needs as many .* got 14"):
        seasonal_naive(np.zeros((60, 1)), ORIGINS, 3, 20)


def test_linear_finds_an_autoregression():
    """A sine obeys y_t = 2 cos(w) y_{t-1} - y_{t-2}, so all its future is linear."""
    steps = np.arange(300)
    values = np.stack([np.sin(0.3 * steps), 4 + 2 * np.cos(0.2 * steps)], 1)
    linear = LinearForecaster(8, 12).fit([(values[:250], np.arange(8, 239))])
    origins = np.array([250, 270, 288])
    want = values[origins[:, None] + np.arange(12)]
    np.testing.assert_allclose(linear.forecast(values, origins), want, atol=0.02)


def test_linear_is_sklearns_ridge(monkeypatch):
    monkeypatch.setattr(forecast_baselines, "ALPHAS", (3.0,))
    values = np.random.default_rng(0).normal(size=(80, 1))
    origins = np.arange(5, 70)
    x = np.stack([values[o - 5 : o, 0] - values[o - 1, 0] for o in origins])
    y = np.stack([values[o : o + 2, 0] - values[o - 1, 0] for o in origins])
    want = Ridge(alpha=3.0).fit(x, y).predict(x) + values[origins - 1]
    linear = LinearForecaster(5, 2).fit([(values, origins)])
    found = linear.forecast(values, origins)[..., 0]
    np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-9)


def test_gaps_carry_the_last_value():
    nan = np.nan
    values = np.array([[nan, 1.0], [2.0, nan], [nan, nan], [3.0, 4.0]])
    want = [[9.0, 1.0], [2.0, 1.0], [2.0, 1.0], [3.0, 4.0]]
    assert carried_forward(values, 9.0).tolist() == want
