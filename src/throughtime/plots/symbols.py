"""What a recogniser sees at each step."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from throughtime.plots.theme import new_figure, styled

# Symbols that are never likelier than this are left out.
SEEN = 0.05
MOST = 30


def symbol_probabilities(
    probabilities: ArrayLike,
    names: Sequence[str],
    *,
    title: str = "",
    dark: bool = False,
) -> Figure:
    """A row per symbol and a column per step; the darker (brighter) the likelier.

    Args:
        probabilities: p_t, (T, V).
        names: of the V symbols. Those that are hardly ever seen are left out.
        title: above the picture.
        dark: for a dark page.
    """
    p = np.asarray(probabilities, float).reshape(-1, len(names))
    highest = p.max(0) if len(p) else np.zeros(len(names))
    likeliest = np.argsort(-highest, kind="stable")[:MOST]
    shown = sorted(i for i in likeliest if highest[i] >= SEEN)
    with styled(dark):
        figure = new_figure(7.0, 1.2 + 0.22 * max(3, len(shown)))
        axes = figure.add_subplot()
        if len(shown) and len(p):
            picture = axes.imshow(
                p[:, shown].T,
                cmap="cividis" if dark else "Blues",
                vmin=0,
                vmax=1,
                aspect="auto",
                interpolation="nearest",
            )
            figure.colorbar(picture, label="probability")
        axes.set_yticks(range(len(shown)), [str(names[i]) for i in shown])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(False)
        axes.set_xlabel("step")
        axes.set_title(title, fontsize=11)
    return figure
