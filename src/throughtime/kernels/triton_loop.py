"""The time loops of ``recurrence``, forward and backward, with Triton's kernels.

Products are torch's: of the input for all steps at once, of the state step by step, and
of the weights' gradients for all steps again. Between them run the kernels of the step.
All sequences take all steps; one that has ended keeps its state. Reversed, the steps
run from the last to the first, so that a sequence waits until it begins.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.kernels.recurrence import Inputs, Outputs
from throughtime.kernels.triton_build import launch, work_type
from throughtime.kernels.triton_steps import Given, forward_kernels


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
            share=tuple(inputs.share) if any(inputs.share) else (),
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


def forward(inputs: Inputs, save: bool) -> Outputs:
    """``recurrence.forward``, step by step."""
    loop = _Forward(inputs, save)
    for t in loop.order():
        loop.step(t)
    return loop.outputs()


class _Forward(Loop):
    def __init__(self, inputs: Inputs, save: bool) -> None:
        super().__init__(inputs, save)
        inputs, steps, batch, size = self.inputs, self.steps, self.batch, self.size
        self.kernels = forward_kernels(self.program, self.given)
        self.reset = _bytes(self.entering(inputs.reset, 0))
        self.begin, self.end = (-1, 0) if inputs.reverse else (0, -1)
        # The states that enter steps, T + 1 of them, and those that leave them.
        self.states: dict[str, list[Tensor]] = {}
        self.leaving: dict[str, Tensor] = {}
        for grid in ("h", "c"):
            self._state(grid)
        # What the recurrent product sees.
        self.seen = self.states["h"]
        if inputs.mask is not None:
            start = self.seen[self.begin] * inputs.mask
            self.seen = list(self.new(steps + 1, batch, self.width))
            self.seen[self.begin] = start
        kept = self.slots if save or inputs.gates else 0
        self.saved = self.new(*((steps, batch, kept, size) if kept else (0,)))
        self.each = self.grids()
        self.each["x"] = F.linear(self.x, inputs.weight_ih, inputs.bias_ih)
        if kept:
            self.each["saved"] = self.saved
        for grid, leaving in self.leaving.items():
            self.each[f"{grid}_new"] = leaving
        self.inner = [
            (weight, bias, self.new(batch, weight.size(0)))
            for weight, bias in self.inner_weights()
        ]
        self.same = self.common(self.program.forward.spills)
        self.same |= {
            "h": self.new(batch, self.definition.h_gates * size),
            "mid": self.new(batch, len(self.inner), size),
            "out": self.new(batch, size),
            "projected": self.new(batch, self.width),
        }

    def _state(self, grid: str) -> None:
        """Memory for a grid of the state, h or c, at all steps."""
        start, given = getattr(self.inputs, grid), self.given
        if start is None:
            return
        leaving = self.leaving[grid] = self.new(self.steps, *start.shape)
        if self.reset is not None:
            again = getattr(self.inputs, f"initial_{grid}")
            start = torch.where(self.reset[self.begin, :, None] != 0, again, start)
        # A reset comes between two steps; h is 0 where a step does not exist.
        if given.reset or (given.lengths and grid == "h"):
            leaving = self.new(self.steps, *start.shape)
        states = list(leaving)
        states.insert(self.steps if self.inputs.reverse else 0, start)
        self.states[grid] = states

    def step(self, t: int) -> None:
        """From the state that enters step t to the one that leaves it."""
        inputs, at, after = self.inputs, self.at(t), self.after(t)
        here = self.same | {name: grid[t] for name, grid in self.each.items()}
        here["h_entering"] = self.seen[after]
        for grid, states in self.states.items():
            here |= {f"{grid}_old": states[at], f"{grid}_next": states[after]}
        if self.reset is not None:
            here["reset"] = self.reset[after]
        if inputs.weight_hh is not None:
            _product(self.seen[at], inputs.weight_hh, inputs.bias_hh, here["h"])
        for kernel in self.kernels.inside:
            if kernel.product >= 0:
                weight, bias, here["m"] = self.inner[kernel.product]
                _product(here["mid"][:, kernel.product], weight, bias, here["m"])
            launch(kernel, here, self.size, self.slots)
        if self.kernels.outer is not None:
            assert inputs.weight_hr is not None
            _product(here["out"], inputs.weight_hr, None, here["projected"])
            launch(self.kernels.outer, here, self.width, self.slots)

    def outputs(self) -> Outputs:
        """After the last step."""
        nothing = self.new(0)
        final = {grid: states[self.end].clone() for grid, states in self.states.items()}
        return Outputs(
            self.leaving["h"],
            self.leaving.get("c", nothing),
            final["h"],
            final.get("c", nothing.clone()),
            self.saved,
        )


def _product(a: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """``out`` becomes a Wᵀ + b."""
    if bias is None:
        torch.mm(a, weight.t(), out=out)
    else:
        torch.addmm(bias, a, weight.t(), out=out)
