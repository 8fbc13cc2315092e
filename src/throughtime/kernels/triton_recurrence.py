"""``recurrence`` on CUDA: the same functions, with Triton's kernels in a CUDA graph."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from throughtime.kernels import triton_backward, triton_graphs, triton_loop
from throughtime.kernels.recurrence import Inputs, Outputs

_COUNT = Inputs._fields.index("share")  # the tensors come first
_OUTPUTS = len(Outputs._fields)


def forward(inputs: Inputs, save: bool) -> Outputs:
    """All steps forward, see ``recurrence.forward``."""
    rest = _rest(inputs)

    def run(tensors: Sequence[Any]) -> Sequence[Tensor]:
        return triton_loop.forward(Inputs(*tensors, *rest), save)

    name = ("forward", rest, save)
    return Outputs(*triton_graphs.run(name, run, _tensors(inputs)))


def backward(
    inputs: Inputs,
    outputs: Outputs,
    grads: Outputs | tuple[Tensor | None, ...],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients where ``wanted``, see ``recurrence.backward``."""
    rest = _rest(inputs)

    def run(tensors: Sequence[Any]) -> Sequence[Tensor | None]:
        made = Outputs(*tensors[_COUNT : _COUNT + _OUTPUTS])
        given = Inputs(*tensors[:_COUNT], *rest)
        arriving = tensors[_COUNT + _OUTPUTS :]
        return triton_backward.backward(given, made, arriving, wanted)

    name = ("backward", rest, tuple(wanted))
    tensors = (*_tensors(inputs), *outputs, *grads[:4])
    return list(triton_graphs.run(name, run, tensors))


def _tensors(inputs: Inputs) -> tuple[Any, ...]:
    return inputs[:_COUNT]


def _rest(inputs: Inputs) -> tuple[Any, ...]:
    return (tuple(inputs.share), *inputs[_COUNT + 1 :])
