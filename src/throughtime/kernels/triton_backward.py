"""The time loop backward with Triton's kernels; the weights' gradients behind it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.kernels.recurrence import Inputs, Outputs
from throughtime.kernels.triton_build import launch
from throughtime.kernels.triton_loop import Loop
from throughtime.kernels.triton_steps import backward_kernels


def backward(
    inputs: Inputs,
    outputs: Outputs,
    grads: Sequence[Tensor | None],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """``recurrence.backward`` from what ``triton_loop.forward`` returned."""
    loop = _Backward(inputs, outputs, grads)
    for t in reversed(loop.order()):
        loop.step(t)
    names = [n for n, want in zip(Inputs._fields, wanted, strict=False) if want]
    found = loop.gradients(names)
    return [found.get(name) for name, _ in zip(Inputs._fields, wanted, strict=False)]


class _Backward(Loop):
    def __init__(
        self, inputs: Inputs, outputs: Outputs, grads: Sequence[Tensor | None]
    ) -> None:
        super().__init__(inputs, True, grads)
        inputs, program, layout = self.inputs, self.program, self.program.layout
        assert program.backward is not None
        steps, batch, size, width = self.steps, self.batch, self.size, self.width
        self.kernels = backward_kernels(program, self.given)
        self.reset = self.entering(inputs.reset, 0)
        self.gain = self.entering(inputs.carry_gain, 1)
        self.h_old = self._old(0, outputs.h_steps)
        products = len(self.definition.inner)
        # By slot and step: gradients of the gates; what entered the products inside.
        self.dz = self.new(steps, batch, layout.slots, size)
        self.mid = self.new(steps, batch, products, size)
        self.each = self.grids() | {
            "h_old": self.h_old,
            "h_new": outputs.h_steps,
            "dz": self.dz,
            "mid": self.mid,
        }
        if inputs.c is not None:
            self.each |= {"c_old": self._old(1, outputs.c_steps)}
            self.each |= {"c_new": outputs.c_steps}
        if outputs.saved.numel():
            self.each["saved"] = outputs.saved
        for number, name in enumerate(("grad_h_steps", "grad_c_steps")):
            grad = self.grads[number]
            if grad is not None:
                self.each[name] = grad
        if inputs.weight_hr is not None:
            self.each["dh_row"] = self.new(steps, batch, width)
            self.each["out"] = self.new(steps, batch, size)
        self.same = self.common(program.backward.spills)
        self.same |= {
            "past": self.work(batch, width),
            "back": self.new(batch, width).zero_(),
            "back_inner": self.new(batch, size),
            "dh": self.new(batch, size),
            "carry": self.work(batch, len(self.definition.fields) - 1, size),
            "sums": self.work(batch, self.definition.rows, size),
        }
        for grid, final, carried in (("h", 2, "past"), ("c", 3, "carry")):
            state, grad = getattr(inputs, grid), self.grads[final]
            if grad is not None:
                self.same[carried].copy_(grad.view_as(self.same[carried]))
            if inputs.reset is not None and state is not None:
                self.same[f"grad_initial_{grid}"] = self.work(*state.shape)
            added = getattr(inputs, f"added_{grid}")
            if added is not None:
                self.each[f"grad_added_{grid}"] = torch.empty_like(added)
        self._order_weights()

    def _old(self, field: int, every: Tensor) -> Tensor:
        """The state that entered each step, (T, B, ...)."""
        inputs = self.inputs
        start = inputs.c if field else inputs.h
        assert start is not None
        if inputs.reverse:
            old = torch.cat((every[1:], start[None]))
            if self.valid is not None:
                later = torch.cat((self.valid[1:], torch.zeros_like(self.valid[:1])))
                old = torch.where(later[..., None], old, start)
        else:
            old = torch.cat((start[None], every[:-1]))
        initial = inputs.initial_c if field else inputs.initial_h
        if inputs.reset is not None and initial is not None:
            old = torch.where(inputs.reset[..., None], initial, old)
        return old

    def _order_weights(self) -> None:
        """Weights of the products, their gates in the order of the slots."""
        inputs, layout, size = self.inputs, self.layout, self.size
        self.w_ih = _ordered(inputs.weight_ih, layout.x_order, size)
        self.w_hh = None
        if inputs.weight_hh is not None:
            self.w_hh = _ordered(inputs.weight_hh, layout.h_order, size)
        self.w_mh = [
            _ordered(weight, order, size)
            for (weight, _), order in zip(
                self.inner_weights(), layout.inner_order, strict=True
            )
        ]

    def slots_of(self, first: int, count: int) -> Tensor:
        """Neighbouring slots of the gates' gradients, (T, B, count H)."""
        return self.dz[:, :, first : first + count].flatten(2)

    # ---- a step

    def step(self, t: int) -> None:
        """From the gradient of the state after step t to that of the one before."""
        layout, inner = self.layout, self.definition.inner
        after = self.after(t)
        here = self.same | {name: grid[t] for name, grid in self.each.items()}
        if self.reset is not None:
            here["reset"] = self.reset[after].view(torch.uint8)
        if self.gain is not None:
            here["gain"] = self.gain[after]
        if self.kernels.outer is not None:
            assert self.inputs.weight_hr is not None
            launch(self.kernels.outer, here, self.width, self.slots)
            torch.mm(here["dh_row"], self.inputs.weight_hr, out=here["dh"])
        for kernel in self.kernels.inside:
            if kernel.product >= 0:
                first = layout.inner[kernel.product]
                gates = inner[kernel.product][1]
                dz = self.dz[t, :, first : first + gates].flatten(1)
                torch.mm(dz, self.w_mh[kernel.product], out=here["back_inner"])
            launch(kernel, here, self.size, self.slots)
        if self.w_hh is not None:
            dz = self.dz[t, :, layout.h : layout.h + len(layout.h_order)].flatten(1)
            torch.mm(dz, self.w_hh, out=here["back"])

    # ---- behind the steps

    def gradients(self, names: Sequence[str]) -> dict[str, Tensor]:
        """The gradients of some of the inputs."""
        found = self._of_states()
        inputs, layout, size = self.inputs, self.layout, self.size
        x = self.slots_of(layout.x, len(layout.x_order))
        if "x" in names:
            found["x"] = x @ self.w_ih
        sides = [("ih", x, self.x, layout.x_order)]
        if inputs.weight_hh is not None:
            h = self.slots_of(layout.h, len(layout.h_order))
            seen = self.h_old if inputs.mask is None else self.h_old * inputs.mask
            sides.append(("hh", h, seen, layout.h_order))
        for part, dz, seen, order in sides:
            if f"weight_{part}" in names:
                grad = _summed(dz, seen)
                found[f"weight_{part}"] = _back(grad, order, size)
            if f"bias_{part}" in names:
                found[f"bias_{part}"] = _back(dz.sum((0, 1)), order, size)
        if inputs.weight_hr is not None and "weight_hr" in names:
            found["weight_hr"] = _summed(self.each["dh_row"], self.each["out"])
        if inputs.weight_mh is not None:
            parts = [
                (self.slots_of(first, gates), self.mid[:, :, k])
                for k, ((_, gates), first) in enumerate(
                    zip(self.definition.inner, layout.inner, strict=True)
                )
            ]
            found["weight_mh"] = torch.cat([_summed(*pair) for pair in parts])
            found["bias_mh"] = torch.cat([dz.sum((0, 1)) for dz, _ in parts])
        if inputs.extra is not None:
            found["extra"] = self.same["sums"].sum(0)
        return {
            name: found[name].view(value.shape).to(value.dtype)
            for name in names
            if (value := getattr(inputs, name)) is not None and name in found
        }

    def _of_states(self) -> dict[str, Tensor]:
        """Gradients of the given state, of the initial one and of what was added."""
        same, inputs = self.same, self.inputs
        begin = self.at(self.order()[0])
        back = same["back"] if inputs.mask is None else same["back"] * inputs.mask
        found = {"h": same["past"] + back}
        if inputs.c is not None:
            found["c"] = same["carry"].flatten(1)
        for grid, d in list(found.items()):
            if self.gain is not None:
                d = d * self.gain[begin, :, None]
            if self.reset is not None:
                border = self.reset[begin, :, None]
                initial = f"grad_initial_{grid}"
                found[f"initial_{grid}"] = same[initial] + d.masked_fill(~border, 0)
                d = d.masked_fill(border, 0)
            found[grid] = d
            if f"grad_added_{grid}" in self.each:
                found[f"added_{grid}"] = self.each[f"grad_added_{grid}"]
        return found


def _ordered(weight: Tensor, order: Sequence[int], size: int) -> Tensor:
    """The gates of a weight in another order."""
    if tuple(order) == tuple(range(len(order))):
        return weight
    gates = weight.split(size)
    return torch.cat([gates[k] for k in order])


def _back(grad: Tensor, order: Sequence[int], size: int) -> Tensor:
    """The gates of a gradient in the order of the weight."""
    places = sorted(range(len(order)), key=order.__getitem__)
    return _ordered(grad, places, size)


def _summed(dz: Tensor, seen: Tensor) -> Tensor:
    """dzᵀ a, summed over steps and sequences."""
    return dz.flatten(0, 1).t() @ seen.flatten(0, 1)
