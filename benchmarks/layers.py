"""Time recurrent layers against torch.nn and the matrix-product limit of the machine.

    python benchmarks/layers.py --threads 2 --out layers.json

Every candidate runs once per round, in turns, in one process; medians over the rounds.
The limit is what the core's own product reaches on rows that fill the cache, measured
in the same rounds. Operations: 2 T B (I + H) G H forward, three times that in training.
"""

import argparse
import ctypes
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import throughtime as tt
from throughtime import kernels

# (T, B, I, H)
DENSE = (
    (35, 20, 200, 200),
    (35, 20, 650, 650),
    (100, 32, 256, 256),
    (256, 32, 128, 512),
    (784, 64, 1, 128),
    (64, 1, 64, 64),
    (1000, 8, 40, 256),
)
RAGGED = ((200, 32, 64, 128), (60, 64, 100, 200), (1000, 16, 64, 256))
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
MEAN_OVER = 5  # of the first shapes, as a geometric mean

Run = Callable[[], Any]


def interleaved(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Median milliseconds of each run."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    return {name: 1e3 * statistics.median(t) for name, t in times.items()}


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def rounds_for(operations: float) -> int:
    return 7 if operations > 2e9 else 15 if operations > 2e8 else 51


def limit_run() -> tuple[Run, float]:
    """A product of the core that stays in cache, and its operations."""
    core = kernels.library()
    assert core is not None
    code = ctypes.CDLL(str(core.path))
    code.tt_product_limit.restype = ctypes.c_double
    threads, name = torch.get_num_threads(), core.instruction_set.encode()
    operations = code.tt_product_limit(threads, name)
    return lambda: code.tt_product_limit(threads, name), operations


def training(module: torch.nn.Module, x: torch.Tensor, upstream: torch.Tensor) -> Run:
    def run() -> None:
        outputs, _ = module(x)
        outputs.backward(upstream)

    return run


def forward(module: torch.nn.Module, x: torch.Tensor) -> Run:
    def run() -> None:
        with torch.no_grad():
            module(x)

    return run


def dense(name: str, shape: tuple[int, int, int, int]) -> dict[str, Any]:
    steps, batch, inputs, hidden = shape
    theirs = getattr(torch.nn, name)(inputs, hidden)
    ours = getattr(tt, name)(inputs, hidden)
    ours.load_state_dict(theirs.state_dict())
    # With one feature x is data, which needs no gradient.
    x = torch.randn(steps, batch, inputs, requires_grad=inputs > 1)
    upstream = torch.randn(steps, batch, hidden)
    operations = 2 * steps * batch * (inputs + hidden) * GATES[name] * hidden
    limit, limit_operations = limit_run()
    found = interleaved(
        {
            "limit": limit,
            "torch forward": forward(theirs, x),
            "forward": forward(ours, x),
            "torch training": training(theirs, x, upstream),
            "training": training(ours, x, upstream),
        },
        rounds_for(3 * operations),
    )
    rate = limit_operations / found["limit"]
    return {
        "layer": name,
        "shape": shape,
        "milliseconds": found,
        "limit_gflops": rate / 1e6,
        "forward_ratio": found["torch forward"] / found["forward"],
        "training_ratio": found["torch training"] / found["training"],
        "forward_share": operations / found["forward"] / rate,
        "training_share": 3 * operations / found["training"] / rate,
        "torch_training_share": 3 * operations / found["torch training"] / rate,
    }


def ragged(name: str, shape: tuple[int, int, int, int]) -> dict[str, Any]:
    """Uniform random lengths; torch both packs (sorting included) and pads."""
    steps, batch, inputs, hidden = shape
    theirs = getattr(torch.nn, name)(inputs, hidden)
    ours = getattr(tt, name)(inputs, hidden)
    ours.load_state_dict(theirs.state_dict())
    lengths = torch.randint(1, steps + 1, (batch,))
    lengths[0] = steps
    x = torch.randn(steps, batch, inputs, requires_grad=True)
    upstream = torch.randn(steps, batch, hidden)
    pack = torch.nn.utils.rnn.pack_padded_sequence
    pad = torch.nn.utils.rnn.pad_packed_sequence

    def packed() -> None:
        outputs, _ = theirs(pack(x, lengths, enforce_sorted=False))
        pad(outputs, total_length=steps)[0].backward(upstream)

    def with_lengths() -> None:
        outputs, _ = ours(x, lengths=lengths)
        outputs.backward(upstream)

    found = interleaved(
        {
            "torch packed": packed,
            "torch padded": training(theirs, x, upstream),
            "dense": training(ours, x, upstream),
            "lengths": with_lengths,
        },
        5,
    )
    fill = float(lengths.sum()) / (steps * batch)
    better = min(found["torch packed"], found["torch padded"])
    return {
        "layer": name,
        "shape": shape,
        "fill": fill,
        "milliseconds": found,
        "ratio_to_packed": found["torch packed"] / found["lengths"],
        "ratio_to_better": better / found["lengths"],
        "time_over_share_of_dense": found["lengths"] / (fill * found["dense"]),
    }


def geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.fmean(math.log(v) for v in values))


def print_dense(rows: list[dict[str, Any]]) -> None:
    print("\nlayer  (T, B, I, H)            forward          training        share")
    for row in rows:
        ms = row["milliseconds"]
        print(
            f"{row['layer']:5}  {row['shape']!s:20} "
            f"{ms['forward']:8.2f} ms {row['forward_ratio']:5.2f}x "
            f"{ms['training']:8.2f} ms {row['training_ratio']:5.2f}x "
            f"{row['training_share']:5.0%} (torch {row['torch_training_share']:.0%})"
        )
    first = rows[:MEAN_OVER]
    print(
        f"geometric mean of the first {len(first)}: forward "
        f"{geometric_mean([r['forward_ratio'] for r in first]):.2f}x, training "
        f"{geometric_mean([r['training_ratio'] for r in first]):.2f}x, limit "
        f"{statistics.median([r['limit_gflops'] for r in rows]):.0f} GFLOP/s"
    )


def print_ragged(rows: list[dict[str, Any]]) -> None:
    print("\nlayer  (T, B, I, H)          fill   training   x packed  x better  cost")
    for row in rows:
        print(
            f"{row['layer']:5}  {row['shape']!s:20} {row['fill']:5.0%} "
            f"{row['milliseconds']['lengths']:8.2f} ms {row['ratio_to_packed']:8.2f} "
            f"{row['ratio_to_better']:9.2f} {row['time_over_share_of_dense']:6.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", nargs="+", default=list(GATES), choices=list(GATES))
    parser.add_argument("--out", type=Path, help="write all results here, as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    core = kernels.library()
    if core is None:
        raise SystemExit(kernels.missing())
    where = f"{core.instruction_set}, {arguments.threads} threads"
    print(f"torch {torch.__version__}, {where}")
    result: dict[str, Any] = {
        "cpu": cpu_name(),
        "torch": torch.__version__,
        "threads": arguments.threads,
        "instruction_set": core.instruction_set,
        "dense": [],
        "ragged": [],
    }
    for name in arguments.layers:
        rows = [dense(name, shape) for shape in DENSE]
        print_dense(rows)
        result["dense"] += rows
    for name in arguments.layers:
        rows = [ragged(name, shape) for shape in RAGGED]
        print_ragged(rows)
        result["ragged"] += rows
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
