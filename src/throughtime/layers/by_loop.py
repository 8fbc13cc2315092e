"""The gradients of a layer by differentiating the plain loop.

What the compiled core has no rule for, second derivatives above all, comes from here.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import Cell
from throughtime.kernels import Inputs
from throughtime.layers.loop import Noise, loop
from throughtime.layers.lowering import cell_of
from throughtime.layers.packed import pack_rows, pad_rows


def named(*values: Any) -> Inputs:
    """An operator's arguments under their names."""
    return Inputs(*values[: len(Inputs._fields)])


def alias(tensor: Tensor) -> Tensor:
    """The same numbers as a new point of the graph that takes gradients.

    None of several aliases depends on another one, as the tensors themselves may.
    """
    if not tensor.is_floating_point():
        return tensor
    if not tensor.requires_grad:
        return tensor.detach().requires_grad_()
    return tensor.view_as(tensor)


def gradients(
    tensors: Sequence[Tensor | None],
    grads: Sequence[Tensor | None],
    wanted: Sequence[bool],
    rest: Sequence[Any],
    *,
    create_graph: bool,
) -> list[Tensor]:
    """The gradients of ``recurrence_backward``, by differentiating the plain loop."""
    with torch.enable_grad():
        tensors = [None if t is None else alias(t) for t in tensors]
        inputs = named(*tensors, *rest)
        # int: under torch.compile sizes may be symbols.
        sizes = int(inputs.weight_ih.size(1)), int(inputs.hidden_size)
        cell = cell_of(inputs.cell, *sizes)
        x, packed, lengths = inputs.x, inputs.packed, inputs.lengths
        if packed is not None and lengths is not None:
            x = pad_rows(x, packed, lengths)
        done = loop(
            cell,
            x,
            _state(cell, inputs.h, inputs.c),
            _weights(cell, inputs),
            initial=None
            if inputs.initial_h is None
            else _state(cell, inputs.initial_h, inputs.initial_c),
            lengths=lengths,
            reset=inputs.reset,
            reverse=inputs.reverse,
            noise=_noise(cell, inputs),
            perturbation=_state(cell, inputs.added_h, inputs.added_c),
            carry_gain=inputs.carry_gain,
            return_states=True,
            return_gates=len(grads) > 4 and grads[4] is not None,
        )
        results = [done.outputs, _beside_h(done.states)]
        results += [done.final_state.h, _beside_h(done.final_state)]
        if packed is not None and lengths is not None:
            grids = (None if r is None else pack_rows(r, lengths) for r in results[:2])
            results[:2] = grids
        pairs = [
            (r, g)
            for r, g in zip(results, grads, strict=False)
            if r is not None and g is not None
        ]
        if done.gates is not None:
            saved = grads[4]
            assert saved is not None
            slots = inputs.program(True).gates
            pairs += [(done.gates[name], saved[:, :, i]) for name, i in slots.items()]
        into = [
            t for t, want in zip(tensors, wanted, strict=True) if want and t is not None
        ]
        found = torch.autograd.grad(
            [r for r, _ in pairs],
            into,
            [g for _, g in pairs],
            create_graph=create_graph,
            allow_unused=True,
            materialize_grads=True,
        )
    return list(found)


def _beside_h(state: Any) -> Tensor | None:
    fields = list(state[1:])
    return torch.cat(fields, -1) if fields else None


def _fields(cell: Cell, c: Tensor | None) -> list[Any]:
    """The fields of the state beside h, None where there are none."""
    count = len(cell.State._fields) - 1
    return [None] * count if c is None else list(c.chunk(count, -1))


def _state(cell: Cell, h: Any, c: Any) -> Any:
    return cell.State(h, *_fields(cell, c))


def _weights(cell: Cell, inputs: Inputs) -> dict[str, Tensor]:
    names = [f"{kind}_{part}" for kind in ("weight", "bias") for part in _PARTS]
    found = {name: getattr(inputs, name) for name in (*names, "weight_hr")}
    row = 0
    for name, extra in cell.parameters_per_unit.items():
        assert inputs.extra is not None
        count = extra.rows or 1
        rows = inputs.extra[row : row + count]
        found[name] = rows if extra.rows else rows[0]
        row += count
    return {name: value for name, value in found.items() if value is not None}


_PARTS = ("ih", "hh", "mh")


def _noise(cell: Cell, inputs: Inputs) -> Noise:
    """Masks and shares by field; where a field has both, the mask holds."""
    fields = cell.State._fields
    hold: dict[str, Tensor | float] = {
        field: share
        for field, share in zip(fields, inputs.share, strict=False)
        if share
    }
    masks = [inputs.hold_h, *_fields(cell, inputs.hold_c)]
    hold |= {f: m for f, m in zip(fields, masks, strict=True) if m is not None}
    return Noise(inputs.mask, hold or None)
