"""One step at a time without gradients: microseconds per step."""

from collections.abc import Iterator
from typing import Any

import torch
from common import GATES, Row, Run, interleaved, pair
from torch import nn

import throughtime as tt

SHAPES = ((1, 64, 64), (1, 256, 256), (1, 512, 512), (8, 256, 256))  # B, I, H
STEPS = 100  # per timed run


def rows(budget: float) -> Iterator[Row]:
    if not hasattr(tt.Recurrent, "stream"):
        print("streaming skipped: this version has no Recurrent.stream")
        return
    for layer in GATES:
        for shape in SHAPES:
            yield row(layer, shape, budget)


def row(layer: str, shape: tuple[int, int, int], budget: float) -> Row:
    batch, inputs, hidden = shape
    theirs, ours = pair(layer, inputs, hidden)
    cell = getattr(nn, f"{layer}Cell")(inputs, hidden)
    items = list(torch.randn(STEPS, batch, inputs).unbind(0))
    module: Any = ours
    stream = module.stream(batch_size=batch)

    def whole_layer() -> None:
        state = None
        for item in items:
            _, state = theirs(item[None], state)

    def torch_cell() -> None:
        state = None
        for item in items:
            state = cell(item, state)

    def by_stream() -> None:
        for item in items:
            stream.step(item)

    def without_gradients(run: Run) -> Run:
        def quiet() -> None:
            with torch.no_grad():
                run()

        return quiet

    found = interleaved(
        {
            "torch layer": without_gradients(whole_layer),
            "torch cell": without_gradients(torch_cell),
            "stream": by_stream,
        },
        budget / 2,
    )
    micro = {name: 1e3 * value / STEPS for name, value in found.items()}
    return {
        "layer": layer,
        "shape": shape,
        "microseconds": micro,
        "ratio_to_layer": micro["torch layer"] / micro["stream"],
        "ratio_to_cell": micro["torch cell"] / micro["stream"],
    }
