"""Dense batches against Flax, Keras and a bare lax.scan, all on JAX.

Thread pools of two frameworks in one process fight for the cores. JAX therefore runs in
a child process, on as many processors as we have threads; rounds go back and forth
between it and ours, and whoever's turn it is is alone. In each turn a candidate runs
twice, and the second run counts: the first wakes its threads.
"""

import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from common import (
    DENSE,
    GATES,
    Row,
    Run,
    Shape,
    forward,
    pair,
    random_input,
    rounds_within,
    seconds,
    training,
)
from warm import warm_seconds

CHILD = Path(__file__).with_name("frameworks_child.py")
# After its last run a pool's threads look for work for a moment before they sleep.
PAUSE = 0.01


def known() -> list[str]:
    """The rivals that are installed."""
    if importlib.util.find_spec("jax") is None:
        return []
    found = [name for name in ("flax", "keras") if importlib.util.find_spec(name)]
    return ["scan", *found]


def rows(budget: float) -> Iterator[Row]:
    rivals = known()
    for name in {"scan": "jax", "flax": "flax", "keras": "keras"}.items():
        if name[0] not in rivals:
            print(
                f"{name[0]} skipped: {name[1]} is not installed (pip install {name[1]})"
            )
    if not rivals:
        return
    with Child(torch.get_num_threads()) as child:
        for layer in GATES:
            for shape in DENSE:
                yield row(child, rivals, layer, shape, budget)


def row(
    child: "Child", rivals: list[str], layer: str, shape: Shape, budget: float
) -> Row:
    _, ours = pair(layer, *shape[2:])
    x, upstream = random_input(shape)
    mine = {"forward": forward(ours, x), "training": training(ours, x, upstream)}
    child.ask({"prepare": rivals, "layer": layer, "shape": shape})
    turns: dict[str, Run] = {}
    for kind, run in mine.items():
        turns[f"throughtime {kind}"] = lambda run=run: warm_seconds(run)
        for name in rivals:
            turns[f"{name} {kind}"] = lambda key=f"{name} {kind}": child.ask(
                {"run": key}
            )
    times: dict[str, list[float]] = {name: [] for name in turns}
    one = seconds(lambda: [turn() for turn in turns.values()])
    for _ in range(rounds_within(budget, one)):
        for name, turn in turns.items():
            time.sleep(PAUSE)
            times[name].append(turn())
    found = {name: 1e3 * statistics.median(t) for name, t in times.items()}
    return {
        "layer": layer,
        "shape": shape,
        "milliseconds": found,
        "ratios": {
            f"{name} {kind}": found[f"{name} {kind}"] / found[f"throughtime {kind}"]
            for name in rivals
            for kind in mine
        },
    }


class Child:
    """The process with JAX: one line of JSON in, one out."""

    def __init__(self, threads: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *exception: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def ask(self, request: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{CHILD.name} stopped at {request}")
        return json.loads(answer)
