"""Training and validation loss against updates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from throughtime.plots.theme import add_legend, line_style, new_figure, styled

# More points than this are averaged in groups; a screen shows no more.
MOST_POINTS = 400


def training_curves(
    records: Sequence[Mapping[str, Any]],
    *,
    baseline: float | None = None,
    baseline_name: str = "baseline",
    per: str = "token",
    dark: bool = False,
) -> Figure:
    """Draw the records of a ``metrics.jsonl``.

    Args:
        records: lines of the file; those without a finite loss are left out.
        baseline: held-out loss of another model, nats per token, as a level line.
        baseline_name: what it is called.
        per: what the loss is of; a ``token`` has a perplexity, on a second axis.
        dark: for a dark page.
    """
    train = _points(records, "step")
    valid = _points(records, "validation")
    with styled(dark):
        figure = new_figure()
        axes = figure.add_subplot()
        if len(train):
            axes.plot(
                *_thin(train).T, label="training", alpha=0.7, **line_style(0, dark)
            )
        if len(valid):
            axes.plot(*valid.T, label="held out", marker="o", **line_style(1, dark))
        if baseline is not None:
            axes.axhline(baseline, label=baseline_name, **line_style(2, dark))
        axes.set_xlabel("updates")
        axes.set_ylabel(
            "loss (nats per token)" if per == "token" else f"loss per {per}"
        )
        losses = np.concatenate([train[:, 1], valid[:, 1]])
        if len(losses):
            # The first updates start at ln V and would flatten the rest.
            low, high = losses.min(), np.quantile(losses, 0.98)
            low = low if baseline is None else min(low, baseline)
            axes.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low) + 1e-9)
        if per == "token":
            right = axes.secondary_yaxis("right", functions=(np.exp, _log))
            right.set_ylabel("perplexity")
            right.yaxis.set_major_locator(MaxNLocator(5))
        add_legend(figure, loc="outside upper center", ncols=3)
    return figure


def _log(perplexity: Any) -> Any:
    # matplotlib also asks for perplexities that it never shows, such as 0.
    return np.log(np.maximum(perplexity, 1e-9))


def _points(records: Sequence[Mapping[str, Any]], kind: str) -> np.ndarray:
    points = [
        (record["step"], record["loss"])
        for record in records
        if record.get("record") == kind and record.get("loss") is not None
    ]
    return np.array(points, dtype=float).reshape(-1, 2)


def _thin(points: np.ndarray) -> np.ndarray:
    group = -(-len(points) // MOST_POINTS)
    if group <= 1:
        return points
    whole = len(points) // group * group
    return points[:whole].reshape(-1, group, 2).mean(axis=1)
