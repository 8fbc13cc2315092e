"""When a layer may use the compiled core, and how it calls it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime import kernels
from throughtime.cells import Cell
from throughtime.errors import InvalidShape
from throughtime.kernels import Inputs, Outputs
from throughtime.kernels.recurrence import DTYPES
from throughtime.kernels.segments import steps_of
from throughtime.layers.direct import call
from throughtime.layers.loop import Pass, Unrolled, valid_mask
from throughtime.layers.lowering import lowered
from throughtime.layers.segments import segment_steps

# Looked up once, so that torch.compile meets a constant.
_CORE = kernels.missing() is None
_MATRIX_UNIT = bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
# Numbers of a weight from where on that unit wins: measured.
_LARGE = 1 << 20


def missing_rule(cell: Cell) -> str:
    """Why the kernels have no form of a cell's step; empty if they have one.

    >>> from throughtime import cells
    >>> missing_rule(cells.LSTM(3, 4, peephole=True))
    ''
    """
    return lowered(cell).reason


def inputs_of(
    cell: Cell, x: Tensor, state: Sequence[Tensor], weights: Mapping[str, Tensor]
) -> Inputs:
    """A layer's input, state (its fields) and prepared parameters."""
    return Inputs(
        x,
        weights["weight_ih"],
        state[0],
        joined(state[1:]),
        weights.get("weight_hh"),
        weights.get("weight_mh"),
        weights.get("bias_ih"),
        weights.get("bias_hh"),
        weights.get("bias_mh"),
        weights.get("weight_hr"),
        _extra_of(cell, weights),
        cell=lowered(cell).key,
    )


def _extra_of(cell: Cell, weights: Mapping[str, Tensor]) -> Tensor | None:
    """The parameters per unit, (n, H)."""
    names, size = cell.parameters_per_unit, cell.hidden_size
    parts = [
        weights[name].expand(size).view(1, size)
        if weights[name].dim() < 2
        else weights[name]
        for name in names
    ]
    if len(parts) < 2:
        return parts[0] if parts else None
    return torch.cat(parts)


def joined(fields: Sequence[Tensor]) -> Tensor | None:
    """Fields of a state next to each other."""
    if len(fields) < 2:
        return fields[0] if fields else None
    return torch.cat(list(fields), -1)


def usable(cell: Cell, tensors: Sequence[Tensor]) -> bool:
    """Whether the core can take these tensors, here and now.

    bfloat16 is for inference: where gradients are on, the loop runs. It also runs where
    torch multiplies large matrices of bfloat16 by instructions made for it, and faster.
    """
    if not _CORE or missing_rule(cell):
        return False
    first = tensors[0]
    large = _MATRIX_UNIT and max(t.numel() for t in tensors[1:] or tensors) > _LARGE
    small = first.dtype == torch.bfloat16 and not torch.is_grad_enabled() and not large
    return (
        (first.dtype in DTYPES or small)
        and all(t.device.type == "cpu" and t.dtype == first.dtype for t in tensors)
        and not transformed()
    )


def transformed() -> bool:
    """Inside torch.func or forward-mode AD, where the operators have no rule."""
    if torch.compiler.is_compiling():
        return False
    return (
        torch._C._functorch.peek_interpreter_stack()  # pyright: ignore[reportAttributeAccessIssue]
        is not None
        or torch.autograd.forward_ad._current_level >= 0
    )


def run(
    passes: Sequence[Pass], recompute: bool | int, *, triton: bool = False
) -> list[Unrolled]:
    """``loop`` of one pass or of two that do not depend on each other.

    By the core, or by Triton's kernels.
    """
    layers = [_inputs(one)._replace(triton=triton) for one in passes]
    # A gradient will be asked for: what the core saves has it.
    trained = torch.is_grad_enabled() and any(
        isinstance(t, Tensor) and t.requires_grad for inputs in layers for t in inputs
    )
    save, segment = trained and not recompute, 0
    if trained and recompute:
        steps = steps_of(layers[0])
        # Gates that are returned take the place of the states between segments.
        segment = steps if layers[0].gates else segment_steps(steps, recompute)
    if passes[0].x.dtype == torch.bfloat16 and not triton:
        wide = [converted(inputs, torch.float32) for inputs in layers]
        outputs = [converted(o, torch.bfloat16) for o in call(wide, save, segment)]
    else:
        outputs = call(layers, save, segment)
    done = zip(passes, layers, outputs, strict=True)
    return [_unrolled(*triple, save) for triple in done]


def converted(fields: Any, dtype: torch.dtype) -> Any:
    """The same inputs or outputs, the numbers in ``dtype``."""
    floats = {
        name: value.to(dtype)
        for name, value in fields._asdict().items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    return fields._replace(**floats)


def _inputs(one: Pass) -> Inputs:
    cell, x, state, weights, options = one
    noise, reset = options["noise"], options["reset"]
    initial = None if reset is None else options["initial"]
    hold = noise.hold or {}
    _check_shapes(cell, weights)
    fields = cell.State._fields
    masks = {f: v for f, v in hold.items() if isinstance(v, Tensor)}
    shares = {f: float(v) for f, v in hold.items() if not isinstance(v, Tensor)}
    added = options["perturbation"]
    added = (
        {}
        if added is None
        else {f: v for f, v in zip(fields, added, strict=True) if v is not None}
    )
    return inputs_of(cell, x, state, weights)._replace(
        lengths=options["lengths"],
        reset=reset,
        initial_h=None if initial is None else initial[0],
        initial_c=None if initial is None else joined(initial[1:]),
        mask=noise.recurrent_mask,
        hold_h=masks.get("h"),
        hold_c=_filled(fields[1:], masks, x, cell),
        added_h=added.get("h"),
        added_c=_filled(fields[1:], added, x, cell),
        carry_gain=options["carry_gain"],
        packed=options.get("packed"),
        share=[shares.get(f, 0.0) for f in fields],
        reverse=options["reverse"],
        gates=options["return_gates"],
    )


def _check_shapes(cell: Cell, weights: Mapping[str, Tensor]) -> None:
    """Parameters may have been replaced since; the core would read past their end."""
    size = cell.hidden_size
    inner = sum(cell.inner) * size
    rows = {
        "ih": cell.input_gates * size,
        "hh": cell.recurrent_gates * size,
        "mh": inner,
    }
    columns = {"ih": cell.input_size, "hh": cell.output_size, "mh": size}
    shapes: dict[str, tuple[int, ...]] = {"weight_hr": (cell.output_size, size)}
    for part, count in rows.items():
        shapes |= {f"weight_{part}": (count, columns[part]), f"bias_{part}": (count,)}
    for name, extra in cell.parameters_per_unit.items():
        shapes[name] = extra.shape(size)
    for name, value in weights.items():
        if name in shapes and tuple(value.shape) != shapes[name]:
            raise InvalidShape(
                f"{name} of {cell!r} must have shape {shapes[name]}, "
                f"got {tuple(value.shape)}"
            )


def _filled(
    fields: Sequence[str], given: Mapping[str, Tensor], x: Tensor, cell: Cell
) -> Tensor | None:
    """The fields beside h next to each other, zeros where one is not given."""
    there = [f for f in fields if f in given]
    if not there:
        return None
    like = given[there[0]]
    parts = [given[f] if f in given else torch.zeros_like(like) for f in fields]
    return joined(parts)


def _unrolled(one: Pass, inputs: Inputs, outputs: Outputs, save: bool) -> Unrolled:
    cell, x, lengths = one.cell, one.x, one.options["lengths"]
    count = len(cell.State._fields) - 1

    def fields(h: Tensor, c: Tensor) -> list[Tensor]:
        return [h, *(c.chunk(count, -1) if count else ())]

    final = cell.State(*fields(outputs.h, outputs.c))
    states = gates = None
    if one.options["return_states"]:
        states = fields(outputs.h_steps, outputs.c_steps)
        if lengths is not None:
            # Steps that do not exist hold the state of the last one that was run.
            valid = valid_mask(lengths, x.size(0)).unsqueeze(-1)
            held = one.state if one.options["reverse"] else final
            states = [
                torch.where(valid, s, h) for s, h in zip(states, held, strict=True)
            ]
        states = cell.State(*states)
    if one.options["return_gates"]:
        slots = inputs.program(save).gates
        gates = {name: outputs.saved[:, :, slot] for name, slot in slots.items()}
        if lengths is not None:
            valid = valid_mask(lengths, x.size(0)).unsqueeze(-1)
            gates = {k: torch.where(valid, g, 0.0) for k, g in gates.items()}
    return Unrolled(outputs.h_steps, final, states, gates)
