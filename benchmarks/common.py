"""What all benchmarks share: shapes, layers, and the way of timing.

Every candidate runs once per round, in turns; medians over the rounds. There are as
many rounds as fit into a budget of seconds, between 3 and 51.
"""

import ctypes
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import throughtime as tt
from throughtime import kernels

Shape = tuple[int, int, int, int]  # T, B, I, H
Run = Callable[[], Any]
Row = dict[str, Any]

DENSE: tuple[Shape, ...] = (
    (35, 20, 200, 200),
    (35, 20, 650, 650),
    (100, 32, 256, 256),
    (256, 32, 128, 512),
    (784, 64, 1, 128),
    (64, 1, 64, 64),
    (1000, 8, 40, 256),
)
MEAN_OVER = 5  # of these shapes, as a geometric mean
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
CELLS = {"LSTM": tt.cells.LSTM, "GRU": tt.cells.GRU, "RNN": tt.cells.Elman}


def interleaved(runs: dict[str, Run], budget: float) -> dict[str, float]:
    """Median milliseconds of each run."""
    began = time.perf_counter()
    for run in runs.values():
        run()
    rounds = rounds_within(budget, time.perf_counter() - began)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return {name: 1e3 * statistics.median(t) for name, t in times.items()}


def rounds_within(budget: float, one: float) -> int:
    return int(min(51, max(3, budget / max(one, 1e-9))))


def seconds(run: Run) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def geometric_mean(values: list[float]) -> float:
    return math.exp(statistics.fmean(math.log(v) for v in values))


def operations(layer: str, shape: Shape) -> int:
    """Of the products of one forward pass; a training step has three times as many."""
    steps, batch, inputs, hidden = shape
    return 2 * steps * batch * (inputs + hidden) * GATES[layer] * hidden


def limit_run() -> tuple[Run, float]:
    """A product of the core that stays in cache, and its operations."""
    core = kernels.library()
    assert core is not None
    code = ctypes.CDLL(str(core.path))
    code.tt_product_limit.restype = ctypes.c_double
    threads, name = torch.get_num_threads(), core.instruction_set.encode()
    count = code.tt_product_limit(threads, name)
    return lambda: code.tt_product_limit(threads, name), count


def pair(layer: str, inputs: int, hidden: int) -> tuple[nn.Module, nn.Module]:
    """A layer of torch.nn and ours with the same weights."""
    theirs = getattr(nn, layer)(inputs, hidden)
    ours = getattr(tt, layer)(inputs, hidden)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def random_input(shape: Shape) -> tuple[Tensor, Tensor]:
    """An input and a gradient of the outputs."""
    steps, batch, inputs, hidden = shape
    # With one feature x is data, which needs no gradient.
    x = torch.randn(steps, batch, inputs, requires_grad=inputs > 1)
    return x, torch.randn(steps, batch, hidden)


def training(module: Callable[..., Any], x: Tensor, upstream: Tensor) -> Run:
    """Forward and backward."""

    def run() -> None:
        outputs = module(x)[0]
        outputs.backward(upstream)

    return run


def forward(module: Callable[..., Any], x: Tensor) -> Run:
    def run() -> None:
        with torch.no_grad():
            module(x)

    return run


def cell_loop(cell: nn.Module) -> Callable[[Tensor], tuple[Tensor, Any]]:
    """The loop that one writes over a cell; unbind, as indexing is quadratic in T."""

    def run(x: Tensor) -> tuple[Tensor, Any]:
        state, outputs = None, []
        for x_t in x.unbind(0):
            state = cell(x_t, state)
            outputs.append(state if isinstance(state, Tensor) else state[0])
        return torch.stack(outputs), state

    return run


def shape_text(shape: Shape) -> str:
    return ", ".join(map(str, shape))
