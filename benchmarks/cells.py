"""Cells that torch.nn lacks: against the plain cell and a loop over the cell."""

from collections.abc import Iterator

from common import (
    Row,
    Shape,
    cell_loop,
    forward,
    interleaved,
    random_input,
    training,
)

import throughtime as tt

SHAPES: tuple[Shape, ...] = ((35, 20, 200, 200), (100, 32, 256, 256), (64, 1, 64, 64))


def families(inputs: int, hidden: int) -> list[dict[str, tt.cells.Cell]]:
    """Cells by name, the plain one first."""
    lstm, elman = tt.cells.LSTM, tt.cells.Elman
    return [
        {
            "LSTM": lstm(inputs, hidden),
            "LSTM with layer norm": lstm(inputs, hidden, layer_norm=True),
            "LSTM with peepholes": lstm(inputs, hidden, peephole=True),
        },
        {
            "RNN": elman(inputs, hidden),
            "RNN with GELU": elman(inputs, hidden, nonlinearity="gelu"),
        },
    ]


def rows(budget: float) -> Iterator[Row]:
    for shape in SHAPES:
        for family in families(*shape[2:]):
            yield from family_rows(shape, family, budget)


def family_rows(
    shape: Shape, family: dict[str, tt.cells.Cell], budget: float
) -> Iterator[Row]:
    x, upstream = random_input(shape)
    layers = {name: tt.Recurrent(cell) for name, cell in family.items()}
    runs = {}
    for name, layer in layers.items():
        runs[f"{name} forward"] = forward(layer, x)
        runs[f"{name} training"] = training(layer, x, upstream)
    found = interleaved(runs, budget)
    runs = {}
    for name in family:
        by_hand = cell_loop(fresh(layers[name]))
        runs[f"{name} loop forward"] = forward(by_hand, x)
        runs[f"{name} loop training"] = training(by_hand, x, upstream)
    found |= interleaved(runs, budget)
    plain = next(iter(family))
    for name, layer in layers.items():
        yield {
            "cell": name,
            "plain": plain,
            "shape": shape,
            "backend": layer.backend_used,
            "milliseconds": {
                kind: found[f"{name} {kind}"]
                for kind in ("forward", "training", "loop forward", "loop training")
            },
        } | {
            f"{kind}_{against}": value
            for kind in ("forward", "training")
            for against, value in (
                ("over_plain", found[f"{name} {kind}"] / found[f"{plain} {kind}"]),
                (
                    "ratio_to_loop",
                    found[f"{name} loop {kind}"] / found[f"{name} {kind}"],
                ),
            )
        }


def fresh(layer: tt.Recurrent) -> tt.cells.Cell:
    """A cell with parameters of its own; the layer has taken the others."""
    return layer.cells[0].like(
        layer.input_size, reference=layer.weights(0)["weight_ih"]
    )
