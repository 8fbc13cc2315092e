"""Run the benchmarks and store their results as JSON.

    python benchmarks/run.py --threads 2 --out benchmarks.json
    python benchmarks/page.py benchmarks.json

The second command renders them to docs/benchmarks.md and its pictures. With ``--only``
the other sections of an existing file stay as they are. Flax, Keras and JAX are
optional (``pip install flax keras``); the section ``published`` needs torchrecurrent.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import cells
import dense
import frameworks
import long_sequences
import memory
import own_cells
import ragged
import scan
import streaming
import torch
from common import Row

from throughtime import kernels

SECTIONS = {
    "dense": dense.rows,
    "frameworks": frameworks.rows,
    "cells": cells.rows,
    "own": own_cells.rows,
    "published": own_cells.published,
    "ragged": ragged.rows,
    "streaming": streaming.rows,
    "memory": memory.rows,
    "long": long_sequences.rows,
    "scan": scan.rows,
}
BUDGET, QUICK = 3.0, 0.2  # seconds per row, about


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine(threads: int) -> dict[str, Any]:
    core = kernels.library()
    if core is None:
        raise SystemExit(kernels.missing())
    found: dict[str, Any] = {
        "cpu": cpu_name(),
        "threads": threads,
        "instruction_set": core.instruction_set,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    for name in ("jax", "flax", "keras", "torchrecurrent"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def summary(row: Row) -> str:
    """One line of figures for whoever waits."""
    what = " ".join(str(row[k]) for k in ("lengths", "layer", "cell") if k in row)
    figures = [
        f"{name} {value:.2f}"
        for name, value in (row | row.get("ratios", {})).items()
        if isinstance(value, float)
    ]
    if "bytes" in row:
        figures = [
            f"{name} {found['saved'] / 1e6:.1f} saved, {found['resident'] / 1e6:.1f} MB"
            for name, found in row["bytes"].items()
        ]
    return f"  {what} {tuple(row['shape'])}: {', '.join(figures)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=list(SECTIONS), choices=SECTIONS)
    parser.add_argument("--quick", action="store_true", help="few rounds: a try")
    parser.add_argument("--out", type=Path, help="write all results here, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["THREADS"] = str(arguments.threads)  # for processes of our own
    torch.manual_seed(0)
    result: dict[str, Any] = {}
    if arguments.out and arguments.out.is_file():
        result = json.loads(arguments.out.read_text(encoding="utf-8"))
    result["machine"] = machine(arguments.threads)
    print(", ".join(f"{name} {value}" for name, value in result["machine"].items()))
    for name in arguments.only:
        print(name)
        began = time.perf_counter()
        result[name] = []
        for row in SECTIONS[name](QUICK if arguments.quick else BUDGET):
            print(summary(row), flush=True)
            result[name].append(row)
        print(f"  {time.perf_counter() - began:.0f} s")
        if arguments.out:
            text = json.dumps(result, indent=1)
            arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
