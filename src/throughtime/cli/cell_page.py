"""Everything there is to know of one cell, as plain values."""

import math
import warnings
from inspect import getdoc
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import Cell, cell_options, cell_title, find_cell
from throughtime.layers import Recurrent
from throughtime.layers.native import missing_rule
from throughtime.layers.scan import missing_scan

# Sizes at which the letters of a shape can be told: 1009 is prime.
_I, _H = 1009, 120


def cell_page(name: str) -> dict[str, Any]:
    """The page of the cell called ``name``, a key of ``CELLS`` or ``file.py:MyCell``.

    Raises:
        ThroughtimeError: there is no such cell, or its file cannot be used.

    >>> page = cell_page("gru")
    >>> page["gates"]["input"], page["state"], page["shapes"][0]["shape"]
    (3, {'h': 'H'}, '(3 H, I)')
    """
    kind = find_cell(name)
    cell = kind(_I, _H)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the page says itself why it is slow
        layer = Recurrent(kind(100, 100))
    return {
        "cell": cell_title(name),
        "summary": (getdoc(kind) or "").partition("\n")[0],
        "equation": getattr(kind, "equation", ""),
        "source": kind.source,
        "options": cell_options(name),
        "gates": {
            "input": cell.input_gates,
            "recurrent": cell.recurrent_gates,
            "inner": list(cell.inner),
            "names": list(cell.gate_names),
        },
        "state": {field: _letter(size) for field, size in cell.state_sizes.items()},
        "shapes": [
            {
                "name": weight,
                "shape": _shape(tuple(parameter.shape)),
                "start": _start(cell, weight, parameter.detach()),
            }
            for weight, parameter in cell.named_parameters()
        ],
        "parameters": sum(p.numel() for p in layer.parameters()),
        "backend": layer.backend_used,
        # By path why the cell cannot take it; empty: it can.
        "paths": {"native": missing_rule(cell), "scan": missing_scan(cell), "loop": ""},
    }


def _letter(size: int) -> str:
    """A size in letters.

    >>> [_letter(size) for size in (_I, _H, 4 * _H, 3)]
    ['I', 'H', '4 H', '3']
    """
    if size == _I:
        return "I"
    if size % _H:
        return str(size)
    return "H" if size == _H else f"{size // _H} H"


def _shape(shape: tuple[int, ...]) -> str:
    inside = ", ".join(map(_letter, shape))
    return f"({inside},)" if len(shape) == 1 else f"({inside})"


def _start(cell: Cell, name: str, values: Tensor) -> str:
    """Where a fresh parameter starts, as declared or else as measured."""
    extra = cell.parameters_per_unit.get(name)
    if extra is not None and extra.init is not None:
        how: Any = extra.init
        if not callable(how):
            return f"{how:g}"
        name = getattr(how, "__name__", "_")
        if name.isidentifier() and not name.startswith("_"):
            return name
    first = values.flatten()[0]
    drawn = extra is not None and extra.init is None
    if not drawn and bool((values == first).all()):
        return f"{first:g}"
    if values.dim() == 2 and values.size(0) % values.size(1) == 0:
        blocks = values.chunk(values.size(0) // values.size(1))
        diagonal = torch.eye(values.size(1)) * first
        if all(torch.equal(block, diagonal) for block in blocks):
            return "identity" if first == 1 else f"identity times {first:g}"
    bound = 1 / math.sqrt(_H)
    deviation = float(values.std(correction=0))
    if values.numel() == 1 or (
        float(values.abs().max()) <= bound
        and abs(deviation * math.sqrt(3) / bound - 1) < 0.2
    ):
        return "uniform in ±1/√H"
    return f"drawn; here mean {float(values.mean()):.2g}, deviation {deviation:.2g}"
