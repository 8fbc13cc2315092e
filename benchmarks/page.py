"""Render the results of benchmarks/run.py to docs/benchmarks.md and its pictures.

python benchmarks/page.py benchmarks.json
"""

import argparse
import json
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import MEAN_OVER, Row, geometric_mean, shape_text
from drawing import draw
from texts import TEXTS

DOCS = Path(__file__).parent.parent / "docs"


def table(names: str, rows: Sequence[Sequence[Any]], words: int = 2) -> list[str]:
    """A table; columns after the first ``words`` are numbers."""
    heads = names.split("|")
    rule = ["---"] * words + ["---:"] * (len(heads) - words)
    lines = [heads, rule, *rows]
    return ["| " + " | ".join(str(c).strip() for c in line) + " |" for line in lines]


def prose(name: str, **values: Any) -> list[str]:
    return textwrap.wrap(" ".join(TEXTS[name].split()).format(**values), 88)


def by_layer(rows: list[Row]) -> dict[str, list[Row]]:
    return {
        layer: [row for row in rows if row["layer"] == layer]
        for layer in dict.fromkeys(row["layer"] for row in rows)
    }


def largest_losses(row: Row) -> str:
    """The two largest parts of a training step beside the products at the limit."""
    shares = {k: v for k, v in row["time_goes_to"].items() if k != "products"}
    names = sorted(shares, key=lambda key: -shares[key])[:2]
    return ", ".join(f"{name} {shares[name]:.0%}" for name in names)


def dense(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    limit = sorted(row["limit_gflops"] for row in rows)[len(rows) // 2]
    cells = []
    for row in rows:
        ms = row["milliseconds"]
        cells.append(
            (
                row["layer"],
                shape_text(row["shape"]),
                f"{ms['forward']:.2f}",
                f"{row['forward_ratio']:.2f}",
                f"{ms['training']:.2f}",
                f"{row['training_ratio']:.2f}",
                f"{ms['loop training'] / ms['training']:.1f}",
                f"{ms['cell loop training'] / ms['training']:.1f}",
                f"{row['training_share']:.0%}",
                f"{row['torch_training_share']:.0%}",
                largest_losses(row),
            )
        )
    means = [
        (
            layer,
            f"{geometric_mean([r['forward_ratio'] for r in mine[:MEAN_OVER]]):.2f}",
            f"{geometric_mean([r['training_ratio'] for r in mine[:MEAN_OVER]]):.2f}",
            f"{min(r['training_ratio'] for r in mine):.2f}",
        )
        for layer, mine in by_layer(rows).items()
    ]
    return [
        "## Dense batches against torch.nn",
        "",
        *prose("dense", limit=f"{limit:.0f}", threads=machine["threads"]),
        "",
        "<picture>",
        '  <source media="(prefers-color-scheme: dark)" '
        'srcset="pictures/layers_dark.svg">',
        '  <img alt="Share of the matrix-product limit in training, by layer and '
        'shape, beside torch.nn." src="pictures/layers_light.svg">',
        "</picture>",
        "",
        *table(
            "layer|T, B, I, H|forward, ms|× torch|training, ms|× torch|× plain loop"
            "|× cell loop|share of the limit|torch's share|held back by",
            cells,
        ),
        "",
        f"Geometric means of the first {MEAN_OVER} shapes, and the worst of all:",
        "",
        *table("layer|forward × torch|training × torch|worst", means, words=1),
        "",
        *prose("held back"),
    ]


def frameworks(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    names = list(dict.fromkeys(key.split()[0] for key in rows[0]["ratios"]))
    titles = {"scan": "lax.scan", "flax": "Flax", "keras": "Keras"}
    versions = ", ".join(
        f"{title} {machine[key]}"
        for title, key in (("JAX", "jax"), ("Flax", "flax"), ("Keras", "keras"))
        if machine[key]
    )
    columns = [(kind, name) for kind in ("forward", "training") for name in names]
    return [
        "## Dense batches against JAX",
        "",
        *prose("frameworks", versions=versions),
        "",
        *table(
            "|".join(
                ["layer", "T, B, I, H"]
                + [f"{kind} × {titles[name]}" for kind, name in columns]
            ),
            [
                (
                    row["layer"],
                    shape_text(row["shape"]),
                    *(f"{row['ratios'][f'{n} {k}']:.2f}" for k, n in columns),
                )
                for row in rows
            ],
        ),
    ]


def cells(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    del machine
    return [
        "## Cells that torch.nn lacks",
        "",
        *prose("cells"),
        "",
        *table(
            "cell|T, B, I, H|training, ms|× plain cell, forward|training"
            "|loop ×, forward|training",
            [
                (
                    row["cell"]
                    + ("" if row["backend"] == "native" else " (plain loop)"),
                    shape_text(row["shape"]),
                    f"{row['milliseconds']['training']:.2f}",
                    f"{row['forward_over_plain']:.2f}",
                    f"{row['training_over_plain']:.2f}",
                    f"{row['forward_ratio_to_loop']:.1f}",
                    f"{row['training_ratio_to_loop']:.1f}",
                )
                for row in rows
            ],
        ),
    ]


def own(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    del machine
    first = max(row["first_call_seconds"] for row in rows)
    return [
        "## Cells of your own",
        "",
        *prose("own", first=f"{first:.2f}"),
        "",
        *table(
            "cell|T, B, I, H|training, ms|built-in, ms|own / built-in|loop, ms|loop ×",
            [
                (
                    row["cell"],
                    shape_text(row["shape"]),
                    f"{row['milliseconds']['training']:.2f}",
                    f"{row['milliseconds']['built-in training']:.2f}",
                    f"{row['over_built_in']:.2f}",
                    f"{row['milliseconds']['loop training']:.1f}",
                    f"{row['ratio_to_loop']:.1f}",
                )
                for row in rows
            ],
        ),
    ]


def published(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    del machine
    by_cell = {
        cell: [row for row in rows if row["cell"] == cell]
        for cell in dict.fromkeys(row["cell"] for row in rows)
    }
    means = [
        f"{cell} {geometric_mean([r['ratio'] for r in mine]):.1f}"
        for cell, mine in by_cell.items()
    ]
    return [
        "## Published cells against torchrecurrent",
        "",
        *prose("published", means=", ".join(means)),
        "",
        *table(
            "cell|T, B, I, H|training, ms|torchrecurrent, ms|×",
            [
                (
                    row["cell"],
                    shape_text(row["shape"]),
                    f"{row['milliseconds']['ours']:.2f}",
                    f"{row['milliseconds']['theirs']:.1f}",
                    f"{row['ratio']:.1f}",
                )
                for row in rows
            ],
        ),
    ]


def ragged(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    del machine
    means = []
    for layer, mine in by_layer([r for r in rows if r["lengths"] == "uniform"]).items():
        packed = geometric_mean([row["ratio_to_packed"] for row in mine])
        better = geometric_mean([row["ratio_to_better"] for row in mine])
        means.append((layer, f"{packed:.1f}", f"{better:.1f}"))
    return [
        "## Ragged batches",
        "",
        *prose("ragged"),
        "",
        *table(
            "lengths|layer|T, B, I, H|filled|training, ms|× packed|× better of both"
            "|time / (filled × dense time)",
            [
                (
                    row["lengths"],
                    row["layer"],
                    shape_text(row["shape"]),
                    f"{row['fill']:.0%}",
                    f"{row['milliseconds']['lengths']:.2f}",
                    f"{row['ratio_to_packed']:.1f}",
                    f"{row['ratio_to_better']:.1f}",
                    f"{row['time_over_share_of_dense']:.2f}",
                )
                for row in rows
            ],
            words=3,
        ),
        "",
        "Geometric means of the uniform ones:",
        "",
        *table("layer|× packed|× better of both", means, words=1),
    ]


def streaming(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    del machine
    return [
        "## One step at a time",
        "",
        *prose("streaming"),
        "",
        *table(
            "layer|B, I, H|stream|× torch layer|× torch cell",
            [
                (
                    row["layer"],
                    shape_text(row["shape"]),
                    f"{row['microseconds']['stream']:.1f}",
                    f"{row['ratio_to_layer']:.1f}",
                    f"{row['ratio_to_cell']:.1f}",
                )
                for row in rows
            ],
        ),
    ]


def memory(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    del machine
    names = list(rows[0]["bytes"])
    titles = {"torch": "torch", "throughtime": "ours", "recompute": "ours, recompute"}
    columns = [(kind, name) for kind in ("saved", "resident") for name in names]
    return [
        "## Memory kept for the backward pass",
        "",
        *prose("memory"),
        "",
        *table(
            "|".join(
                ["layer", "T, B, I, H"]
                + [f"{kind}, {titles[name]}" for kind, name in columns]
            ),
            [
                (
                    row["layer"],
                    shape_text(row["shape"]),
                    *(f"{row['bytes'][n][k] / 1e6:.1f}" for k, n in columns),
                )
                for row in rows
            ],
        ),
    ]


def long(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    del machine
    return [
        "## Long sequences",
        "",
        *prose("long"),
        "",
        *table(
            "layer|T, B, I, H|training, ms|µs per step|× torch",
            [
                (
                    row["layer"],
                    shape_text(row["shape"]),
                    f"{row['milliseconds']['training']:.1f}",
                    f"{row['microseconds_per_step']:.2f}",
                    f"{row['ratio_to_torch']:.2f}",
                )
                for row in rows
            ],
        ),
    ]


def scan(rows: list[Row], machine: dict[str, Any]) -> list[str]:
    del machine
    lines = []
    for row in rows:
        times = [ms for found in row["milliseconds"].values() for ms in found.values()]
        lines.append(
            [row["cell"], shape_text(row["shape"]), *map("{:.2f}".format, times)]
        )
    columns = [
        f"{kind}, {backend}"
        for kind, found in rows[0]["milliseconds"].items()
        for backend in found
    ]
    names = "|".join(["cell", "T, B, I, H", *columns])
    return ["## Cells that allow a scan", "", *prose("scan"), "", *table(names, lines)]


SECTIONS: dict[str, Callable[[list[Row], dict[str, Any]], list[str]]] = {
    "dense": dense,
    "frameworks": frameworks,
    "cells": cells,
    "own": own,
    "published": published,
    "ragged": ragged,
    "streaming": streaming,
    "memory": memory,
    "long": long,
    "scan": scan,
}


def page(result: dict[str, Any]) -> str:
    machine = result["machine"]
    lines = [
        "# Benchmarks",
        "",
        *prose("head", **machine),
        "",
        "```bash",
        f"python benchmarks/run.py --threads {machine['threads']} "
        "--out benchmarks.json && python benchmarks/page.py benchmarks.json",
        "```",
        "",
    ]
    for name, section in SECTIONS.items():
        if result.get(name):
            lines += [*section(result[name], machine), ""]
        else:
            lines += [f"Section `{name}` was not measured.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--docs", type=Path, default=DOCS, help="where to write")
    arguments = parser.parse_args()
    result = json.loads(arguments.results.read_text(encoding="utf-8"))
    (arguments.docs / "pictures").mkdir(parents=True, exist_ok=True)
    (arguments.docs / "benchmarks.md").write_text(page(result), encoding="utf-8")
    if result.get("dense"):
        draw(result["dense"], arguments.docs / "pictures")


if __name__ == "__main__":
    main()
