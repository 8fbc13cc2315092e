"""The compiled core with its gradient, past torch's dispatcher.

A call of an operator costs up to 200 µs, which a short layer does not take. What is
differentiated twice, or compiled, takes the operators.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from throughtime import kernels
from throughtime.kernels import Inputs, Outputs
from throughtime.layers.by_loop import named
from throughtime.layers.operators import (
    TENSORS,
    backward_of,
    gradients,
    recurrence,
    wanted_of,
)

_COUNT = len(TENSORS)
# Arguments of ``recurrence``: those of the layer, ``save`` and ``recompute``.
_ARGUMENTS = len(Inputs._fields) + 2


def call(layers: Sequence[Inputs], save: bool, recompute: int) -> list[Outputs]:
    """``recurrence`` of one layer, or of two that do not depend on each other.

    With ``recompute``, steps of a segment or 0, nothing but the inputs and the states
    between segments waits for the gradient.
    """
    values = [(*inputs, save, recompute) for inputs in layers]
    if torch.compiler.is_compiling():
        return [Outputs(*recurrence(*each)) for each in values]
    if not torch.is_grad_enabled():
        return _forward(layers, save)
    flat = _Direct.apply(*(value for each in values for value in each))
    return [Outputs(*flat[i : i + 5]) for i in range(0, len(flat), 5)]


def _forward(layers: Sequence[Inputs], save: bool) -> list[Outputs]:
    if len(layers) == 2:
        return kernels.forward_both(layers, save)
    return [kernels.forward(layer, save) for layer in layers]


class _Direct(torch.autograd.Function):
    """The values of all layers one after the other, and their outputs likewise."""

    @staticmethod
    def forward(ctx: Any, *values: Any) -> tuple[Tensor, ...]:
        each = [values[i : i + _ARGUMENTS] for i in range(0, len(values), _ARGUMENTS)]
        save, recompute = values[-2:]
        layers = [named(*part) for part in each]
        outputs = _forward(layers, save)
        flat = [t for part in outputs for t in part]
        ctx.set_materialize_grads(False)
        tensors = [t for part in each for t in part[:_COUNT]]
        kept = flat
        if recompute:
            pairs = zip(layers, outputs, strict=True)
            kept = [kernels.border_states(*pair, recompute) for pair in pairs]
        ctx.save_for_backward(*tensors, *kept)
        ctx.rests = [(*part[_COUNT:-2], recompute) for part in each]
        return tuple(flat)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        rests = ctx.rests
        count = len(rests)
        kept = ctx.saved_tensors
        tensors = [kept[i * _COUNT : (i + 1) * _COUNT] for i in range(count)]
        flat = kept[count * _COUNT :]
        each = len(flat) // count  # five outputs of a layer, or its border states
        outputs = [flat[i * each : (i + 1) * each] for i in range(count)]
        incoming = [grads[i * 5 : i * 5 + 5] for i in range(count)]
        wanted = [
            wanted_of(part, ctx.needs_input_grad[i * _ARGUMENTS :])
            for i, part in enumerate(tensors)
        ]
        if torch.is_grad_enabled() or any(part[4] is not None for part in incoming):
            parts = zip(tensors, outputs, incoming, wanted, rests, strict=True)
            found = [gradients(*part) for part in parts]
        else:
            layers = [named(*t, *r) for t, r in zip(tensors, rests, strict=True)]
            found = backward_of(layers, outputs, incoming, wanted, rests[0][-1])
        nothing = [None] * (_ARGUMENTS - _COUNT)
        return tuple(g for part in found for g in (*part, *nothing))
