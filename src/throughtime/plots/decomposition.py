"""The gradient by loss step and occurrence, and by lag."""

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from throughtime.gradients import Decomposition
from throughtime.plots.theme import line_style, new_figure, styled

# Shares of the largest term below this are drawn as nothing.
SMALLEST = 1e-6


def gradient_terms(
    terms: Decomposition, name: str, *, dark: bool = False, title: str = ""
) -> Figure:
    """The norms of G[j, k], and how much each lag adds.

    Left the table: loss step j down, occurrence k across, on a logarithmic scale from
    the largest norm to a millionth of it. Right a bar per lag, and the share of all
    that lags up to it make together.

    Args:
        terms: result of ``throughtime.gradients.decompose``.
        name: of a parameter.
        dark: for a dark page.
        title: above the figure; default: the parameter's name.
    """
    norms = terms.norms[name]
    lags = terms.lag_norms([name])
    with styled(dark):
        figure = new_figure(9.0, 3.6)
        figure.suptitle(title or name)
        table, bars = figure.subplots(1, 2, gridspec_kw={"wspace": 0.1})
        _draw_table(figure, table, norms, dark)
        _draw_lags(bars, lags, dark)
    return figure


def _draw_table(figure: Figure, axes: Axes, norms: torch.Tensor, dark: bool) -> None:
    largest = float(norms.max()) or 1.0
    shown = norms.where(norms > largest * SMALLEST, torch.nan).numpy()
    # Perceptually even and readable without colour; the page's own colour is "nothing".
    image = axes.imshow(
        shown,
        norm=LogNorm(largest * SMALLEST, largest),
        cmap="viridis" if dark else "viridis_r",
        interpolation="nearest",
        aspect="auto",
    )
    axes.grid(False)
    axes.set_xlabel("occurrence k")
    axes.set_ylabel("loss step j")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.colorbar(image, ax=axes, label="‖∂L$_j$/∂W$_k$‖")


def _draw_lags(axes: Axes, lags: torch.Tensor, dark: bool) -> None:
    first, second = line_style(0, dark), line_style(1, dark)
    places = range(len(lags))
    axes.bar(places, lags.tolist(), width=1.0, color=first["color"])
    axes.set_xlabel("lag |j - k|")
    axes.set_ylabel("norm of what the lag adds", color=first["color"])
    whole = float(lags.sum()) or 1.0
    shares = axes.twinx()
    shares.plot(places, (lags.cumsum(0) / whole * 100).tolist(), **second)
    shares.set_ylim(0, 102)
    shares.set_ylabel("lags up to it, % of all", color=second["color"])
    shares.spines["right"].set_visible(True)
    shares.grid(False)
