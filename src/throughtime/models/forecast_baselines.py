"""Forecasts of simple methods, for comparison: they read what a network reads.

Each takes values (T, C) without gaps (see ``carried_forward``) and origins (N,): the
first steps to forecast, of which only the values before are looked at. It returns the
next H values of each, (N, H, C).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from throughtime.errors import InvalidValue

Array = NDArray[Any]
ALPHAS = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)
# Of neighbouring windows nearly all values are the same: more of them teach little.
MOST_WINDOWS = 20_000


def carried_forward(values: Array, start: float = 0.0) -> Array:
    """Each NaN replaced by the last value before it, by ``start`` if there is none.

    >>> carried_forward(np.array([[np.nan], [2.0], [np.nan]])).tolist()
    [[0.0], [2.0], [2.0]]
    """
    step = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(values), 0, step), axis=0)
    filled = np.take_along_axis(values, last, axis=0)
    return np.where(np.isnan(filled), start, filled)


def naive(values: Array, origins: Array, horizon: int) -> Array:
    """The last value again and again: y_{t+k} = y_t."""
    return np.repeat(values[origins - 1][:, None], horizon, axis=1)


def seasonal_naive(values: Array, origins: Array, horizon: int, period: int) -> Array:
    """The values of one season before: y_{t+k} = y_{t+k-m}, the last season again.

    Raises:
        InvalidValue: less than a season lies before an origin.

    >>> seasonal_naive(np.array([[1.0], [2.0]]), np.array([2]), 3, 2)[0, :, 0].tolist()
    [1.0, 2.0, 1.0]
    """
    if len(origins) and origins.min() < period:
        raise InvalidValue(
            f"a season of {period} steps needs as many before each origin, got "
            f"{origins.min()}"
        )
    steps = np.arange(horizon) % period
    return values[origins[:, None] - period + steps]


def drift(values: Array, origins: Array, horizon: int, look_back: int) -> Array:
    """The line through first and last value of the window, continued."""
    last, first = values[origins - 1], values[origins - look_back]
    slope = (last - first) / max(look_back - 1, 1)
    steps = np.arange(1, horizon + 1)[None, :, None]
    return last[:, None] + steps * slope[:, None]


def window_mean(values: Array, origins: Array, horizon: int, look_back: int) -> Array:
    """The mean of the window at all steps."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(0)])
    mean = (sums[origins] - sums[origins - look_back]) / look_back
    return np.repeat(mean[:, None], horizon, axis=1)


class LinearForecaster:
    """Linear in the last L values of a series itself, for each step of its own.

    y_{t+k} - y_t = b_k + Σ_l a_{kl} (y_{t-l} - y_t), by ridge regression, one for each
    series. That the last value is taken off and put back is from Zeng et al., "Are
    Transformers Effective for Time Series Forecasting?", AAAI 2023 (NLinear).
    The penalty is the best of ``ALPHAS`` on the last fifth of the windows.

    Args:
        look_back: L.
        horizon: H.
    """

    def __init__(self, look_back: int, horizon: int) -> None:
        self.look_back = look_back
        self.horizon = horizon
        self.models: list[Any] = []

    def fit(self, parts: Sequence[tuple[Array, Array]]) -> "LinearForecaster":
        """Learn from (values (T, C), origins (N,)), one pair for each series."""
        self.models = []
        for column in range(parts[0][0].shape[1]):
            pairs = [self._pairs(values[:, column], o) for values, o in parts]
            self.models.append(_ridge([x for x, _ in pairs], [y for _, y in pairs]))
        return self

    def forecast(self, values: Array, origins: Array) -> Array:
        """The next H values of each origin, (N, H, C)."""
        found = []
        for column, model in enumerate(self.models):
            last = values[origins - 1, column]
            windows = sliding_window_view(values[:, column], self.look_back)
            x = windows[origins - self.look_back] - last[:, None]
            y = model.predict(x).reshape(len(origins), self.horizon)
            found.append(y + last[:, None])
        return np.stack(found, -1)

    def _pairs(self, values: Array, origins: Array) -> tuple[Array, Array]:
        origins = origins[:: -(-len(origins) // MOST_WINDOWS)]
        last = values[origins - 1][:, None]
        past = sliding_window_view(values, self.look_back)[origins - self.look_back]
        future = sliding_window_view(values, self.horizon)[origins]
        return past - last, future - last


def _ridge(x: list[Array], y: list[Array]) -> Any:
    from sklearn.linear_model import Ridge

    cuts = [max(1, len(part) * 4 // 5) for part in x]
    early = [
        np.concatenate([p[:c] for p, c in zip(v, cuts, strict=True)]) for v in (x, y)
    ]
    late = [
        np.concatenate([p[c:] for p, c in zip(v, cuts, strict=True)]) for v in (x, y)
    ]
    best = 1.0
    if len(late[0]):
        errors = {}
        for alpha in ALPHAS:
            model = Ridge(alpha=alpha).fit(*early)
            errors[alpha] = np.mean((model.predict(late[0]) - late[1]) ** 2)
        best = min(errors, key=errors.__getitem__)
    return Ridge(alpha=best).fit(np.concatenate(x), np.concatenate(y))
