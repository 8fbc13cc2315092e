"""Cells that allow a scan over time: the plain loop, the scan and the compiled core."""

from collections.abc import Iterator

from common import Row, Shape, forward, interleaved, random_input, training

import throughtime as tt

SHAPES: tuple[Shape, ...] = (
    (64, 8, 256, 256),
    (256, 8, 256, 256),
    (1024, 8, 256, 256),
    (4096, 8, 256, 256),
    (1000, 1, 64, 64),
)
BACKENDS = ("loop", "scan", "native")
CELLS = ("min_gru", "min_lstm", "qrnn")


def rows(budget: float) -> Iterator[Row]:
    if not hasattr(tt.cells, "CELLS") or CELLS[0] not in tt.cells.CELLS:
        print("scan skipped: this version has no cell that allows one")
        return
    for name in CELLS:
        for shape in SHAPES:
            yield row(name, shape, budget)


def row(name: str, shape: Shape, budget: float) -> Row:
    x, upstream = random_input(shape)
    runs = {}
    for backend in BACKENDS:
        cell = tt.cells.build_cell(name, *shape[2:])
        layer = tt.Recurrent(cell, backend=backend)
        runs[f"{backend} forward"] = forward(layer, x)
        runs[f"{backend} training"] = training(layer, x, upstream)
    found = interleaved(runs, budget)
    return {
        "cell": name,
        "shape": shape,
        "milliseconds": {
            kind: {backend: found[f"{backend} {kind}"] for backend in BACKENDS}
            for kind in ("forward", "training")
        },
        "scan_ratio_to_loop": found["loop training"] / found["scan training"],
        "native_ratio_to_scan": found["scan training"] / found["native training"],
    }
