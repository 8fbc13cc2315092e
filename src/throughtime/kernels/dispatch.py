"""A layer's passes by whoever runs them: the compiled core, or Triton's kernels."""

from collections.abc import Sequence

from torch import Tensor

from throughtime.kernels import recurrence, triton_recurrence
from throughtime.kernels.recurrence import Inputs, Outputs


def forward(inputs: Inputs, save: bool) -> Outputs:
    """``recurrence.forward`` by whom the inputs name."""
    return (triton_recurrence if inputs.triton else recurrence).forward(inputs, save)


def backward(
    inputs: Inputs,
    outputs: Outputs,
    grads: Outputs | tuple[Tensor | None, ...],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """``recurrence.backward`` by whom the inputs name."""
    by = triton_recurrence if inputs.triton else recurrence
    return by.backward(inputs, outputs, grads, wanted)


def forward_both(pair: Sequence[Inputs], save: bool) -> list[Outputs]:
    """``forward`` of two layers that do not depend on each other."""
    if pair[0].triton:
        return [triton_recurrence.forward(inputs, save) for inputs in pair]
    return recurrence.forward_both(pair, save)


def backward_both(
    pair: Sequence[Inputs],
    outputs: Sequence[Outputs],
    grads: Sequence[Outputs | tuple[Tensor | None, ...]],
    wanted: Sequence[Sequence[bool]],
) -> list[list[Tensor | None]]:
    """``backward`` of two layers that do not depend on each other."""
    if not pair[0].triton:
        return recurrence.backward_both(pair, outputs, grads, wanted)
    each = zip(pair, outputs, grads, wanted, strict=True)
    return [triton_recurrence.backward(*one) for one in each]
