"""Backpropagation through long sequences that keeps few states.

    python benchmarks/checkpointing.py --threads 1 --out checkpointing.json

An LSTM of 256 units, 64 features and 10 classes at every step: plain backpropagation,
``checkpointed_backward`` by several plans, and a layer that recomputes by segments, in
turns in one process, medians. Stored are steps whose graph is held and states, of T.
Peak memory is by how much the resident set of a process of its own grows at most, over
two training steps (VmHWM, Linux). ``--quick`` leaves out T = 100,000.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import throughtime as tt
from throughtime.layers.segments import segment_steps
from throughtime.training.bptt import Window
from throughtime.training.checkpointed import checkpointed_backward
from throughtime.training.memory import MemoryPlan, plan_memory
from throughtime.training.memory_costs import measure_costs

FEATURES, HIDDEN, CLASSES = 64, 256, 10
Row = dict[str, Any]
# Name, and the arguments of plan_memory; or what Recurrent's recompute is.
Way = tuple[str, dict[str, Any] | bool]

PLAIN: Way = ("plain", False)
WAYS: dict[tuple[int, int], list[Way]] = {
    (1000, 8): [
        ("√T", {}),
        ("m = 50", {"block": 1, "slots": 50}),
        ("m = 5, blocks of 16", {"block": 16, "slots": 5}),
        ("layer recomputes", True),
    ],
    (1000, 32): [("√T", {}), ("layer recomputes", True)],
    (1000, 64): [("√T", {}), ("layer recomputes", True)],
    (10_000, 1): [
        ("√T", {}),
        ("blocks of 4 √T", {"block": 400}),
        ("10 MB", {"memory": "10MB"}),
        ("layer recomputes", True),
    ],
    (10_000, 8): [
        ("√T", {}),
        ("blocks of 4 √T", {"block": 400}),
        ("20 MB", {"memory": "20MB"}),
        ("layer recomputes", True),
    ],
}
LONG: list[tuple[int, int, Way]] = [
    (100_000, 1, ("√T", {})),
    (100_000, 8, ("200 MB", {"memory": "200MB"})),
]


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = tt.LSTM(FEATURES, HIDDEN)
        self.read = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        outputs, state = self.layer(x, state)
        return self.read(outputs), state


class Training:
    """One model and batch; each step leaves the gradients."""

    def __init__(self, steps: int, batch: int) -> None:
        torch.manual_seed(0)
        self.model = Tagger()
        self.x = torch.randn(steps, batch, FEATURES)
        self.targets = torch.randint(CLASSES, (steps, batch))

    def plan(self, way: Way) -> MemoryPlan | None:
        options = dict(way[1]) if isinstance(way[1], dict) else None
        if options is None:
            return None
        if "memory" in options:
            options["costs"] = measure_costs(
                self.model, self.x, self.targets, tt.losses.cross_entropy
            )
        return plan_memory(len(self.x), **options)

    def step(self, way: Way, plan: MemoryPlan | None) -> None:
        self.model.zero_grad()
        self.model.layer.recompute = way[1] is True
        loss = tt.losses.cross_entropy
        if plan is None:
            loss(self.model(self.x)[0], self.targets).backward()
            return
        window = Window(0, len(self.x), 0, len(self.x))
        checkpointed_backward(
            self.model, self.x, self.targets, None, window, loss, None, plan
        )

    def gradients(self) -> list[Tensor]:
        return [p.grad.clone() for p in self.model.parameters() if p.grad is not None]


def compare(steps: int, batch: int, rounds: int) -> list[Row]:
    """One row per way."""
    training = Training(steps, batch)
    ways = [PLAIN, *WAYS[steps, batch]]
    plans = [training.plan(way) for way in ways]
    runs: list[Callable[[], None]] = [
        partial(training.step, way, plan) for way, plan in zip(ways, plans, strict=True)
    ]
    grads: list[list[Tensor]] = []
    for run in runs:
        run()
        grads.append(training.gradients())
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, found in zip(runs, times, strict=True):
            began = time.perf_counter()
            run()
            found.append(time.perf_counter() - began)
    # A ratio per round: whatever else the machine does slows its neighbours alike.
    ratios = [
        statistics.median(t / base for t, base in zip(found, times[0], strict=True))
        for found in times
    ]
    rows: list[Row] = []
    for i, (way, plan) in enumerate(zip(ways, plans, strict=True)):
        rows.append(
            {
                "steps": steps,
                "batch": batch,
                "way": way[0],
                **sizes(steps, way, plan),
                "milliseconds": 1e3 * statistics.median(times[i]),
                "ratio_to_plain": ratios[i],
                "gradient_difference": difference(grads[i], grads[0]),
                **peak(steps, batch, way),
            }
        )
    return rows


def sizes(steps: int, way: Way, plan: MemoryPlan | None) -> Row:
    if plan is not None:
        held, count = (plan.block, plan.slots), plan.forward_steps
    elif way[1] is True:
        segment = segment_steps(steps, True)
        held, count = (segment, -(-steps // segment) - 1), 2 * steps
    else:
        held, count = (steps, 0), steps
    return {
        "block": held[0],
        "states": held[1],
        "stored_share": sum(held) / steps,
        "forward_steps": count,
    }


def difference(found: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest of all parameters, relative to their norm."""
    pairs = zip(found, wanted, strict=True)
    return max(float((a - b).norm() / b.norm()) for a, b in pairs)


def peak(steps: int, batch: int, way: Way) -> Row:
    """Peak memory, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(measured, (steps, batch, way, torch.get_num_threads()))


def measured(steps: int, batch: int, way: Way, threads: int) -> Row:
    torch.set_num_threads(threads)
    small = Training(64, batch)
    small.step(way, small.plan((way[0], {})) if isinstance(way[1], dict) else None)
    training = Training(steps, batch)
    # Makes the high-water mark what is resident now.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident("VmHWM")
    plan = training.plan(way)
    began = time.perf_counter()
    for _ in range(2):
        training.step(way, plan)
    return {
        "peak_growth": resident("VmHWM") - before,
        "peak_resident": resident("VmHWM"),
        "planned_bytes": plan.peak_bytes if plan else None,
        "child_seconds_per_update": (time.perf_counter() - began) / 2,
        **sizes(steps, way, plan),
    }


def resident(name: str) -> int:
    """Bytes, from the process' own status."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"no {name} in /proc/self/status: this benchmark needs Linux")


HEAD = """\
| T, B | way | block + states | stored | forward steps | time | × plain | gradient | \
peak growth, MB | peak, MB |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def line(row: Row) -> str:
    ratio, found = row.get("ratio_to_plain"), row.get("gradient_difference")
    seconds = row.get("milliseconds", 1e3 * row["child_seconds_per_update"]) / 1e3
    return (
        f"| {row['steps']:,}, {row['batch']} | {row['way']} "
        f"| {row['block']} + {row['states']} | {row['stored_share']:.1%} "
        f"| {row['forward_steps']:,} | {seconds:.2f} s "
        f"| {'' if ratio is None else f'{ratio:.2f}'} "
        f"| {'' if found is None else f'{found:.0e}'} "
        f"| {row['peak_growth'] / 1e6:.0f} | {row['peak_resident'] / 1e6:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="without T = 100,000")
    parser.add_argument("--out", type=Path, help="write all results here, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # processes of our own
    rows: list[Row] = []
    print(HEAD)
    for steps, batch in WAYS:
        found = compare(steps, batch, arguments.rounds)
        print(*map(line, found), sep="\n", flush=True)
        rows += found
    for steps, batch, way in [] if arguments.quick else LONG:
        row = {"steps": steps, "batch": batch, "way": way[0]}
        rows.append(row | peak(steps, batch, way))
        print(line(rows[-1]), flush=True)
    if arguments.out:
        text = json.dumps({"threads": arguments.threads, "rows": rows}, indent=1)
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
