"""Render the results of benchmarks/layers.py to docs/benchmarks.md and its picture.

python benchmarks/page.py layers.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

from layers import MEAN_OVER, geometric_mean
from matplotlib.figure import Figure

from throughtime.plots.theme import colours, new_figure, styled, to_svg

DOCS = Path(__file__).parent.parent / "docs"


def picture(rows: list[dict[str, Any]], dark: bool) -> Figure:
    """Share of the matrix-product limit in training, ours beside torch's."""
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    with styled(dark):
        figure = new_figure(7.6, 3.4)
        panels = figure.subplots(1, len(layers), sharey=True, squeeze=False)[0]
        for axes, layer in zip(panels, layers, strict=True):
            mine = [row for row in rows if row["layer"] == layer]
            places = range(len(mine))
            for offset, key, name, colour in (
                (-0.2, "training_share", "throughtime", colours(dark)[0]),
                (0.2, "torch_training_share", "torch.nn", colours(dark)[1]),
            ):
                axes.barh(
                    [p + offset for p in places],
                    [row[key] for row in mine],
                    height=0.38,
                    color=colour,
                    label=name,
                )
            axes.set_title(layer, fontsize=11)
            axes.set_xlim(0, 1)
            axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
            axes.set_yticks(
                list(places), [", ".join(map(str, row["shape"])) for row in mine]
            )
            axes.invert_yaxis()
        panels[0].set_ylabel("T, B, I, H")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=2)
    return figure


def dense_table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| layer | T, B, I, H | forward, ms | × torch | training, ms | × torch "
        "| share of the limit | torch's share |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        ms = row["milliseconds"]
        lines.append(
            f"| {row['layer']} | {', '.join(map(str, row['shape']))} "
            f"| {ms['forward']:.2f} | {row['forward_ratio']:.2f} "
            f"| {ms['training']:.2f} | {row['training_ratio']:.2f} "
            f"| {row['training_share']:.0%} | {row['torch_training_share']:.0%} |"
        )
    return lines


def ragged_table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| layer | T, B, I, H | filled | training, ms | × packed | × better of both "
        "| time / (filled × dense time) |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['layer']} | {', '.join(map(str, row['shape']))} | {row['fill']:.0%} "
        f"| {row['milliseconds']['lengths']:.2f} | {row['ratio_to_packed']:.1f} "
        f"| {row['ratio_to_better']:.1f} | {row['time_over_share_of_dense']:.2f} |"
        for row in rows
    ]
    return lines


def page(result: dict[str, Any]) -> str:
    dense, ragged = result["dense"], result["ragged"]
    means = []
    for layer in dict.fromkeys(row["layer"] for row in dense):
        first = [row for row in dense if row["layer"] == layer][:MEAN_OVER]
        forward = geometric_mean([row["forward_ratio"] for row in first])
        training = geometric_mean([row["training_ratio"] for row in first])
        means.append(f"| {layer} | {forward:.2f} | {training:.2f} |")
    limit = sorted(row["limit_gflops"] for row in dense)[len(dense) // 2]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"{result['cpu']}, {result['threads']} threads, "
            f"{result['instruction_set']}, torch {result['torch']}, float32. Every",
            "candidate once per round, in turns, in one process; medians. Times",
            "include everything a caller pays.",
            "",
            "```bash",
            f"python benchmarks/layers.py --threads {result['threads']} "
            "--out layers.json",
            "python benchmarks/page.py layers.json",
            "```",
            "",
            "## Dense batches against torch.nn",
            "",
            f"The limit is {limit:.0f} GFLOP/s: the core's own product on data in",
            "cache, measured in the same rounds.",
            "Operations: 2 T B (I + H) G H forward, three times that in training.",
            "",
            "<picture>",
            '  <source media="(prefers-color-scheme: dark)" '
            'srcset="pictures/layers_dark.svg">',
            '  <img alt="Share of the matrix-product limit in training, by layer and '
            'shape, beside torch.nn." src="pictures/layers_light.svg">',
            "</picture>",
            "",
            *dense_table(dense),
            "",
            f"Geometric means of the first {MEAN_OVER} shapes:",
            "",
            "| layer | forward × torch | training × torch |",
            "| --- | ---: | ---: |",
            *means,
            "",
            "## Ragged batches",
            "",
            "Uniform random lengths up to T, forward and backward, against",
            "`pack_padded_sequence` (sorting, packing and unpacking included) and",
            "against the padded batch. The last column is 1 if time follows the sum of",
            "the lengths.",
            "",
            *ragged_table(ragged),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    arguments = parser.parse_args()
    result = json.loads(arguments.results.read_text(encoding="utf-8"))
    (DOCS / "benchmarks.md").write_text(page(result), encoding="utf-8")
    for dark, name in ((False, "light"), (True, "dark")):
        path = DOCS / "pictures" / f"layers_{name}.svg"
        path.write_text(to_svg(picture(result["dense"], dark), dark=dark), "utf-8")


if __name__ == "__main__":
    main()
