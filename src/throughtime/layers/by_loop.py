"""The gradients of a layer by differentiating the plain loop.

What the compiled core has no rule for, second derivatives above all, comes from here.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime.cells import GRU, LSTM, Cell, Leaky
from throughtime.kernels import Inputs, Kind
from throughtime.kernels.recurrence import NORM_VECTORS
from throughtime.layers.loop import Noise, loop
from throughtime.layers.packed import pack_rows, pad_rows

# Gates by their name and slot in what the core saves, for cells that save them.
GATES: dict[str, dict[str, int]] = {
    "elman": {},
    "lstm": {"input": 0, "forget": 1, "candidate": 2, "output": 3},
    "gru": {"reset": 1, "update": 2, "candidate": 0},
    "gru_reset_before": {"reset": 1, "update": 2, "candidate": 0},
}


def named(*values: Any) -> tuple[Inputs, Kind]:
    """An operator's arguments under their names."""
    count = len(Inputs._fields)
    return Inputs(*values[:count]), Kind(*values[count : count + len(Kind._fields)])


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
        inputs, kind = named(*tensors, *rest)
        cell = _plain_cell(inputs, kind)
        x, packed, lengths = inputs.x, inputs.packed, inputs.lengths
        if packed is not None and lengths is not None:
            x = pad_rows(x, packed, lengths)
        done = loop(
            cell,
            x,
            _state(cell, inputs.h, inputs.c),
            cell.prepare(_weights(inputs, kind)),
            initial=None
            if inputs.initial_h is None
            else _state(cell, inputs.initial_h, inputs.initial_c),
            lengths=lengths,
            reset=inputs.reset,
            reverse=inputs.reverse,
            noise=_noise(inputs),
            perturbation=_state(cell, inputs.added_h, inputs.added_c),
            carry_gain=inputs.carry_gain,
            return_states=True,
            return_gates=len(grads) > 4 and grads[4] is not None,
        )
        results = [done.outputs, getattr(done.states, "c", None)]
        results += [done.final_state.h, getattr(done.final_state, "c", None)]
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
            pairs += [
                (done.gates[name], saved[:, :, i])
                for name, i in GATES[kind.cell].items()
            ]
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


def _plain_cell(inputs: Inputs, kind: Kind) -> Cell:
    """A cell of this kind without parameters, for the loop."""
    # int: under torch.compile sizes may be symbols.
    sizes = int(inputs.weight_ih.size(1)), int(inputs.hidden_size)
    options: dict[str, Any] = {"device": "meta"}
    if kind.has_c:
        norm = kind.cell == "lstm_layer_norm"
        extra = 0 if inputs.extra is None else int(inputs.extra.size(0))
        hr = inputs.weight_hr
        cell = LSTM(
            *sizes,
            peephole=extra > (NORM_VECTORS if norm else 0),
            layer_norm=norm,
            projection=0 if hr is None else int(hr.size(0)),
            **options,
        )
    elif kind.cell.startswith("gru"):
        cell = GRU(*sizes, reset_after=kind.cell == "gru", **options)
    else:
        name = "prelu" if inputs.extra is not None else kind.activation
        has_alpha = name in ("elu", "leaky_relu")
        cell = Leaky(
            *sizes,
            leak_rate=kind.leak,
            nonlinearity=name,
            alpha=kind.alpha if has_alpha else None,
            **options,
        )
    return cell.description()


def _state(cell: Cell, h: Any, c: Any) -> Any:
    return cell.State(*([h, c] if "c" in cell.state_sizes else [h]))


def _weights(inputs: Inputs, kind: Kind) -> dict[str, Tensor]:
    extra = inputs.extra
    found = {
        "weight_ih": inputs.weight_ih,
        "weight_hh": inputs.weight_hh,
        "bias_ih": inputs.bias_ih,
        "bias_hh": inputs.bias_hh,
        "weight_hr": inputs.weight_hr,
    }
    if kind.cell == "lstm_layer_norm":
        assert extra is not None
        found["norm_ih"], found["norm_hh"] = extra[0:4], extra[4:8]
        found["norm_bias"] = extra[8:12]
        found["norm_c"], found["norm_c_bias"] = extra[12], extra[13]
        extra = extra[NORM_VECTORS:] if extra.size(0) > NORM_VECTORS else None
    found["weight_peephole" if kind.has_c else "alpha"] = extra
    return {name: value for name, value in found.items() if value is not None}


def _noise(inputs: Inputs) -> Noise:
    hold: dict[str, Tensor | float] = {}
    for field, mask, share in (
        ("h", inputs.hold_h, inputs.share_h),
        ("c", inputs.hold_c, inputs.share_c),
    ):
        if mask is not None:
            hold[field] = mask
        elif share:
            hold[field] = share
    return Noise(inputs.mask, hold or None)
