"""What the experiments share: cells of a table, each trained once and written down.

A cell is a dict of settings. Its result is one line of a JSON lines file, which holds
the settings too, so that an experiment that is started again goes on with the cells
that are missing.
"""

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

Cell = dict[str, Any]
Row = dict[str, Any]


def arguments(doc: str, results: str) -> argparse.ArgumentParser:
    """The options of every experiment."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path(results))
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread")
    parser.add_argument("--only", default="", help="settings, as method=clip,length=50")
    parser.add_argument("--table", action="store_true", help="print, train nothing")
    return parser


def chosen(cells: Iterable[Cell], only: str) -> list[Cell]:
    """The cells with all settings of ``only``."""
    wanted = dict(pair.split("=") for pair in only.split(",") if pair)
    return [c for c in cells if all(str(c[k]) == v for k, v in wanted.items())]


def finished(results: Path) -> list[Row]:
    """The rows that are there."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines()]


def run(
    cells: Iterable[Cell], train: Callable[[Cell], Row], results: Path, jobs: int
) -> list[Row]:
    """Train the cells that are missing, write each as it ends, and return all rows."""
    done = finished(results)
    missing = [c for c in cells if not any(c.items() <= row.items() for row in done)]
    results.parent.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # before the processes start
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, fresh, torch.set_num_threads, (1,)) as pool:
        for future in as_completed(pool.submit(_one, train, c) for c in missing):
            with results.open("a") as file:
                file.write(json.dumps(future.result()) + "\n")
            print(summary(future.result()), flush=True)
    return finished(results)


def _one(train: Callable[[Cell], Row], cell: Cell) -> Row:
    return cell | train(cell)


def summary(row: Row) -> str:
    """A row without its long lists."""
    return " ".join(f"{k}={v}" for k, v in row.items() if not isinstance(v, list))


def verdict(claim: str, holds: bool | None) -> None:
    """Print a threshold, and whether it is kept; None: results are missing."""
    word = {True: "pass", False: "FAIL", None: "open"}[holds]
    print(f"{word}  {claim}")
