"""Dense batches: against torch.nn, plain loops, and the matrix-product limit.

The limit is what the core's own product reaches on rows that fill the cache, measured
in the same rounds. Operations: 2 T B (I + H) G H forward, three times that in training.
"""

from collections.abc import Iterator

import torch
from common import (
    CELLS,
    DENSE,
    GATES,
    Row,
    Run,
    Shape,
    cell_loop,
    forward,
    interleaved,
    limit_run,
    operations,
    pair,
    random_input,
    training,
)
from torch import Tensor

import throughtime as tt


def rows(budget: float) -> Iterator[Row]:
    """One row per layer and shape; ``budget`` seconds for each."""
    for layer in GATES:
        call = one_call(layer, (1, 1, 1, 1), budget)
        for shape in DENSE:
            yield row(layer, shape, call, budget)


def row(layer: str, shape: Shape, call: float, budget: float) -> Row:
    _, _, inputs, hidden = shape
    theirs, ours = pair(layer, inputs, hidden)
    x, upstream = random_input(shape)
    limit, limit_operations = limit_run()
    short, short_runs = fewer_steps(layer, shape)
    found = interleaved(
        {
            "limit": limit,
            "torch forward": forward(theirs, x),
            "forward": forward(ours, x),
            "torch training": training(theirs, x, upstream),
            "training": training(ours, x, upstream),
            "more rows": training(*short),
            "narrow": training(*narrow(layer, shape)),
        },
        budget,
    )
    # Loops leave thousands of small tensors behind: in rounds of their own.
    found |= interleaved(loops(layer, shape), budget / 2)
    rate, count = limit_operations / found["limit"], operations(layer, shape)
    return {
        "layer": layer,
        "shape": shape,
        "milliseconds": found,
        "limit_gflops": rate / 1e6,
        "forward_ratio": found["torch forward"] / found["forward"],
        "training_ratio": found["torch training"] / found["training"],
        "forward_share": count / found["forward"] / rate,
        "training_share": 3 * count / found["training"] / rate,
        "torch_training_share": 3 * count / found["torch training"] / rate,
        "time_goes_to": parts(
            found["training"],
            products=3 * count / rate,
            call=call,
            weights=one_call(layer, (1, 1, inputs, hidden), budget) - call,
            more_rows=found["more rows"] * short_runs,
            narrow=found["narrow"],
        ),
    }


def loops(layer: str, shape: Shape) -> dict[str, Run]:
    """Our plain loop, and the loop that one writes over torch's own cell."""
    _, _, inputs, hidden = shape
    plain = tt.Recurrent(CELLS[layer](inputs, hidden), backend="loop")
    by_hand = cell_loop(getattr(torch.nn, f"{layer}Cell")(inputs, hidden))
    x, upstream = random_input(shape)
    return {
        "loop forward": forward(plain, x),
        "cell loop forward": forward(by_hand, x),
        "loop training": training(plain, x, upstream),
        "cell loop training": training(by_hand, x, upstream),
    }


def one_call(layer: str, shape: Shape, budget: float) -> float:
    """Milliseconds of a training step on one step of one sequence."""
    _, ours = pair(layer, *shape[2:])
    x, upstream = random_input(shape)
    return interleaved({"call": training(ours, x, upstream)}, budget / 10)["call"]


def fewer_steps(
    layer: str, shape: Shape
) -> tuple[tuple[torch.nn.Module, Tensor, Tensor], float]:
    """The same work in steps of at least 128 rows, or 8 times as many as before.

    Returns:
        What ``training`` takes, and how many such calls have the work of the original.
    """
    steps, batch, inputs, hidden = shape
    rows = batch * max(8, -(-128 // batch))
    fewer = max(1, steps * batch // rows)
    _, ours = pair(layer, inputs, hidden)
    x, upstream = random_input((fewer, rows, inputs, hidden))
    return (ours, x, upstream), steps * batch / (fewer * rows)


def narrow(layer: str, shape: Shape) -> tuple[torch.nn.Module, Tensor, Tensor]:
    """As many units in as many steps, but in sequences of 16: hardly any products."""
    steps, batch, _, hidden = shape
    thin = (steps, -(-batch * hidden // 16), 1, 16)
    _, ours = pair(layer, *thin[2:])
    return ours, *random_input(thin)


def parts(
    total: float,
    *,
    products: float,
    call: float,
    weights: float,
    more_rows: float,
    narrow: float,
) -> dict[str, float]:
    """Where the time of a training step goes, as shares that add up to 1.

    products: at the limit. calls: Python, autograd and memory, from a call of one step
    of one unit. weights: packing them and writing their gradients, from a call of one
    step of one sequence. few rows: what the same work in steps of many rows saves.
    units: pointwise functions and the memory of states and gates, from as many units
    with hardly any products. rest: products below the limit, and threads that wait.
    """
    found = {
        "products": min(products, total),
        "calls": min(call, total),
        "weights": max(0.0, weights),
        "few rows": max(0.0, total - more_rows),
        "units": max(0.0, narrow - call),
    }
    # They are measured apart, so that they may overlap; the rest is never negative.
    known = sum(found.values())
    scale = min(1.0, total / known)
    shares = {name: value * scale / total for name, value in found.items()}
    return shares | {"rest": 1 - sum(shares.values())}
