"""Simple forecasts of the next frame of a piano roll, each fitted in seconds.

All give log-odds of every key at the next step, (T, K), for one piece (T, K).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Forecast = Callable[[Tensor], Tensor]

# Added to both counts of a key, that no key is impossible.
PRIOR = 0.5
# Ridge on the weights of the logistic regressions, as scikit-learn's C = 1.
RIDGE = 1.0


def fit_baselines(
    inputs: Sequence[Tensor], targets: Sequence[Tensor], masks: Sequence[Tensor]
) -> dict[str, Forecast]:
    """All of them, by name.

    Args:
        inputs: for each piece the frames that are read, (T, K) of 0 and 1.
        targets: the frames that come next, the same shape.
        masks: which of these count, bool (T,).
    """
    frames = torch.cat([y[m] for y, m in zip(targets, masks, strict=True)])
    last = torch.cat([x[m] for x, m in zip(inputs, masks, strict=True)])
    three = torch.cat([last_three(x)[m] for x, m in zip(inputs, masks, strict=True)])
    return {
        "each key by itself": _static(frames),
        "Markov, each key": _markov(last, frames),
        "linear, last frame": _logistic(last, frames, lambda x: x),
        "linear, last three frames": _logistic(three, frames, last_three),
    }


def last_three(inputs: Tensor) -> Tensor:
    """Each frame with the two before it, (T, 3 K); silence before the first.

    >>> last_three(torch.tensor([[1.0], [2.0], [3.0]])).tolist()
    [[1.0, 0.0, 0.0], [2.0, 1.0, 0.0], [3.0, 2.0, 1.0]]
    """
    steps = len(inputs)
    padded = F.pad(inputs, (0, 0, 2, 0))
    return torch.cat([padded[2 - lag : 2 - lag + steps] for lag in range(3)], 1)


def _odds(sounding: Tensor, count: Tensor | int) -> Tensor:
    """log p / (1 - p) of p = (sounding + 1/2) / (count + 1)."""
    return torch.log((sounding + PRIOR) / (count - sounding + PRIOR))


def _static(frames: Tensor) -> Forecast:
    odds = _odds(frames.sum(0), len(frames))
    return lambda inputs: odds.expand_as(inputs)


def _markov(last: Tensor, frames: Tensor) -> Forecast:
    """P(key sounds | it sounded in the frame before or not)."""
    after_sound = _odds((frames * last).sum(0), last.sum(0))
    after_rest = _odds((frames * (1 - last)).sum(0), (1 - last).sum(0))
    return lambda inputs: torch.where(inputs > 0, after_sound, after_rest)


def _logistic(
    features: Tensor, frames: Tensor, make: Callable[[Tensor], Tensor]
) -> Forecast:
    """Logistic regressions, one for each key, all in one: a convex problem."""
    # Float64, so that the search for a minimum ends at the minimum.
    features, wanted = features.double(), frames.double()
    weight = torch.zeros(wanted.size(1), features.size(1), dtype=torch.float64)
    bias = _odds(wanted.sum(0), len(wanted))
    weight.requires_grad_()
    bias.requires_grad_()
    search = torch.optim.LBFGS(
        [weight, bias], max_iter=150, history_size=20, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        search.zero_grad()
        odds = F.linear(features, weight, bias)
        loss = F.binary_cross_entropy_with_logits(odds, wanted, reduction="sum")
        loss = (loss + RIDGE / 2 * weight.square().sum()) / len(wanted)
        loss.backward()
        return loss

    with torch.enable_grad():
        search.step(objective)
    solved = weight.detach().to(frames.dtype), bias.detach().to(frames.dtype)
    return lambda inputs: F.linear(make(inputs), *solved)
