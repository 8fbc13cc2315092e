"""Apply a cell over time without a loop over its steps, where the cell allows it.

A cell without a recurrent product, whose new state is an affine function of the old
one, unit by unit (``affine``), is computed for all steps at once: first the factors a_t
and b_t of s_t = a_t s_{t-1} + b_t, which know nothing of the states that are still
sought, then the states by one scan over time (``linear``), field after field.

Reference: Martin and Cundy, "Parallelizing linear recurrent neural nets over sequence
length", arXiv 1709.04057.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.cells import Cell
from throughtime.errors import InvalidValue
from throughtime.layers.affine import Stage, plan_of
from throughtime.layers.evaluate import evaluate
from throughtime.layers.linear import carried, linear_recurrence
from throughtime.layers.loop import Noise, Unrolled, valid_mask


def missing_scan(cell: Cell) -> str:
    """Why a cell does not allow a scan; empty if it does.

    >>> from throughtime import cells
    >>> missing_scan(cells.LSTM(3, 4))
    'its recurrent product reads h of the step before'
    """
    return plan_of(cell).reason


def scan(
    cell: Cell,
    x: Tensor,
    state: Any,
    weights: Mapping[str, Tensor],
    *,
    initial: Any = None,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
    reverse: bool = False,
    noise: Noise | None = None,
    perturbation: Any = None,
    carry_gain: Tensor | None = None,
    return_states: bool = False,
    return_gates: bool = False,
) -> Unrolled:
    """Run ``cell`` over the T > 0 steps of ``x``; see ``loop``, which it equals.

    Raises:
        InvalidValue: the cell does not allow a scan.
    """
    reason = missing_scan(cell)
    if reason:
        raise InvalidValue(f"there is no scan over {cell!r}: {reason}")
    noise = Noise() if noise is None else noise
    run = _Run(cell, x, state, weights, lengths, reverse)
    run.noise, run.initial = noise, initial
    if reset is not None:
        run.reset = run.in_time(reset.unsqueeze(-1))
    if carry_gain is not None:
        run.gain = run.gains(carry_gain)
    if perturbation is not None:
        run.added = [None if e is None else run.in_time(e) for e in perturbation]
    plan = plan_of(cell, changed=bool(noise.hold) or perturbation is not None)
    for stage in plan.stages:
        run.solve(stage)
    gates = None
    if return_gates:
        evaluate(plan.gate_operations, run.values, run.leaf, x)
        gates = {
            name: run.output(run.full(run.values[number]))
            for name, number in plan.gates.items()
        }
    # In the order of fields; the plan has one of its own.
    found = [run.states[field] for field in range(len(state))]
    final = cell.State(*(field[-1] for field in found))
    states = cell.State(*map(run.in_time, found)) if return_states else None
    return Unrolled(run.output(found[0]), final, states, gates)


class _Run:
    """One layer in one direction; all of it in the order in which steps are taken."""

    def __init__(
        self,
        cell: Cell,
        x: Tensor,
        start: Any,
        weights: Mapping[str, Any],
        lengths: Tensor | None,
        reverse: bool,
    ) -> None:
        self.cell, self.start, self.weights = cell, start, weights
        self.lengths, self.reverse = lengths, reverse
        self.noise = Noise()
        self.initial: Any = None
        self.reset: Tensor | None = None
        self.gain: Tensor | None = None
        self.added: list[Tensor | None] = [None] * len(start)
        self.values: list[Any] = []
        self.states: dict[int, Tensor] = {}
        self._old: dict[int, Tensor] = {}
        x = self.in_time(x)
        self.valid: Tensor | None = None
        if lengths is not None:
            self.valid = self.in_time(valid_mask(lengths, x.size(0)).unsqueeze(-1))
            x = x.masked_fill(~self.valid, 0.0)
        self._a_x = cell.input_part(x, weights).chunk(cell.input_gates, -1)
        self._shape = self._a_x[0].shape
        # Rows of the parameters per unit, in the order of their leaves.
        self._rows = [
            row
            for name, extra in cell.parameters_per_unit.items()
            for row in (weights[name] if extra.rows else (weights[name],))
        ]

    def in_time(self, value: Tensor) -> Tensor:
        """From the order of steps taken to the order of time, or back."""
        return value.flip(0) if self.reverse else value

    def output(self, value: Tensor) -> Tensor:
        """In the order of time, zero at steps that are not valid."""
        if self.valid is not None:
            value = value.masked_fill(~self.valid, 0.0)
        return self.in_time(value)

    def gains(self, carry_gain: Tensor) -> Tensor:
        """Of every step taken; one where a step is not valid."""
        gain = self.in_time(carry_gain.detach().unsqueeze(-1))
        return gain if self.valid is None else gain.masked_fill(~self.valid, 1.0)

    def full(self, value: Tensor | None) -> Tensor:
        """A value for every step, sequence and unit."""
        if value is None:
            return self._a_x[0].new_zeros(()).expand(self._shape)
        return value.expand(self._shape)

    def leaf(self, name: str, attribute: Any, *args: Tensor) -> Any:
        """What the step reads: see the leaves of ``kernels.expressions``."""
        if name == "x":
            return self._a_x[attribute]
        if name == "param":
            return self._rows[attribute]
        if name == "state":
            return self._old_of(attribute)
        if name == "new":
            return self.states[attribute]
        assert name == "product"
        return self._product(args[0], attribute)

    def _product(self, m: Tensor, number: int) -> tuple[Tensor, ...]:
        """A product inside the step, for all steps at once."""
        mask = self.noise.recurrent_mask
        m = self.full(m) if mask is None else m * mask
        size, gates = self.cell.hidden_size, self.cell.inner
        first = sum(gates[:number]) * size
        rows = slice(first, first + gates[number] * size)
        bias = self.weights.get("bias_mh")
        done = F.linear(
            m, self.weights["weight_mh"][rows], None if bias is None else bias[rows]
        )
        return done.chunk(gates[number], -1)

    def _old_of(self, field: int) -> Tensor:
        """The state that enters each step, of a field that is known."""
        if field not in self._old:
            states = self.states[field]
            old = torch.cat([self.start[field].unsqueeze(0), states[:-1]])
            if self.reset is not None:
                old = torch.where(self.reset, self.initial[field], old)
            self._old[field] = carried(old, self.gain)
        return self._old[field]

    def solve(self, stage: Stage) -> None:
        """Make the states of a field known."""
        evaluate(stage.operations, self.values, self.leaf, self._a_x[0])
        a, b = (
            None if number is None else self.full(self.values[number])
            for number in (stage.slope, stage.rest)
        )
        field = stage.field
        a, b = self._held(field, a, b)
        added = self.added[field]
        if added is not None:
            b = added if b is None else b + added
        b = self.full(b)
        self.states[field] = (
            self._frozen(field, b) if a is None else self._scanned(field, a, b)
        )

    def _held(
        self, field: int, a: Tensor | None, b: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Zoneout: a s + b where a unit keeps a share of its old value, or all."""
        hold = (self.noise.hold or {}).get(self.cell.State._fields[field])
        if hold is None:
            return a, b
        if isinstance(hold, Tensor):
            hold = self.in_time(hold)
            a = hold.to(self._a_x[0].dtype) if a is None else torch.where(hold, 1.0, a)
            return a, None if b is None else torch.where(hold, 0.0, b)
        kept = self.full(self._a_x[0].new_full((), hold))
        a = kept if a is None else kept + (1 - hold) * a
        return a, None if b is None else (1 - hold) * b

    def _frozen(self, field: int, new: Tensor) -> Tensor:
        """States that do not depend on the state before; beyond a length the last."""
        if self.valid is None or self.lengths is None:
            return new
        kept = self.start[field]
        if not self.reverse:
            last = (self.lengths - 1).clamp(min=0).view(1, -1, 1)
            final = new.gather(0, last.expand(1, *self._shape[1:])).squeeze(0)
            kept = torch.where(self.lengths.unsqueeze(-1) > 0, final, kept)
        return torch.where(self.valid, new, kept)

    def _scanned(self, field: int, a: Tensor, b: Tensor) -> Tensor:
        """s_t = a_t s_{t-1} + b_t from the initial state, with resets and lengths."""
        gain = self.gain
        if self.reset is not None:
            fresh = carried(self.initial[field].expand(self._shape), gain)
            b = b + torch.where(self.reset, a * fresh, 0.0)
            a = torch.where(self.reset, 0.0, a)
        if self.valid is not None:
            b = torch.where(self.valid, b, 0.0)
            a = torch.where(self.valid, a, 1.0)
        start = self.start[field].to(b.dtype)
        return linear_recurrence(a.to(b.dtype), b, start, gain)
