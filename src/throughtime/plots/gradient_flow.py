"""The norm of ∂L/∂h_t against lag."""

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from throughtime.diagnostics import GradientFlow
from throughtime.plots.theme import add_legend, line_style, new_figure, styled


def gradient_norm_against_lag(
    flows: Mapping[str, GradientFlow], *, dark: bool = False
) -> Figure:
    """One line per layer: share of the gradient that is left after so many steps.

    Args:
        flows: results of ``throughtime.diagnostics.gradient_flow`` by name.
        dark: for a dark page.
    """
    with styled(dark):
        figure = new_figure()
        axes = figure.add_subplot()
        for index, (name, flow) in enumerate(flows.items()):
            norms = flow.by_lag
            if len(norms) and bool(norms[0] > 0):
                # A norm of 0 has no place on a log axis: the line ends there.
                shares = (norms / norms[0]).where(norms > 0, torch.nan)
                axes.plot(
                    range(len(norms)),
                    shares.tolist(),
                    label=f"{name}: {flow.verdict}",
                    **line_style(index, dark),
                )
        axes.set_yscale("log")
        axes.set_xlabel("lag k (steps back from the loss)")
        axes.set_ylabel("‖∂L/∂h$_{T-k}$‖ / ‖∂L/∂h$_{T}$‖")
        axes.axhline(0.01, color="gray", linewidth=0.8, linestyle=":")
        add_legend(figure, loc="outside upper center", ncols=2)
    return figure
