"""How many bytes a training step keeps: measured on two short runs."""

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from throughtime.training.bptt import Loss
from throughtime.training.carried import map_state
from throughtime.training.checkpointed import Model, PartLoss
from throughtime.training.memory import Costs
from throughtime.training.training_state import random_state, set_random_state

# Steps of the two runs; what they keep grows evenly with their number.
SHORT, LONG = 8, 16


def measure_costs(
    model: Model,
    inputs: Tensor,
    targets: Tensor,
    loss: Loss,
    *,
    mask: Tensor | None = None,
    state: Any = None,
) -> Costs:
    """Bytes that a window of these data keeps, for ``plan_memory``.

    Counted is every storage that autograd is handed, once, without inputs, targets and
    the parameters, which exist anyway; and the largest once more, for the gradients on
    their way. Layers with ``recompute`` hand over little, and what they compute again
    in the backward pass is not seen.

    Args:
        model: ``outputs, state = model(inputs, state)``, time first.
        inputs: (T, B, ...); the first steps are run.
        targets: (T, B, ...).
        loss: ``loss(outputs, targets, mask=mask, reduction="sum")``.
        mask: (T, B).
        state: before the first step.

    >>> import throughtime as tt
    >>> x, targets = torch.randn(20, 4, 3), torch.zeros(20, 4, 5)
    >>> measure_costs(torch.nn.RNN(3, 5), x, targets, tt.losses.mse).state
    80
    """

    def part_loss(outputs: Tensor, start: int, stop: int) -> Tensor:
        counted = None if mask is None else mask[start:stop]
        part = targets[start:stop]
        return loss(outputs, part, mask=counted, reduction="sum")

    known = [inputs, targets] + ([] if mask is None else [mask])
    return measure_part_costs(model, inputs, part_loss, state=state, known=known)


def measure_part_costs(
    model: Model,
    inputs: Tensor,
    part_loss: PartLoss,
    *,
    state: Any = None,
    known: list[Tensor] | None = None,
) -> Costs:
    """``measure_costs`` for ``backward_by_blocks``.

    Args:
        model: as there.
        inputs: (T, B, ...); the first steps are run.
        part_loss: as there.
        state: before the first step.
        known: tensors that exist anyway.
    """
    steps = inputs.size(0)
    before, exist = random_state(), [inputs, *(known or [])]
    kept: list[int] = []
    size = 0
    for length in (min(SHORT, steps), min(LONG, steps)):
        bytes_kept, size = _kept(model, inputs[:length], part_loss, state, exist)
        kept.append(bytes_kept)
    set_random_state(before)
    short, long = min(SHORT, steps), min(LONG, steps)
    if long == short:
        return Costs(-(-kept[0] // short), 0, size)
    step = max(0, -(-(kept[1] - kept[0]) // (long - short)))
    return Costs(step, max(0, kept[0] - step * short), size)


@torch.enable_grad()
def _kept(
    model: Model, inputs: Tensor, part_loss: PartLoss, state: Any, known: list[Tensor]
) -> tuple[int, int]:
    """Bytes for the gradient, and of the state after the last step."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.layout is torch.strided:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs, new = model(inputs, state)
        part = part_loss(outputs, 0, inputs.size(0))
    # The graph, and with it what was kept, has lived until here.
    exist = itertools.chain(known, _owned(model), _owned(part_loss))
    for tensor in exist:
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    del part, outputs
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel() * tensor.element_size())
        return tensor

    map_state(note, new)
    largest = max(storages.values(), default=0)
    return sum(storages.values()) + largest, sum(sizes)


def _owned(function: Any) -> list[Tensor]:
    """Parameters and buffers of a module, or of the one a method belongs to."""
    owner = getattr(function, "__self__", function)
    if not isinstance(owner, nn.Module):
        return []
    return [*owner.parameters(), *owner.buffers()]
