"""Forecasts beside those of simple methods, in numbers and pictures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from throughtime.models.forecast_baselines import (
    LinearForecaster,
    carried_forward,
    drift,
    naive,
    seasonal_naive,
    window_mean,
)
from throughtime.tasks.forecast_figures import error_by_step
from throughtime.tasks.forecast_windows import Array, Layout, Span
from throughtime.tasks.task import Evaluation

if TYPE_CHECKING:
    from throughtime.report import Section

Parts = Sequence[tuple[Span, Array]]
SHOWN = 3
MOST_ROWS = 12


def baseline_forecasts(
    train: Parts,
    parts: Parts,
    layout: Layout,
    look_back: int,
    horizon: int,
    period: int,
) -> dict[str, Array]:
    """Standardised forecasts (N, H, C) of simple methods, by name.

    The seasonal one is left out where the first origin has no season before it.

    Args:
        train: what the linear method learns from: spans and their origins.
        parts: what to forecast.
        layout: which columns.
        look_back: steps that are read.
        horizon: steps to forecast.
        period: steps of a season.
    """
    values = [_values(span, layout) for span, _ in parts]
    starts = [found for _, found in parts]
    pairs = list(zip(values, starts, strict=True))
    found = simple_forecasts(pairs, horizon, period)
    found["drift"] = [drift(v, o, horizon, look_back) for v, o in pairs]
    found["mean of the window"] = [
        window_mean(v, o, horizon, look_back) for v, o in pairs
    ]
    # Nothing behind the end of the training part is looked at: no window reaches there.
    linear = LinearForecaster(look_back, horizon).fit(
        [(_values(span, layout), o) for span, o in train]
    )
    found["linear"] = [linear.forecast(v, o) for v, o in pairs]
    return {name: np.concatenate(forecast) for name, forecast in found.items()}


def simple_forecasts(
    pairs: Sequence[tuple[Array, Array]], horizon: int, period: int
) -> dict[str, list[Array]]:
    """Those that need no training: the last value, and the last season."""
    found = {"naive": [naive(v, o, horizon) for v, o in pairs]}
    if period > 1 and all(o.min() >= period for _, o in pairs):
        found[f"seasonal naive ({period})"] = [
            seasonal_naive(v, o, horizon, period) for v, o in pairs
        ]
    return found


def forecast_sections(
    parts: Parts,
    evaluation: Evaluation,
    layout: Layout,
    horizon: int,
    look_back: int,
    period: int,
) -> "list[Section]":
    """Error by step, error by column, and some forecasts."""
    from throughtime.plots.forecast import error_by_step as step_figure
    from throughtime.plots.forecast import forecasts as forecast_figure
    from throughtime.report import Figure, Section, Table

    count = len(layout.targets)
    mean, std = np.array(layout.mean[:count]), np.array(layout.std[:count])
    point, truth = evaluation.details["point"], evaluation.details["truth"]
    pairs = [(_values(span, layout), o) for span, o in parts]
    simple = simple_forecasts(pairs, horizon, period)
    curves = {"this model": error_by_step(point, truth, std)}
    for name, forecast in simple.items():
        in_units = np.concatenate(forecast) * std + mean
        curves[name] = error_by_step(in_units, truth, std)
    shown = sorted(
        {*np.linspace(0, horizon - 1, MOST_ROWS).round().astype(int).tolist()}
    )
    sections = [
        Section(
            "Error by step",
            f"{len(truth):,} forecasts of {horizon} steps each, made one after the "
            "other along the held-out part. The unit is the standard deviation of a "
            "column in the training part.",
            Figure(
                lambda dark: step_figure(
                    {name: curve.tolist() for name, curve in curves.items()},
                    value_name="mean absolute error",
                    dark=dark,
                ),
                "Mean absolute error against steps ahead, a line for each method.",
            ),
            Table(
                ("steps ahead", *curves),
                [
                    (
                        str(step + 1),
                        *(f"{curve[step]:.3f}" for curve in curves.values()),
                    )
                    for step in shown
                ],
            ),
        )
    ]
    if count > 1:
        sections.append(_by_column(layout.targets, point, truth, std))
    panels, interval = _panels(parts, evaluation.details, layout, look_back)
    sections.append(
        Section(
            "Forecasts",
            "First, middle and last of the held-out part."
            + (
                " The band should hold " + interval + " of what happens."
                if interval
                else ""
            ),
            Figure(
                lambda dark: forecast_figure(
                    panels, interval=interval and f"{interval} interval", dark=dark
                ),
                "Forecasts beside what happened.",
            ),
        )
    )
    return sections


def _by_column(
    names: Sequence[str], point: Array, truth: Array, std: Array
) -> "Section":
    from throughtime.report import Section, Table

    rows = []
    for index, name in enumerate(names):
        error = np.abs(point[..., index] - truth[..., index])
        error = error[~np.isnan(error)]
        mae = error.mean() if error.size else np.nan  # a part may lack a column
        rmse = np.sqrt((error**2).mean()) if error.size else np.nan
        scaled = (f"{(mae / std[index]):.3f}", f"{(rmse / std[index]) ** 2:.3f}")
        rows.append((name, f"{mae:.4g}", f"{rmse:.4g}", *scaled))
    header = ("column", "MAE", "RMSE", "standardised MAE", "standardised MSE")
    return Section("Error by column", table=Table(header, rows))


def _panels(
    parts: Parts, details: Mapping[str, Any], layout: Layout, look_back: int
) -> tuple[list[Any], str]:
    """Forecasts of the first target to draw, and the name of their interval."""
    from throughtime.plots.forecast import ForecastPanel

    point, truth, quantiles = (details.get(n) for n in ("point", "truth", "quantiles"))
    assert point is not None
    assert truth is not None
    places = [(span, int(o)) for span, starts in parts for o in starts]
    chosen = sorted(
        {*np.linspace(0, len(places) - 1, SHOWN).round().astype(int).tolist()}
    )
    panels = []
    for index in chosen:
        span, start = places[index]
        history = span.table.columns_at(layout.targets[:1])[
            start - look_back : start, 0
        ]
        title = f"{layout.targets[0]} from {span.table.time_text(start)} on"
        ends = (None, None)
        if quantiles is not None:
            ends = tuple(quantiles[index, :, 0, i].tolist() for i in (0, -1))
        panels.append(
            ForecastPanel(
                title,
                history.tolist(),
                truth[index, :, 0].tolist(),
                point[index, :, 0].tolist(),
                *ends,
            )
        )
    if quantiles is None:
        return panels, ""
    levels = details["levels"]
    return panels, f"{levels[-1] - levels[0]:.0%}".replace("%", " %")


def _values(span: Span, layout: Layout) -> Array:
    """Standardised targets, gaps filled with the value before; 0 is the mean."""
    targets = layout.standardised(span.table)[:, : len(layout.targets)]
    return carried_forward(targets)
