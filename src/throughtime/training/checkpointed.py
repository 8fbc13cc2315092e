"""Backpropagation through time that runs steps forward again instead of keeping them.

The steps are cut into blocks. A first run without graph stores the carried state before
some of the blocks. Then, from the last block to the first, each is run again from the
nearest stored state, now with its graph, and the gradient of the state that leaves it
flows in from the block after it. The sum over all blocks is the gradient of plain
backpropagation through all steps; only the order of additions differs.

A model that draws random numbers draws the same ones again. It draws them block by
block: masks that it holds for a whole call, such as variational dropout, are held for
one block.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.errors import InvalidShape, unknown_name
from throughtime.training.bptt import Loss, Window
from throughtime.training.carried import detach_state, map_state
from throughtime.training.memory import MemoryPlan, first_part
from throughtime.training.training_state import random_state, set_random_state

Model = Callable[..., tuple[Tensor, Any]]
# Of the outputs of steps start..stop: their part of the loss; None: they have none.
PartLoss = Callable[[Tensor, int, int], Tensor | None]


def checkpointed_backward(
    model: Model,
    inputs: Tensor,
    targets: Tensor,
    state: Any,
    window: Window,
    loss: Loss,
    mask: Tensor | None,
    plan: MemoryPlan,
    *,
    reduction: str = "mean",
    weight: float = 1.0,
) -> tuple[Tensor, Any]:
    """``window_loss`` and its backward pass, by a plan.

    Gradients are added to ``.grad`` of the parameters of model and loss.

    Args:
        model: ``outputs, state = model(inputs, state)``, time first.
        inputs: all steps, (T, B, ...).
        targets: all steps, (T, B, ...).
        state: carried state at ``window.start``; None at the beginning. Tensors in it
            that require a gradient get it.
        window: the steps to run.
        loss: ``loss(outputs, targets, mask=mask, reduction="sum")``, one number.
        mask: True where a target counts, (T, B); None: everywhere.
        plan: for the steps of the window.
        reduction: ``mean`` over the targets of the window that count, or ``sum``.
        weight: multiplies value and gradient.

    Returns:
        The loss of steps loss_start..stop, without a graph, and the detached state that
        starts the next window.

    Raises:
        InvalidShape: the plan is for another number of steps.
        InvalidType: the model's state is not made of tensors, see ``carried``.
        InvalidValue: unknown reduction.

    >>> import throughtime as tt
    >>> from throughtime.training.memory import plan_memory
    >>> layer, x = torch.nn.RNN(2, 3), torch.randn(8, 1, 2)
    >>> value, state = checkpointed_backward(
    ...     layer, x, torch.zeros(8, 1, 3), None, Window(0, 8, 0, 8), tt.losses.mse,
    ...     None, plan_memory(8))
    >>> layer.weight_hh_l0.grad.shape, state.shape
    (torch.Size([3, 3]), torch.Size([1, 1, 3]))
    """
    if reduction not in ("mean", "sum"):
        raise unknown_name("reduction", reduction, ("mean", "sum"))
    share = weight
    if reduction == "mean":
        share /= max(1, _count(targets, mask, window))
    first = window.start

    def part_loss(outputs: Tensor, start: int, stop: int) -> Tensor | None:
        begin, end = max(first + start, window.loss_start), first + stop
        if begin >= end:
            return None
        counted = None if mask is None else mask[begin:end]
        part = outputs[begin - first - start :]
        return share * loss(part, targets[begin:end], mask=counted, reduction="sum")

    steps = inputs[first : window.stop]
    carry = window.carry - first
    return backward_by_blocks(model, steps, state, part_loss, plan, carry=carry)


def _count(targets: Tensor, mask: Tensor | None, window: Window) -> float:
    counted = targets[window.loss_start : window.stop]
    if mask is None:
        return counted.numel()
    each = targets.numel() / max(1, mask.numel())
    return each * int(mask[window.loss_start : window.stop].sum())


class _Place(NamedTuple):
    """Where a run can go on from: the state, and that of the random generators."""

    state: Any
    random: Any


def backward_by_blocks(
    model: Model,
    inputs: Tensor,
    state: Any,
    part_loss: PartLoss,
    plan: MemoryPlan,
    *,
    carry: int | None = None,
) -> tuple[Tensor, Any]:
    """Value and gradient of a loss that is a sum of parts, one per block.

    Args:
        model: ``outputs, state = model(inputs, state)``, time first.
        inputs: (T, B, ...); gets a gradient if it requires one.
        state: before the first step; None at the beginning.
        part_loss: ``part_loss(outputs, start, stop)`` of the outputs of these steps:
            their part of the loss, or None. A loss of the last step alone has a part
            where ``stop == T``.
        plan: for T steps.
        carry: return the state before this step; default: after the last. It begins a
            block, which may take some steps forward more than planned.

    Returns:
        The sum of the parts, without a graph, and the detached state.

    Raises:
        InvalidShape: the plan is for another number of steps.
        InvalidType: the model's state is not made of tensors, see ``carried``.

    >>> from throughtime.training.memory import plan_memory
    >>> layer, x = torch.nn.RNN(2, 3), torch.randn(8, 1, 2)
    >>> last = lambda outputs, start, stop: outputs[-1].sum() if stop == 8 else None
    >>> value, state = backward_by_blocks(layer, x, None, last, plan_memory(8))
    >>> value.requires_grad, layer.weight_ih_l0.grad.shape
    (False, torch.Size([3, 2]))
    """
    steps = inputs.size(0)
    if plan.steps != steps:
        raise InvalidShape(
            f"the plan is for {plan.steps} steps, got {steps}; use plan_memory({steps})"
        )
    carry = steps if carry is None else carry
    run = _Run(model, inputs, part_loss, plan, carry)
    before = map_state(lambda tensor: tensor.detach(), state)
    run.all_blocks(_Place(before, random_state()), plan.slots)
    # Of what came in, to wherever it came from.
    pairs = list(zip(_tensors(state), run.arriving, strict=False))
    if inputs.requires_grad:
        pairs.append((inputs, run.input_grad))
    pairs = [(t, g) for t, g in pairs if t.requires_grad and g is not None]
    if pairs:
        torch.autograd.backward([t for t, _ in pairs], [g for _, g in pairs])
    return run.value, run.carried


class _Run:
    """One pass forward and back."""

    def __init__(
        self,
        model: Model,
        inputs: Tensor,
        part_loss: PartLoss,
        plan: MemoryPlan,
        carry: int,
    ) -> None:
        self._model, self._inputs, self._part_loss = model, inputs, part_loss
        self._carry = carry
        self._bounds = sorted({*range(0, plan.steps, plan.block), carry, plan.steps})
        self.value, self.carried = torch.zeros(()), None
        # Gradients of the state after the block that comes next, tensor by tensor.
        self.arriving: list[Tensor | None] = []
        self.input_grad = torch.zeros_like(inputs) if inputs.requires_grad else None

    def all_blocks(self, start: _Place, slots: int) -> None:
        """Forward and back, by the recursion of ``memory``."""
        last = len(self._bounds) - 1
        after = None
        # Blocks to be differentiated, from a stored place on; the last ones first.
        todo = [(start, 0, last, slots)]
        while todo:
            place, begin, end, free = todo.pop()
            if end - begin > 1:
                middle = begin + first_part(end - begin, free)
                ahead = self._forward(place, begin, middle)
                todo += [(place, begin, middle, free), (ahead, middle, end, free - 1)]
                continue
            self._there_and_back(place, begin)
            if after is None:
                after = random_state()  # as a run forward alone would leave it
        set_random_state(after or start.random)

    @torch.no_grad()
    def _forward(self, place: _Place, begin: int, end: int) -> _Place:
        """Run blocks without graph."""
        set_random_state(place.random)
        state = place.state
        for block in range(begin, end):
            start, stop = self._bounds[block : block + 2]
            outputs, state = self._model(self._inputs[start:stop], state)
            del outputs  # before the next ones need room
            state = detach_state(state)
            if stop == self._carry:
                self.carried = state
        return _Place(state, random_state())

    @torch.enable_grad()
    def _there_and_back(self, place: _Place, block: int) -> None:
        """Run one block with its graph, and differentiate it."""
        set_random_state(place.random)
        start, stop = self._bounds[block : block + 2]
        state = map_state(_leaf, place.state)
        x = self._inputs[start:stop]
        if self.input_grad is not None:
            x = x.detach().requires_grad_()
        outputs, new = self._model(x, state)
        if stop == self._carry and self.carried is None:
            self.carried = detach_state(new)
        part = self._part_loss(outputs, start, stop)
        del outputs
        roots: list[Tensor] = []
        grads: list[Tensor | None] = []
        if part is not None:
            self.value = self.value + part.detach()
            roots, grads = [part], [None]
        for tensor, grad in zip(_tensors(new), self.arriving, strict=False):
            if grad is not None:
                roots.append(tensor)
                grads.append(grad)
        pairs = [p for p in zip(roots, grads, strict=True) if p[0].requires_grad]
        if pairs:
            torch.autograd.backward([r for r, _ in pairs], [g for _, g in pairs])
        self.arriving = [tensor.grad for tensor in _tensors(state)]
        if self.input_grad is not None and x.grad is not None:
            self.input_grad[start:stop] = x.grad


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.is_floating_point())


def _tensors(state: Any) -> list[Tensor]:
    """The tensors of a state, always in the same order."""
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_state(note, state)
    return found
