"""When a layer may use the compiled core, and how it calls it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime import kernels
from throughtime.cells import GRU, IRNN, LSTM, NPRNN, Cell, Elman, Leaky
from throughtime.errors import InvalidShape
from throughtime.kernels import Inputs, Kind, Outputs
from throughtime.kernels.recurrence import DTYPES
from throughtime.layers.by_loop import GATES
from throughtime.layers.direct import call
from throughtime.layers.loop import Pass, Unrolled, valid_mask

# Looked up once, so that torch.compile meets a constant.
_CORE = kernels.missing() is None
_MATRIX_UNIT = bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
# Numbers of a weight from where on that unit wins: measured.
_LARGE = 1 << 20


def kind_of(cell: Cell) -> Kind | None:
    """The core's name for a cell, or None if it has no rule for it.

    >>> kind_of(LSTM(3, 4)).cell, kind_of(GRU(3, 4, reset_after=False)).cell
    ('lstm', 'gru_reset_before')
    """
    if cell.inner and type(cell) is not GRU:
        return None
    # Exactly these classes: a subclass may have another equation.
    if type(cell) is LSTM:
        return Kind("lstm_layer_norm" if cell.layer_norm else "lstm")
    if type(cell) is GRU:
        return Kind("gru" if cell.reset_after else "gru_reset_before")
    if type(cell) in (Elman, IRNN, NPRNN, Leaky):
        assert isinstance(cell, Elman)
        leak = cell.leak_rate if isinstance(cell, Leaky) else 1.0
        name, alpha = cell.activation.name, cell.activation.alpha
        name = "leaky_relu" if name == "prelu" else name
        return Kind("elman", name, float(leak), float(alpha or 0.0))
    return None


def _extra_of(kind: Kind, weights: Mapping[str, Tensor]) -> Tensor | None:
    """A cell's further parameters as the core reads them, see ``kernels.Inputs``."""
    extra = weights.get("weight_peephole", weights.get("alpha"))
    if kind.cell != "lstm_layer_norm":
        return extra
    size = weights["norm_c"].numel()
    bias = weights.get("norm_bias")
    if bias is None:
        bias = torch.zeros_like(weights["norm_ih"])
    names = ("norm_ih", "norm_hh", "", "norm_c", "norm_c_bias")
    parts = [(weights[n] if n else bias).view(-1, size) for n in names]
    return torch.cat(parts if extra is None else [*parts, extra])


def has_gates(kind: Kind | None) -> bool:
    """Whether the core can return the gates."""
    return kind is not None and kind.cell in GATES


def inputs_of(
    kind: Kind, x: Tensor, state: Sequence[Tensor], weights: Mapping[str, Tensor]
) -> Inputs:
    """A layer's input, state (h, or h and c) and parameters."""
    if kind.cell == "gru_reset_before":
        weights = dict(weights)
        for part in ("weight", "bias") if "bias_hh" in weights else ("weight",):
            both = [weights[f"{part}_hh"], weights[f"{part}_mh"]]
            weights[f"{part}_hh"] = torch.cat(both)
    norm = kind.cell == "lstm_layer_norm"  # adds the biases itself
    return Inputs(
        x,
        weights["weight_ih"],
        weights["weight_hh"],
        state[0],
        state[1] if kind.has_c else None,
        None if norm else weights.get("bias_ih"),
        None if norm else weights.get("bias_hh"),
        weights.get("weight_hr"),
        _extra_of(kind, weights),
    )


def usable(kind: Kind | None, tensors: Sequence[Tensor]) -> bool:
    """Whether the core can take these tensors, here and now.

    bfloat16 is for inference: where gradients are on, the loop runs. It also runs where
    torch multiplies large matrices of bfloat16 by instructions made for it, and faster.
    """
    if kind is None or not _CORE:
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


def run(passes: Sequence[Pass], recompute: bool) -> list[Unrolled]:
    """``loop`` of one pass or of two that do not depend on each other, by the core."""
    layers = [(_inputs(one), _known(kind_of(one.cell))) for one in passes]
    # A gradient will be asked for, or gates are wanted: what the core saves has both.
    save = passes[0].options["return_gates"] or (
        torch.is_grad_enabled()
        and not recompute
        and any(
            isinstance(t, Tensor) and t.requires_grad
            for inputs, _ in layers
            for t in inputs
        )
    )
    if passes[0].x.dtype == torch.bfloat16:
        wide = [(converted(inputs, torch.float32), kind) for inputs, kind in layers]
        outputs = [converted(o, torch.bfloat16) for o in call(wide, save, recompute)]
    else:
        outputs = call(layers, save, recompute)
    return [_unrolled(*pair) for pair in zip(passes, outputs, strict=True)]


def converted(fields: Any, dtype: torch.dtype) -> Any:
    """The same inputs or outputs, the numbers in ``dtype``."""
    floats = {
        name: value.to(dtype)
        for name, value in fields._asdict().items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    return fields._replace(**floats)


def _known(kind: Kind | None) -> Kind:
    assert kind is not None  # unroll asked before
    return kind


def _inputs(one: Pass) -> Inputs:
    _, x, state, weights, options = one
    noise, reset = options["noise"], options["reset"]
    initial = None if reset is None else options["initial"]
    perturbation = options["perturbation"]
    hold = noise.hold or {}
    # Parameters may have been replaced since; the core would read past their end.
    shapes = one.cell.parameter_shapes() if type(one.cell) is not GRU else {}
    for name, shape in shapes.items():
        if weights[name].shape != shape:
            raise InvalidShape(
                f"{name} of {one.cell!r} must have shape {tuple(shape)}, "
                f"got {tuple(weights[name].shape)}"
            )
    masks = {f: v for f, v in hold.items() if isinstance(v, Tensor)}
    shares = {f: float(v) for f, v in hold.items() if not isinstance(v, Tensor)}
    return inputs_of(_known(kind_of(one.cell)), x, state, weights)._replace(
        lengths=options["lengths"],
        reset=reset,
        initial_h=getattr(initial, "h", None),
        initial_c=getattr(initial, "c", None),
        mask=noise.recurrent_mask,
        hold_h=masks.get("h"),
        hold_c=masks.get("c"),
        added_h=getattr(perturbation, "h", None),
        added_c=getattr(perturbation, "c", None),
        carry_gain=options["carry_gain"],
        packed=options.get("packed"),
        share_h=shares.get("h", 0.0),
        share_c=shares.get("c", 0.0),
        reverse=options["reverse"],
    )


def _unrolled(one: Pass, outputs: Outputs) -> Unrolled:
    cell, x, lengths = one.cell, one.x, one.options["lengths"]
    kind = _known(kind_of(cell))
    final = cell.State(*([outputs.h, outputs.c] if kind.has_c else [outputs.h]))
    states = gates = None
    if one.options["return_states"]:
        states = [outputs.h_steps, outputs.c_steps] if kind.has_c else [outputs.h_steps]
        if lengths is not None:
            # Steps that do not exist hold the state of the last one that was run.
            valid = valid_mask(lengths, x.size(0)).unsqueeze(-1)
            held = one.state if one.options["reverse"] else final
            states = [
                torch.where(valid, s, h) for s, h in zip(states, held, strict=True)
            ]
        states = cell.State(*states)
    if one.options["return_gates"]:
        gates = {name: outputs.saved[:, :, i] for name, i in GATES[kind.cell].items()}
        if lengths is not None:
            valid = valid_mask(lengths, x.size(0)).unsqueeze(-1)
            gates = {k: torch.where(valid, g, 0.0) for k, g in gates.items()}
    return Unrolled(outputs.h_steps, final, states, gates)
