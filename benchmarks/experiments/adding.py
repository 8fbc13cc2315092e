"""The adding problem: which recurrent networks add two numbers far apart.

    python benchmarks/experiments/adding.py --jobs 2

Values U[0, 1], two marks anywhere, mean squared error of the sum; always answering 1
has 1/6. Gated and tanh networks of 70,000 parameters as in Bai, Kolter and Koltun,
arXiv 1803.01271; ReLU networks of 100 units started as IRNN (Le, Jaitly and Hinton,
arXiv 1504.00941) and np-RNN (Talathi and Vartak, arXiv 1511.03771).

Every network: Adam, batches of 32 new sequences, at most 7,000 updates, of the ReLU
networks 20,000: IRNN only begins to learn after some 6,000. Every 250 updates the
error on 1,000 sequences is measured; the best weights are kept, training ends early
below half of the aim, and the result is the error on 1,000 new sequences.
"""

import copy
import math

import torch
from common import Cell, Row, arguments, chosen, finished, run, summary, verdict
from torch import Tensor, nn

import throughtime as tt
from throughtime.training import clip_norm, global_norm

EVERY, BATCH, TEST = 250, 32, 1000
SHORT, LONG = 7000, 20_000
GATED = {"rate": 2e-3, "max_norm": 5.0, "most": SHORT}
RELU = {"rate": 1e-3, "max_norm": 1.0, "most": LONG}
# Network: its cell, how it is trained, and the error that it is to reach.
NETWORKS = {
    "gru": (lambda: tt.cells.GRU(2, 150), GATED, 1e-3),
    "lstm": (lambda: tt.cells.LSTM(2, 130, forget_bias=1.0), GATED, 1e-3),
    "tanh": (lambda: tt.cells.Elman(2, 262), GATED, 1e-3),
    "irnn": (lambda: tt.cells.IRNN(2, 100), RELU, 0.01),
    "np_rnn": (lambda: tt.cells.NPRNN(2, 100), RELU, 0.01),
}
CELLS = [
    *({"network": "irnn", "steps": 150, "seed": seed} for seed in range(1, 6)),
    *({"network": "np_rnn", "steps": 150, "seed": seed} for seed in range(1, 6)),
    *({"network": name, "steps": 200, "seed": 1} for name in ("gru", "tanh")),
    *({"network": name, "steps": 600, "seed": 1} for name in ("tanh", "gru", "lstm")),
]


class Network(nn.Module):
    """A recurrent layer and a linear one that reads its last state."""

    def __init__(self, cell: tt.cells.Cell) -> None:
        super().__init__()
        self.layer = tt.Recurrent(cell)
        self.read = nn.Linear(cell.hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.layer(x)[0][-1])[:, 0]


@torch.no_grad()
def error(model: Network, x: Tensor, target: Tensor) -> float:
    parts = zip(x.split(200, 1), target.split(200), strict=True)
    squares = [((model(x) - target) ** 2).sum() for x, target in parts]
    return float(torch.stack(squares).sum() / len(target))


def train(cell: Cell) -> Row:
    make, settings, aim = NETWORKS[cell["network"]]
    steps = cell["steps"]
    torch.manual_seed(cell["seed"])
    model = Network(make())
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, settings["rate"])
    validation = tt.data.adding(steps, TEST)
    errors, best, kept = [], math.inf, copy.deepcopy(model)
    update = skipped = clipped = 0
    while update < settings["most"] and best > aim / 2:
        for _ in range(EVERY):
            x, target = tt.data.adding(steps, BATCH)
            optimizer.zero_grad()
            tt.losses.mse(model(x), target).backward()
            norm = global_norm(p.grad for p in parameters)
            update += 1
            if not math.isfinite(norm):
                skipped += 1
                continue
            clipped += norm > settings["max_norm"]
            clip_norm(parameters, settings["max_norm"], norm=norm)
            optimizer.step()
        errors.append(error(model, *validation))
        if errors[-1] < best:
            best, kept = errors[-1], copy.deepcopy(model)
    return settings | {
        "parameters": sum(p.numel() for p in parameters),
        "test": error(kept, *tt.data.adding(steps, TEST)),
        "updates": update,
        "clipped": clipped,
        "skipped": skipped,
        "last": errors[-1],
        "errors": errors,
    }


def report(rows: list[Row]) -> None:
    def tests(network: str, steps: int) -> list[float]:
        key = (network, steps)
        return [r["test"] for r in rows if (r["network"], r["steps"]) == key]

    def one(claim: str, network: str, steps: int, low: float, high: float) -> None:
        found = tests(network, steps)
        verdict(claim, low <= found[0] <= high if found else None)

    for row in rows:
        print(summary(row))
    print()
    torch.manual_seed(0)
    _, target = tt.data.adding(200, 100_000)
    baseline = float(((target - 1) ** 2).mean())
    verdict(f"always 1: {baseline:.4f} is 0.1667 ± 0.005", abs(baseline - 1 / 6) < 5e-3)
    one("gru, T = 200: test <= 1e-3", "gru", 200, 0, 1e-3)
    one("tanh, T = 200: test >= 0.10 (fails to learn)", "tanh", 200, 0.10, math.inf)
    one("gru, T = 600: test <= 1e-3", "gru", 600, 0, 1e-3)
    one("lstm, T = 600: test >= 0.15 (fails to learn)", "lstm", 600, 0.15, math.inf)
    one("tanh, T = 600: test >= 0.15 (fails to learn)", "tanh", 600, 0.15, math.inf)
    for most in (SHORT, LONG):
        irnn, np_rnn = (solved(rows, name, most) for name in ("irnn", "np_rnn"))
        verdict(
            f"irnn, T = 150: {irnn} of 5 reach 0.01 within {most:,} updates, >= 3",
            None if irnn is None else irnn >= 3,
        )
        verdict(
            f"np_rnn, T = 150: {np_rnn} of 5, as many as irnn",
            None if irnn is None or np_rnn is None else np_rnn >= irnn,
        )


def solved(rows: list[Row], network: str, most: int) -> int | None:
    """Seeds that reach 0.01 within so many updates, and on the test, too."""
    found = [r for r in rows if (r["network"], r["steps"]) == (network, 150)]
    if len(found) < 5:
        return None
    return sum(
        min(r["errors"][: most // EVERY]) <= 0.01 and r["test"] <= 0.01 for r in found
    )


if __name__ == "__main__":
    options = arguments(__doc__, "build/experiments/adding.jsonl").parse_args()
    if options.table:
        report(finished(options.results))
    else:
        cells = chosen(CELLS, options.only)
        report(run(cells, train, options.results, options.jobs))
