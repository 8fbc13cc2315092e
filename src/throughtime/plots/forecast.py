"""Forecasts beside what happened, and how errors grow with the horizon."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from throughtime.plots.theme import add_legend, colours, line_style, new_figure, styled


class ForecastPanel(NamedTuple):
    """One forecast of one series.

    title: when and of what.
    history: the values before.
    truth: what happened, of each step of the horizon.
    point: what was forecast.
    lower: lower end of the interval; None: there is none.
    upper: its upper end.
    """

    title: str
    history: Sequence[float]
    truth: Sequence[float]
    point: Sequence[float]
    lower: Sequence[float] | None = None
    upper: Sequence[float] | None = None


def forecasts(
    panels: Sequence[ForecastPanel], *, interval: str = "", dark: bool = False
) -> Figure:
    """Each forecast with its history, the truth, and the interval as a band.

    Args:
        panels: what to draw, one below the other.
        interval: name of the interval, as in "80 % interval".
        dark: for a dark page.
    """
    with styled(dark):
        figure = new_figure(7.0, 0.8 + 2.0 * len(panels))
        rows: Any = figure.subplots(len(panels), 1, squeeze=False)
        ink = "#E6E6E6" if dark else "#222222"
        for index, (panel, axes) in enumerate(zip(panels, rows[:, 0], strict=True)):
            past = range(-len(panel.history) + 1, 1)
            steps = range(1, len(panel.point) + 1)
            first = index == 0
            axes.plot(past, panel.history, color=ink, linewidth=1.2)
            axes.plot(
                steps,
                panel.truth,
                color=ink,
                linewidth=1.2,
                marker="." if len(steps) < 30 else None,
                label="what happened" if first else None,
            )
            axes.plot(
                steps,
                panel.point,
                **line_style(1, dark),
                label="forecast" if first else None,
            )
            if panel.lower is not None and panel.upper is not None:
                axes.fill_between(
                    steps,
                    panel.lower,
                    panel.upper,
                    color=colours(dark)[1],
                    alpha=0.25,
                    linewidth=0,
                    label=interval if first and interval else None,
                )
            axes.axvline(0.5, color=ink, linewidth=0.8, linestyle=":")
            axes.set_title(panel.title, fontsize=10, loc="left")
        rows[-1, 0].set_xlabel("steps after the forecast was made")
        add_legend(figure, loc="outside upper center", ncols=3)
    return figure


def error_by_step(
    errors: Mapping[str, Sequence[float]], *, value_name: str, dark: bool = False
) -> Figure:
    """A line for each method: its error at each step of the horizon.

    Args:
        errors: by name of the method.
        value_name: title of the axis.
        dark: for a dark page.
    """
    with styled(dark):
        figure = new_figure()
        axes = figure.add_subplot()
        for index, (name, values) in enumerate(errors.items()):
            axes.plot(
                range(1, len(values) + 1),
                values,
                marker="o" if len(values) == 1 else None,
                label=name,
                **line_style(index, dark),
            )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("steps ahead")
        axes.set_ylabel(value_name)
        add_legend(figure, loc="outside upper center", ncols=4)
    return figure
