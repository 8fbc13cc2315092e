"""Random truncation over 1,000 steps: its mean against the full gradient.

    python benchmarks/experiments/random_truncation.py

An LSTM of 16 units reads 1,000 random steps and has a loss at each. Full gradient,
chunks of τ steps, and 10,000 estimates with random cuts of the same mean length, from
fixed weights in double precision. Each gradient is one number here: its component
along what chunks lose, (g - g_τ)/‖g - g_τ‖, the direction in which both differ most.
The mean of the estimates should be within 3 of its standard errors of the full
gradient, and the chunks further than 5 away. With τ = T chunks are full backpropagation
exactly.
"""

import argparse
import json
import math
from pathlib import Path

import torch
from torch import Tensor

import throughtime as tt
from throughtime.training import (
    BPTT,
    Method,
    Problem,
    RandomTruncatedBPTT,
    TruncatedBPTT,
    windows,
)

STEPS, UNITS, TAU = 1000, 16, 20


def problem() -> Problem:
    torch.manual_seed(0)
    layer = tt.Recurrent(tt.cells.LSTM(4, UNITS, forget_bias=3.0)).double()
    x = torch.randn(STEPS, 1, 4, dtype=torch.float64)
    # What is to be told at a step lies 10 steps back.
    targets = torch.roll(x[..., :1], 10, 0).expand(-1, -1, UNITS)
    return Problem(layer, layer, tt.losses.mse, x, targets)


def gradient(task: Problem, method: Method, epoch: int = 0) -> Tensor:
    task.module.zero_grad(set_to_none=True)
    state = None
    for window in windows(method, STEPS, epoch):
        share = (window.stop - window.loss_start) / STEPS
        _, state = method.backward(task, window, state, share)
    return torch.cat([p.grad.flatten() for p in task.module.parameters()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--estimates", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    task = problem()
    full, chunks = gradient(task, BPTT()), gradient(task, TruncatedBPTT(TAU))
    exact = torch.equal(full, gradient(task, TruncatedBPTT(STEPS)))
    print(f"chunks of T steps equal the full gradient to the last bit: {exact}")
    lost = float((full - chunks).norm() / full.norm())
    print(f"chunks of {TAU}: off by {lost:.1%} of its norm")
    along = (full - chunks) / (full - chunks).norm()
    rows = []
    print("| lengths | estimates | spread | mean off, errors | chunks off, errors |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for lengths in ("geometric", "power"):
        method = RandomTruncatedBPTT(TAU, lengths=lengths)
        found = torch.stack(
            [gradient(task, method, draw) @ along for draw in range(args.estimates)]
        )
        error = float(found.std()) / math.sqrt(len(found))
        row = {
            "lengths": lengths,
            "estimates": len(found),
            "spread": float(found.std() / full.norm()),
            "mean_off": abs(float(found.mean() - full @ along)) / error,
            "chunks_off": abs(float((full - chunks) @ along)) / error,
        }
        rows.append(row)
        print(
            f"| {lengths} | {row['estimates']} | {row['spread']:.1%} | "
            f"{row['mean_off']:.2f} | {row['chunks_off']:.1f} |",
            flush=True,
        )
    if args.out:
        result = {"exact": exact, "lost": lost, "rows": rows}
        args.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
