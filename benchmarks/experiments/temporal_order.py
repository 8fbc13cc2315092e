"""Clipping on the temporal order problem: plain SGD with clipping, without, and with Ω.

    python benchmarks/experiments/temporal_order.py --jobs 2

The table of Pascanu, Mikolov and Bengio, arXiv 1211.5063, in small. From their code:
50 tanh units, weights N(0, 0.01²), the recurrent ones at most 15 per unit and scaled to
spectral radius 0.95, biases 0, plain SGD with learning rate 0.01, batches of 20, joint
norm clipped at 1, Ω with factor 2 (and clipping), an error measured on 10,000 new
sequences and below 1 % when solved. Every sequence has the length of its cell of the
table. A step whose gradient is not finite is left out (their code shrinks W_hh in its
place); after 100 in a row a run has diverged.
"""

import math
from itertools import product

import torch
from common import Cell, Row, arguments, chosen, finished, run, summary, verdict
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import throughtime as tt
from throughtime.training import clip_norm, global_norm
from throughtime.training.omega import omega_probes

UNITS, CONNECTIONS, RADIUS, STD = 50, 15, 0.95, 0.01
RATE, BATCH, MAX_NORM, ALPHA = 0.01, 20, 1.0, 2.0
UPDATES, EVERY, TEST, SOLVED = 100_000, 1000, 10_000, 0.01
CELLS = [
    {"length": length, "method": method, "seed": seed}
    for length, method, seed in product(
        (50, 100), ("clip", "none", "omega"), range(1, 6)
    )
]


class Network(nn.Module):
    """A tanh layer and a softmax layer that reads its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = tt.Recurrent(tt.cells.Elman(6, UNITS))
        self.read = nn.Linear(UNITS, 4)
        with torch.no_grad():
            for weight in (self.layer.weight_ih_l0, self.read.weight):
                weight.normal_(0.0, STD)
            for bias in (self.layer.bias_ih_l0, self.layer.bias_hh_l0, self.read.bias):
                bias.zero_()
            self.layer.weight_hh_l0.copy_(smart_tanh())
        # One bias is enough, and the other would count in the norm and in the step.
        self.layer.bias_hh_l0.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.layer(x)[0][-1])


def smart_tanh() -> Tensor:
    """W_hh: CONNECTIONS normal weights out of each unit, scaled to RADIUS."""
    weight = torch.randn(UNITS, UNITS)
    order = torch.rand(UNITS, UNITS).argsort(0)
    weight.scatter_(0, order[CONNECTIONS:], 0.0)
    return weight * (RADIUS / radius(weight))


def radius(weight: Tensor) -> float:
    return tt.init.spectrum(weight.detach()).spectral_radius


@torch.no_grad()
def error(model: Network, length: int) -> float:
    """The share of TEST new sequences that is answered wrongly."""
    wrong = 0
    for _ in range(10):
        x, target = tt.data.temporal_order(length, TEST // 10)
        wrong += int((model(x).argmax(-1) != target).sum())
    return wrong / TEST


def train(cell: Cell) -> Row:
    length, method = cell["length"], cell["method"]
    torch.manual_seed(cell["seed"])
    model = Network()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, RATE, foreach=False)
    errors: list[float] = []
    update = skipped = clipped = bad = 0
    largest = mean_norm = 0.0
    while update < UPDATES and bad < 100 and (not errors or errors[-1] >= SOLVED):
        many = tt.data.temporal_order(length, BATCH * EVERY)
        xs = many[0].view(length, EVERY, BATCH, -1).unbind(1)
        for x, target in zip(xs, many[1].view(EVERY, BATCH), strict=True):
            optimizer.zero_grad()
            if method == "omega":
                with omega_probes(model) as probes:
                    cross_entropy(model(x), target).backward()
                probes.add_gradient(ALPHA, power=2, reduction="mean")
            else:
                cross_entropy(model(x), target).backward()
            norm = global_norm(p.grad for p in parameters)
            update += 1
            bad = 0 if math.isfinite(norm) else bad + 1
            skipped += bad > 0
            if bad:
                continue
            mean_norm += norm
            if method != "none":
                clip_norm(parameters, MAX_NORM, norm=norm)
                after = global_norm(p.grad for p in parameters)
                largest, clipped = max(largest, after), clipped + (norm > MAX_NORM)
            optimizer.step()
        errors.append(error(model, length))
    return {
        "solved": errors[-1] < SOLVED,
        "updates": update,
        "error": errors[-1],
        "skipped": skipped,
        "clipped": clipped,
        "mean_norm": mean_norm / max(1, update - skipped),
        "largest_norm_after_clipping": largest,
        "radius": radius(model.layer.weight_hh_l0) if bad == 0 else math.inf,
        "errors": errors,
    }


def report(rows: list[Row]) -> None:
    def solved(length: int, method: str) -> int | None:
        found = [r for r in rows if (r["length"], r["method"]) == (length, method)]
        return sum(r["solved"] for r in found) if len(found) == 5 else None

    for row in rows:
        print(summary(row))
    print()
    table = {c: solved(*c) for c in product((50, 100), ("clip", "none", "omega"))}
    for (length, method), count in table.items():
        print(f"length {length}, {method}: {count} of 5 solved")
    at_50 = table[50, "clip"]
    verdict("clip solves >= 4 of 5 at length 50", None if at_50 is None else at_50 >= 4)
    for length in (50, 100):
        clip, none = table[length, "clip"], table[length, "none"]
        holds = None if clip is None or none is None else clip >= none
        verdict(f"clip solves as many as none at length {length}", holds)
    largest = [r["largest_norm_after_clipping"] for r in rows]
    holds = max(largest) <= MAX_NORM * (1 + 1e-6) if largest else None
    verdict("norm after clipping <= θ (1 + 1e-6)", holds)


if __name__ == "__main__":
    options = arguments(__doc__, "build/experiments/temporal_order.jsonl").parse_args()
    if options.table:
        report(finished(options.results))
    else:
        cells = chosen(CELLS, options.only)
        report(run(cells, train, options.results, options.jobs))
