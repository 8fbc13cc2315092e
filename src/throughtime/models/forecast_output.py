r"""What a forecast says of one future value: a number, or how probable each is.

    mean       squared error              (y - m)²
    median     absolute error             |y - m|
    gaussian   negative log-likelihood    ½ (log 2π + log σ² + (y - μ)² / σ²)
    quantile   pinball loss               Σ_q max(q (y - y_q), (q - 1) (y - y_q))

The minimum of each expected loss is what it is named after; of quantiles see Koenker
and Bassett, "Regression Quantiles", Econometrica 46 (1978).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.errors import InvalidType, InvalidValue

OUTPUTS = ("mean", "median", "gaussian", "quantile")


def gaussian_nll(mean: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    """-log N(target; mean, variance) in nats, element by element.

    >>> gaussian_nll(torch.tensor(0.0), torch.tensor(0.0), torch.tensor(0.0))
    tensor(0.9189)
    """
    scaled = (target - mean) ** 2 * (-log_variance).exp()
    return 0.5 * (math.log(2 * math.pi) + log_variance + scaled)


def pinball(quantiles: Tensor, levels: Tensor, target: Tensor) -> Tensor:
    """The loss of each quantile.

    Args:
        quantiles: (..., Q).
        levels: q between 0 and 1, (Q,).
        target: (...).

    >>> pinball(torch.zeros(2), torch.tensor([0.1, 0.9]), torch.tensor(1.0))
    tensor([0.1000, 0.9000])
    """
    error = target.unsqueeze(-1) - quantiles
    return torch.maximum(levels * error, (levels - 1) * error)


def parse_levels(text: str) -> tuple[float, ...]:
    """The levels of quantiles, ascending, with the median among them.

    Raises:
        InvalidType: no text.
        InvalidValue: no list of ascending numbers in (0, 1), or without 0.5.

    >>> parse_levels("0.1, 0.5, 0.9")
    (0.1, 0.5, 0.9)
    """
    if not isinstance(text, str):
        raise InvalidType(
            f"quantiles should be a text such as '0.1,0.5,0.9', got {text!r}"
        )
    try:
        levels = tuple(float(part) for part in text.split(","))
    except ValueError:
        levels = ()
    ascending = all(a < b for a, b in zip((0.0, *levels), (*levels, 1.0), strict=True))
    if not ascending or 0.5 not in levels:
        raise InvalidValue(
            "quantiles must be ascending numbers between 0 and 1 with 0.5 among them, "
            f"as in '0.1,0.5,0.9', got {text!r}"
        )
    return levels


class ForecastOutput:
    """How raw scores of the network become a forecast, and what it costs.

    A forecast is (..., P): the value itself, P = 1; mean and log-variance, P = 2; or a
    value for each of the Q levels, P = Q, which never cross: the median is free, and
    each next one lies a positive distance, softplus of its score, further out.

    Args:
        kind: one of ``OUTPUTS``.
        levels: of the quantiles; 0.5 is among them.
    """

    def __init__(self, kind: str, levels: Sequence[float]) -> None:
        self.kind = kind
        self.levels = tuple(levels)
        self.size = {"gaussian": 2, "quantile": len(self.levels)}.get(kind, 1)
        # Where mean or median stand, in scores and in forecasts.
        self.centre = self.levels.index(0.5) if kind == "quantile" else 0

    def read(self, scores: Tensor) -> Tensor:
        """Raw scores (..., P) as a forecast."""
        if self.kind != "quantile":
            return scores
        centre = self.centre
        median = scores[..., centre : centre + 1]
        below = F.softplus(scores[..., :centre]).flip(-1).cumsum(-1).flip(-1)
        above = F.softplus(scores[..., centre + 1 :]).cumsum(-1)
        return torch.cat([median - below, median, median + above], -1)

    def scaled(self, forecast: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """The forecast of shift + scale · y from that of y; both (...), scale > 0."""
        if self.kind == "gaussian":
            mean = shift + scale * forecast[..., 0]
            return torch.stack([mean, forecast[..., 1] + 2 * scale.log()], -1)
        return shift.unsqueeze(-1) + scale.unsqueeze(-1) * forecast

    def loss(self, forecast: Tensor, target: Tensor) -> Tensor:
        """One number for each target, (...); of quantiles the mean over the levels."""
        if self.kind == "gaussian":
            return gaussian_nll(forecast[..., 0], forecast[..., 1], target)
        if self.kind == "quantile":
            levels = torch.tensor(
                self.levels, dtype=forecast.dtype, device=forecast.device
            )
            return pinball(forecast, levels, target).mean(-1)
        error = target - forecast[..., 0]
        return error**2 if self.kind == "mean" else error.abs()

    def point(self, forecast: Tensor) -> Tensor:
        """The one number to give, (...): the mean or the median."""
        return forecast[..., self.centre]

    def quantiles(self, forecast: Tensor) -> Tensor | None:
        """The value of each level, (..., Q); None where a forecast is one number."""
        if self.kind == "quantile":
            return forecast
        if self.kind != "gaussian":
            return None
        levels = torch.tensor(self.levels, dtype=forecast.dtype, device=forecast.device)
        distance = torch.special.ndtri(levels)
        return forecast[..., :1] + (0.5 * forecast[..., 1:]).exp() * distance
