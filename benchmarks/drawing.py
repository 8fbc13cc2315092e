"""The picture of docs/benchmarks.md: share of the limit, ours beside torch's."""

from pathlib import Path

from common import Row, shape_text
from matplotlib.figure import Figure

from throughtime.plots.theme import colours, new_figure, styled, to_svg


def draw(rows: list[Row], folder: Path) -> None:
    """Write the light and the dark picture."""
    for dark, name in ((False, "light"), (True, "dark")):
        path = folder / f"layers_{name}.svg"
        path.write_text(to_svg(picture(rows, dark), dark=dark), encoding="utf-8")


def picture(rows: list[Row], dark: bool) -> Figure:
    """One panel per layer, one pair of bars per shape."""
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    with styled(dark):
        figure = new_figure(7.6, 3.4)
        panels = figure.subplots(1, len(layers), sharey=True, squeeze=False)[0]
        for axes, layer in zip(panels, layers, strict=True):
            mine = [row for row in rows if row["layer"] == layer]
            for offset, key, name, colour in (
                (-0.2, "training_share", "throughtime", colours(dark)[0]),
                (0.2, "torch_training_share", "torch.nn", colours(dark)[1]),
            ):
                axes.barh(
                    [place + offset for place in range(len(mine))],
                    [row[key] for row in mine],
                    height=0.38,
                    color=colour,
                    label=name,
                )
            axes.set_title(layer, fontsize=11)
            axes.set_xlim(0, 1)
            axes.set_xticks([0, 0.5, 1], ["0", "50", "100"])
            axes.set_yticks(
                list(range(len(mine))), [shape_text(row["shape"]) for row in mine]
            )
            axes.grid(visible=False, axis="y")
        panels[0].invert_yaxis()  # shared: once for all
        panels[0].set_ylabel("T, B, I, H")
        figure.supxlabel("percent of the matrix-product limit in training", fontsize=11)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=2)
    return figure
