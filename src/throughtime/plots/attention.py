"""What a decoder looked at while it spoke."""

from collections.abc import Sequence

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from throughtime.errors import InvalidShape
from throughtime.plots.theme import colours, new_figure, styled

# Inches for a token, and for the labels around all of them.
CELL, MARGIN = 0.27, 1.6
LONGEST_LABEL = 18


def attention_map(
    weights: Tensor,
    source: Sequence[str],
    target: Sequence[str],
    *,
    dark: bool = False,
) -> Figure:
    """Weights of attention as a picture: sources above, targets down.

    Args:
        weights: (T, S), from 0 to 1, one row for each token that was said.
        source: S tokens that were read.
        target: T tokens that were said.
        dark: for a dark page.

    Raises:
        InvalidShape: the weights are not as many as the tokens.
    """
    if tuple(weights.shape) != (len(target), len(source)):
        raise InvalidShape(
            f"weights must have shape {(len(target), len(source))}, one row for each "
            f"token of the target, got {tuple(weights.shape)}"
        )
    ground = "#15181D" if dark else "#FFFFFF"
    shades = LinearSegmentedColormap.from_list("attention", [ground, colours(dark)[0]])
    with styled(dark):
        figure = new_figure(
            max(3.5, MARGIN + CELL * len(source)), max(2.0, MARGIN + CELL * len(target))
        )
        axes = figure.add_subplot()
        image = axes.imshow(
            weights.detach().cpu().numpy(),
            cmap=shades,
            vmin=0.0,
            vmax=1.0,
            aspect="equal",
            interpolation="nearest",
        )
        axes.set_xticks(range(len(source)), [_label(t) for t in source], rotation=90)
        axes.set_yticks(range(len(target)), [_label(t) for t in target])
        axes.xaxis.tick_top()
        axes.tick_params(length=0, labelsize=9)
        for spine in axes.spines.values():
            spine.set_visible(True)
        # Lines between the tokens, so that a row can be followed.
        axes.grid(visible=False)
        axes.set_xticks([i - 0.5 for i in range(1, len(source))], minor=True)
        axes.set_yticks([i - 0.5 for i in range(1, len(target))], minor=True)
        axes.grid(visible=True, which="minor", linewidth=0.6)
        axes.tick_params(which="minor", length=0)
        figure.colorbar(image, ax=axes, label="weight", shrink=0.8, pad=0.02)
    return figure


def _label(token: str) -> str:
    """A token as it can be drawn: spaces and line ends are seen, $ is no formula."""
    token = token.replace("\n", "¶").replace(" ", "␣").replace("$", r"\$")
    return token if len(token) <= LONGEST_LABEL else token[: LONGEST_LABEL - 1] + "…"
