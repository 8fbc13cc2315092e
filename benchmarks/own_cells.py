"""Cells declared by their step against built-in ones, a loop, and torchrecurrent."""

import importlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from common import (
    DENSE,
    Row,
    Shape,
    cell_loop,
    forward,
    interleaved,
    random_input,
    training,
)

import throughtime as tt
from throughtime.cells import PerUnit, row_norm

Parts = Sequence[torch.Tensor]


@tt.cell(gates=4, state=("h", "c"))
def my_lstm(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """As in docs/own_cell.md."""
    i, f, g, o = (x + h for x, h in zip(a_x, a_h, strict=True))
    c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
    return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}


@tt.cell(gates=4, state=("h", "c"))
def my_other_lstm(a_x: Parts, a_h: Parts, state: Any) -> Any:
    """The same in another order: no phase of it is one that was compiled ahead."""
    i, f, g, o = (x + h for x, h in zip(a_x, a_h, strict=True))
    c = torch.tanh(g) * torch.sigmoid(i) + state.c * torch.sigmoid(f)
    return {"h": torch.tanh(c) * torch.sigmoid(o), "c": c}


@tt.cell(gates=3)
def my_gru(a_x: Parts, a_h: Parts, state: Any) -> Any:
    r = torch.sigmoid(a_x[0] + a_h[0])
    z = torch.sigmoid(a_x[1] + a_h[1])
    n = torch.tanh(a_x[2] + r * a_h[2])
    return {"h": (1 - z) * n + z * state.h}


@tt.cell(
    gates=4,
    state=("h", "c"),
    product_bias=False,
    parameters={
        "gain_x": PerUnit(4, 1.0),
        "gain_h": PerUnit(4, 1.0),
        "shift": PerUnit(4, 0.0),
        "gain_c": PerUnit(init=1.0),
        "bias_c": PerUnit(init=0.0),
    },
)
def my_layer_norm_lstm(
    a_x: Parts,
    a_h: Parts,
    state: Any,
    gain_x: Parts,
    gain_h: Parts,
    shift: Parts,
    gain_c: torch.Tensor,
    bias_c: torch.Tensor,
) -> Any:
    a_x, a_h = row_norm(*a_x), row_norm(*a_h)
    i, f, g, o = (a_x[k] * gain_x[k] + a_h[k] * gain_h[k] + shift[k] for k in range(4))
    c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
    return {
        "h": torch.sigmoid(o) * torch.tanh(row_norm(c)[0] * gain_c + bias_c),
        "c": c,
    }


OWN = {
    "LSTM": (my_lstm, tt.cells.LSTM),
    "LSTM in another order": (my_other_lstm, tt.cells.LSTM),
    "GRU": (my_gru, tt.cells.GRU),
    "LSTM with layer norm": (my_layer_norm_lstm, tt.cells.LayerNormLSTM),
}
# Our name -> the name in torchrecurrent.
PUBLISHED = {
    "peephole_lstm": "PeepholeLSTM",
    "mgu": "MGU",
    "indrnn": "IndRNN",
    "janet": "JANET",
}


def rows(budget: float) -> Iterator[Row]:
    """Own definitions against the built-in cells and loops."""
    first = first_call()
    for name, (own, built_in) in OWN.items():
        for shape in DENSE:
            row = own_row(name, own, built_in, shape, budget)
            yield row | {"first_call_seconds": first}


# Prints what the first training step of a new cell takes more than that of a second
# layer of the same kind, in a process in which another cell has run before.
FIRST = """
import time, torch, throughtime as tt
from own_cells import my_layer_norm_lstm
def step(cell):
    began = time.perf_counter()
    layer = tt.Recurrent(cell(64, 64))
    layer(torch.ones(64, 1, 64))[0].sum().backward()
    return time.perf_counter() - began
step(tt.cells.Elman)
print(step(my_layer_norm_lstm) - step(my_layer_norm_lstm))
"""


def first_call() -> float:
    """Seconds that a new cell adds to a process."""
    folder = Path(__file__).parent
    command = [sys.executable, "-c", FIRST]
    return float(subprocess.check_output(command, cwd=folder, text=True))


def own_row(name: str, own: Any, built_in: Any, shape: Shape, budget: float) -> Row:
    x, upstream = random_input(shape)
    sizes = shape[2:]
    layer = tt.Recurrent(own(*sizes))
    theirs = tt.Recurrent(built_in(*sizes))
    by_hand = cell_loop(own(*sizes))
    found = interleaved(
        {
            "training": training(layer, x, upstream),
            "built-in training": training(theirs, x, upstream),
            "forward": forward(layer, x),
            "built-in forward": forward(theirs, x),
        },
        budget,
    )
    found |= interleaved({"loop training": training(by_hand, x, upstream)}, budget)
    return {
        "cell": name,
        "shape": shape,
        "backend": layer.backend_used,
        "milliseconds": found,
        "over_built_in": found["training"] / found["built-in training"],
        "ratio_to_loop": found["loop training"] / found["training"],
    }


def published(budget: float) -> Iterator[Row]:
    """Training steps against the package torchrecurrent, with its own layers."""
    theirs = importlib.import_module("torchrecurrent")
    for name, their_name in PUBLISHED.items():
        for shape in DENSE:
            x, upstream = random_input(shape)
            ours = tt.Recurrent(tt.cells.build_cell(name, *shape[2:]))
            other = getattr(theirs, their_name)(*shape[2:])
            runs = {"ours": training(ours, x, upstream)}
            runs["theirs"] = training(other, x, upstream)
            found = interleaved(runs, budget)
            yield {
                "cell": name,
                "shape": shape,
                "milliseconds": found,
                "ratio": found["theirs"] / found["ours"],
            }
