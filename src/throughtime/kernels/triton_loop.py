"""The time loops of ``recurrence``, forward and backward, with Triton's kernels.

Products are torch's: of the input for all steps at once, of the state step by step, and
of the weights' gradients for all steps again. Between them run the kernels of the step.
All sequences take all steps; one that has ended keeps its state. Reversed, the steps
run from the last to the first, so that a sequence waits until it begins.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.kernels.recurrence import Inputs, Outputs
from throughtime.kernels.triton_build import launch, work_type
from throughtime.kernels.triton_steps import Given, backward_kernels, forward_kernels


class Loop:
    """What both passes know of a layer.

    Grids have a time first; ``at(t)`` is where the state that enters step t lies among
    T + 1 states, and ``after(t)`` the one that it leaves.
    """

    def __init__(
        self, inputs: Inputs, save: bool, grads: Sequence[Tensor | None] = (None,) * 4
    ) -> None:
        assert inputs.packed is None  # layers pad before
        self.inputs = inputs = inputs._replace(
            **{
                name: value.resolve_neg().contiguous()
                for name, value in inputs._asdict().items()
                if isinstance(value, Tensor)
            }
        )
        self.program = inputs.program(save)
        self.layout, self.definition = self.program.layout, self.program.definition
        self.steps, self.batch = inputs.x.shape[:2]
        self.size, self.width = inputs.hidden_size, inputs.h.size(1)
        self.slots = self.program.slots(self.size)
        self.grads = [None if g is None else g.contiguous() for g in grads]
        self.valid = self._valid()
        x = inputs.x
        self.x = x if self.valid is None else x.masked_fill(~self.valid[..., None], 0)
        self.given = Given(
            lengths=inputs.lengths is not None,
            reset=inputs.reset is not None,
            mask=inputs.mask is not None,
            hold_h=inputs.hold_h is not None,
            hold_c=inputs.hold_c is not None,
            added_h=inputs.added_h is not None,
            added_c=inputs.added_c is not None,
            carry_gain=inputs.carry_gain is not None,
            share=tuple(inputs.share),
            grad_h=self.grads[0] is not None,
            grad_c=self.grads[1] is not None,
        )

    # ---- time

    def order(self) -> Sequence[int]:
        """The steps as they are run."""
        steps = range(self.steps)
        return steps[::-1] if self.inputs.reverse else steps

    def at(self, t: int) -> int:
        """Where the state that enters step t lies."""
        return t + 1 if self.inputs.reverse else t

    def after(self, t: int) -> int:
        """Where the state that leaves step t lies."""
        return t if self.inputs.reverse else t + 1

    def _valid(self) -> Tensor | None:
        lengths = self.inputs.lengths
        if lengths is None:
            return None
        return torch.arange(self.steps, device=lengths.device)[:, None] < lengths

    def entering(self, grid: Tensor | None, otherwise: float) -> Tensor | None:
        """(T + 1, B): at each state what ``grid`` says of the step that it enters."""
        if grid is None:
            return None
        if self.valid is not None:
            grid = grid.masked_fill(~self.valid, otherwise)
        nothing = torch.full_like(grid[:1], otherwise)
        pair = (nothing, grid) if self.inputs.reverse else (grid, nothing)
        return torch.cat(pair)

    # ---- tensors

    def new(self, *shape: int) -> Tensor:
        """Uninitialised, of the type of the inputs."""
        return self.x.new_empty(shape)

    def work(self, *shape: int) -> Tensor:
        """Zeros of the type of the arithmetic."""
        return self.x.new_zeros(shape, dtype=work_type(self.x.dtype))

    def common(self, spills: int) -> dict[str, Tensor]:
        """What the kernels of every step read."""
        inputs = self.inputs
        found: dict[str, Tensor | None] = {
            "like": inputs.h,
            "param": inputs.extra,
            "mask": inputs.mask,
            "initial_h": inputs.initial_h,
            "initial_c": inputs.initial_c,
            "spill": self.work(self.batch, spills, self.size),
            "moments": self.work(self.batch, self.program.rows, 2),
        }
        return {name: value for name, value in found.items() if value is not None}

    def grids(self) -> dict[str, Tensor]:
        """What the kernels of step t read at t."""
        found: dict[str, Tensor | None] = {
            "valid": _bytes(self.valid),
            "hold_h": _bytes(self.inputs.hold_h),
            "hold_c": _bytes(self.inputs.hold_c),
            "added_h": self.inputs.added_h,
            "added_c": self.inputs.added_c,
        }
        return {name: value for name, value in found.items() if value is not None}

    def run(self, kernel: Any, tensors: dict[str, Tensor]) -> None:
        """One kernel of H units."""
        launch(kernel, tensors, self.size, self.slots)

    def inner_weights(self) -> list[tuple[Tensor, Tensor | None]]:
        """Weight and bias of each product inside the step."""
        weight, bias = self.inputs.weight_mh, self.inputs.bias_mh
        found: list[tuple[Tensor, Tensor | None]] = []
        first = 0
        for _, gates in self.definition.inner:
            assert weight is not None
            rows = slice(first * self.size, (first + gates) * self.size)
            found.append((weight[rows], None if bias is None else bias[rows]))
            first += gates
        return found


def _bytes(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else mask.view(torch.uint8)


def product(a: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """``out`` becomes a Wᵀ + b."""
    if bias is None:
        torch.mm(a, weight.t(), out=out)
    else:
        torch.addmm(bias, a, weight.t(), out=out)


def forward(inputs: Inputs, save: bool) -> Outputs:
    """``recurrence.forward``, step by step."""
    loop = Loop(inputs, save)
    inputs, definition, given = loop.inputs, loop.definition, loop.given
    kernels = forward_kernels(loop.program, given)
    steps, batch, size, width = loop.steps, loop.batch, loop.size, loop.width
    kept = loop.slots if save or inputs.gates else 0
    reset = _bytes(loop.entering(inputs.reset, 0))
    # The states that enter steps, and those that leave them where they differ.
    states = {"h": loop.new(steps + 1, batch, width)}
    if inputs.c is not None:
        states["c"] = loop.new(steps + 1, batch, inputs.c.size(1))
    leaving: dict[str, Tensor] = {}
    begin, end = (-1, 0) if inputs.reverse else (0, -1)
    for grid, field in states.items():
        start = getattr(inputs, grid)
        if reset is not None:
            start = torch.where(
                reset[begin, :, None] != 0, getattr(inputs, f"initial_{grid}"), start
            )
        field[begin] = start
        if reset is not None or (given.lengths and grid == "h"):
            leaving[grid] = loop.new(steps, *field.shape[1:])
        else:
            leaving[grid] = field[:-1] if inputs.reverse else field[1:]
    entering = states["h"]
    if inputs.mask is not None:
        entering = loop.new(*entering.shape)
        entering[begin] = states["h"][begin] * inputs.mask
    a_x = F.linear(loop.x, inputs.weight_ih, inputs.bias_ih)
    saved = loop.new(*((steps, batch, kept, size) if kept else (0,)))
    a_h = loop.new(batch, definition.h_gates * size)
    mid = loop.new(batch, len(definition.inner), size)
    inner = [
        (w, b, loop.new(batch, w.size(0))) for w, b in loop.inner_weights()
    ]
    common = loop.common(loop.program.forward.spills)
    common |= {"h": a_h, "mid": mid, "out": loop.new(batch, size)}
    common["projected"] = loop.new(batch, width)
    grids = loop.grids()
    for t in loop.order():
        at, after = loop.at(t), loop.after(t)
        here = common | {name: grid[t] for name, grid in grids.items()}
        here["x"] = a_x[t]
        here["h_entering"] = entering[after]
        for grid, field in states.items():
            here |= {f"{grid}_old": field[at], f"{grid}_next": field[after]}
            here[f"{grid}_new"] = leaving[grid][t]
        if kept:
            here["saved"] = saved[t]
        if reset is not None:
            here["reset"] = reset[after]
        if definition.h_gates:
            assert inputs.weight_hh is not None
            product(entering[at], inputs.weight_hh, inputs.bias_hh, a_h)
        for kernel in kernels.inside:
            if kernel.product >= 0:
                weight, bias, made = inner[kernel.product]
                product(mid[:, kernel.product], weight, bias, made)
                here["m"] = made
            loop.run(kernel, here)
        if kernels.outer is not None:
            assert inputs.weight_hr is not None
            product(here["out"], inputs.weight_hr, None, here["projected"])
            launch(kernels.outer, here, width, loop.slots)
    nothing = loop.new(0)
    return Outputs(
        leaving["h"],
        leaving.get("c", nothing),
        states["h"][end].clone(),
        states["c"][end].clone() if "c" in states else nothing,
        saved,
    )
