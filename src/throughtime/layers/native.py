"""When a layer may use the compiled core, and how it calls it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime import kernels
from throughtime.cells import GRU, IRNN, LSTM, NPRNN, Cell, Elman, Leaky
from throughtime.kernels import Inputs, Kind
from throughtime.kernels.recurrence import DTYPES
from throughtime.layers.by_loop import GATES
from throughtime.layers.loop import Noise, Unrolled, valid_mask
from throughtime.layers.operators import call

# Looked up once, so that torch.compile meets a constant.
_CORE = kernels.missing() is None


def kind_of(cell: Cell) -> Kind | None:
    """The core's name for a cell, or None if it has no rule for it.

    >>> kind_of(LSTM(3, 4)).cell, kind_of(GRU(3, 4, reset_after=False)).cell
    ('lstm', 'gru_reset_before')
    """
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
    if "bias_ih" in weights:
        bias = weights["bias_ih"] + weights["bias_hh"]
    else:
        bias = torch.zeros_like(weights["norm_ih"])
    names = ("norm_ih", "norm_hh", "", "norm_c", "norm_c_bias")
    parts = [(weights[n] if n else bias).view(-1, size) for n in names]
    return torch.cat(parts if extra is None else [*parts, extra])


def inputs_of(
    kind: Kind, x: Tensor, state: Sequence[Tensor], weights: Mapping[str, Tensor]
) -> Inputs:
    """A layer's input, state (h, or h and c) and parameters."""
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
    """Whether the core can take these tensors, here and now."""
    if kind is None or not _CORE:
        return False
    first = tensors[0]
    return (
        first.dtype in DTYPES
        and all(t.device.type == "cpu" and t.dtype == first.dtype for t in tensors)
        and not torch.is_autocast_enabled("cpu")
        and not _transformed()
    )


def _transformed() -> bool:
    """Inside torch.func or forward-mode AD, where the operators have no rule."""
    if torch.compiler.is_compiling():
        return False
    return (
        torch._C._functorch.peek_interpreter_stack()  # pyright: ignore[reportAttributeAccessIssue]
        is not None
        or torch.autograd.forward_ad._current_level >= 0
    )


def run(
    cell: Cell,
    kind: Kind,
    x: Tensor,
    state: Any,
    weights: Any,
    *,
    initial: Any,
    lengths: Tensor | None,
    reset: Tensor | None,
    reverse: bool,
    noise: Noise,
    perturbation: Any,
    return_states: bool,
    return_gates: bool,
) -> Unrolled:
    """``loop`` by the core; see there for arguments and result."""
    hold = noise.hold or {}
    masks = {f: v for f, v in hold.items() if isinstance(v, Tensor)}
    shares = {f: float(v) for f, v in hold.items() if not isinstance(v, Tensor)}
    initial = None if reset is None else initial
    inputs = inputs_of(kind, x, state, weights)._replace(
        lengths=lengths,
        reset=reset,
        initial_h=getattr(initial, "h", None),
        initial_c=getattr(initial, "c", None),
        mask=noise.recurrent_mask,
        hold_h=masks.get("h"),
        hold_c=masks.get("c"),
        added_h=getattr(perturbation, "h", None),
        added_c=getattr(perturbation, "c", None),
        share_h=shares.get("h", 0.0),
        share_c=shares.get("c", 0.0),
        reverse=reverse,
    )
    # A gradient will be asked for, or gates are wanted: what the core saves has both.
    save = return_gates or (
        torch.is_grad_enabled()
        and any(isinstance(t, Tensor) and t.requires_grad for t in inputs)
    )
    outputs = call(inputs, kind, save)
    final = cell.State(*([outputs.h, outputs.c] if kind.has_c else [outputs.h]))
    states = gates = None
    if return_states:
        states = [outputs.h_steps, outputs.c_steps] if kind.has_c else [outputs.h_steps]
        if lengths is not None:
            # Steps that do not exist hold the state of the last one that was run.
            valid = valid_mask(lengths, x.size(0)).unsqueeze(-1)
            held = state if reverse else final
            states = [
                torch.where(valid, s, h) for s, h in zip(states, held, strict=True)
            ]
        states = cell.State(*states)
    if return_gates:
        gates = {name: outputs.saved[:, :, i] for name, i in GATES[kind.cell].items()}
        if lengths is not None:
            valid = valid_mask(lengths, x.size(0)).unsqueeze(-1)
            gates = {k: torch.where(valid, g, 0.0) for k, g in gates.items()}
    return Unrolled(outputs.h_steps, final, states, gates)
