"""How good forecasts are, in numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def point_figures(
    forecast: Array, truth: Array, *, std: Array, naive_errors: Array
) -> dict[str, float]:
    """Figures of forecasts that are one number each.

    mae and rmse are in the units of the data, over all columns; ``mase``: the absolute
    error of each column in units of what repeating the last season makes in the
    training part, the mean over columns (Hyndman and Koehler, "Another look at measures
    of forecast accuracy", 2006); ``standardised_mse`` and ``_mae``: after division by
    the standard deviation of each column in the training part.

    Args:
        forecast: (N, H, C).
        truth: the same shape, NaN where there is none.
        std: of each column, (C,).
        naive_errors: what one is the unit of ``mase``, (C,).

    >>> one = np.ones(1)
    >>> error = np.array([[[1.0], [3.0]]])
    >>> figures = point_figures(error, 0 * error, std=2 * one, naive_errors=4 * one)
    >>> figures["mae"], figures["mase"], figures["standardised_mse"]
    (2.0, 0.5, 1.25)
    """
    error = forecast - truth
    by_column = np.array([_mean(np.abs(error[..., c])) for c in range(error.shape[-1])])
    return {
        "mae": _mean(np.abs(error)),
        "rmse": math.sqrt(_mean(error**2)),
        "mase": _mean(by_column / naive_errors),
        "standardised_mse": _mean((error / std) ** 2),
        "standardised_mae": _mean(np.abs(error / std)),
    }


def quantile_figures(
    quantiles: Array, levels: Sequence[float], truth: Array
) -> dict[str, float]:
    """Figures of forecasts that say how probable values are.

    ``pinball``: the mean over levels of max(q (y - y_q), (q - 1) (y - y_q)); twice that
    is near the CRPS if there are many levels. ``coverage``: the share of values between
    the lowest and the highest level, which should be the distance of these levels.

    Args:
        quantiles: (N, H, C, Q).
        levels: Q numbers.
        truth: (N, H, C), NaN where there is none.
    """
    error = truth[..., None] - quantiles
    q = np.array(levels)
    inside = (truth >= quantiles[..., 0]) & (truth <= quantiles[..., -1])
    return {
        "pinball": _mean(np.maximum(q * error, (q - 1) * error)),
        "coverage": _mean(np.where(np.isnan(truth), np.nan, inside)),
    }


def gaussian_crps(mean: Array, deviation: Array, truth: Array) -> float:
    """The continuous ranked probability score, σ (z (2 Φ(z) - 1) + 2 φ(z) - 1/√π).

    The mean over all values; z = (y - μ) / σ (Gneiting and Raftery, "Strictly Proper
    Scoring Rules", 2007). In the units of the data; of a forecast that is one number it
    is the absolute error.
    """
    z = (truth - mean) / deviation
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    twice = np.vectorize(math.erf, otypes=[float])(z / math.sqrt(2))  # 2 Φ(z) - 1
    return _mean(deviation * (z * twice + 2 * density - 1 / math.sqrt(math.pi)))


def error_by_step(forecast: Array, truth: Array, std: Array) -> Array:
    """Mean absolute error of each step of the horizon, standardised, (H,)."""
    error = np.abs(forecast - truth) / std
    return np.array([_mean(error[:, step]) for step in range(error.shape[1])])


def seasonal_error(values: Sequence[Array], period: int) -> Array:
    """Mean of |y_t - y_{t-m}| over several series (T, C), for each column, (C,).

    NaN where there is no pair of values.
    """
    differences = [np.abs(part[period:] - part[:-period]) for part in values]
    joined = np.concatenate(differences)
    return np.array([_mean(joined[:, c]) for c in range(joined.shape[1])])


def _mean(values: Array) -> float:
    """Of all that is not NaN; NaN if there is nothing."""
    found = values[~np.isnan(values)]
    return float(found.mean()) if found.size else math.nan
