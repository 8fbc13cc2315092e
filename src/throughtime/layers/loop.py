"""Apply a cell over time: the `for t` loop, in plain torch.

This is the specification of every recurrent layer: differentiable any number of times,
on any device and type, under ``torch.func`` and ``torch.compile``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime.cells import Cell


class Unrolled(NamedTuple):
    """What comes out of one layer and direction.

    outputs: h_1..h_T, (T, B, H), zero where a step is not valid.
    final_state: the state after the last valid step, (B, H) per field.
    states: every state, (T, B, H) per field, or None if not asked for. Steps that are
        not valid hold the state of the last valid one.
    gates: every gate by name, (T, B, H), or None if not asked for; zero where a step
        is not valid.
    """

    outputs: Tensor
    final_state: Any
    states: Any
    gates: dict[str, Tensor] | None


class Pass(NamedTuple):
    """One cell over one batch in one direction: the arguments of ``loop``."""

    cell: Cell
    x: Tensor
    state: Any
    weights: Mapping[str, Tensor]
    options: Mapping[str, Any]


class Noise(NamedTuple):
    """Random numbers of one layer and direction, drawn before the loop.

    recurrent_mask: multiplies h on its way into the recurrent product, (B, H).
    hold: per state field, True where a unit keeps its old value, (T, B, H), or a number
        z: s_t <- z s_{t-1} + (1 - z) s_t (zoneout in training and in eval mode).
    """

    recurrent_mask: Tensor | None = None
    hold: Mapping[str, Tensor | float] | None = None


def valid_mask(lengths: Tensor, steps: int) -> Tensor:
    """The mask (T, B), True where t < lengths[b].

    >>> valid_mask(torch.tensor([2, 0]), 2)
    tensor([[ True, False],
            [ True, False]])
    """
    return torch.arange(steps, device=lengths.device)[:, None] < lengths


def loop(
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
    """Run ``cell`` over the T steps of ``x``.

    Args:
        cell: the cell; its own parameters are not used.
        x: inputs, (T, B, I).
        state: state before the first step, (B, H) per field.
        weights: the parameters to use, by name.
        initial: state that a reset returns to; needed with ``reset`` only.
        lengths: steps that exist of each sequence, (B,); the others leave the state as
            it is. What ``x`` holds there changes nothing, not even if it is NaN.
        reset: True where the state returns to ``initial`` before the step, (T, B).
        reverse: from the last step to the first.
        noise: dropout and zoneout masks.
        perturbation: added to the state after each step, (T, B, H) per field (a field
            may be None). Its gradient is the total ∂L/∂h_t of every step.
        carry_gain: multiplies the gradient of the state that enters a step, (T, B);
            the states themselves stay as they are.
        return_states: fill ``states``.
        return_gates: fill ``gates``.

    Returns:
        Outputs, final state, and what else was asked for.
    """
    noise = Noise() if noise is None else noise
    steps = x.size(0)
    valid = None if lengths is None else valid_mask(lengths, steps)
    if valid is not None:
        x = x.masked_fill(~valid.unsqueeze(-1), 0.0)
    a_x = cell.input_part(x, weights).unbind(0)
    valid_at = None if valid is None else valid.unsqueeze(-1).unbind(0)
    reset_at = None if reset is None else reset.unsqueeze(-1).unbind(0)
    gain_at = None if carry_gain is None else _gains(carry_gain, valid)
    # unbind, not indexing: the gradient of T indexings is quadratic in T.
    added = None if perturbation is None else _unbind(perturbation)
    states: list[Any] = [None] * steps
    gates: list[Any] = [None] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        old = state
        if reset_at is not None:
            old = _where(reset_at[t], initial, old)
        if gain_at is not None:
            old = _carry(old, gain_at[t])
        new, gates[t] = cell.advance(a_x[t], old, weights, noise.recurrent_mask)
        if noise.hold is not None:
            at = {
                f: s[t] if isinstance(s, Tensor) else s for f, s in noise.hold.items()
            }
            new = hold_state(at, old, new)
        if added is not None:
            new = _add(new, added, t)
        if valid_at is not None:
            new = _where(valid_at[t], new, state)
        states[t] = state = new
    outputs = _stack([s.h for s in states], x, cell.output_size)
    if valid is not None:
        outputs = outputs.masked_fill(~valid.unsqueeze(-1), 0.0)
    gathered = None
    if return_gates:
        names = (gates or [{}])[0]
        gathered = {key: torch.stack([g[key] for g in gates]) for key in names}
        if valid is not None:
            hidden = ~valid.unsqueeze(-1)
            gathered = {k: g.masked_fill(hidden, 0.0) for k, g in gathered.items()}
    every = None
    if return_states:
        every = cell.State(
            *(
                _stack([getattr(s, field) for s in states], x, size)
                for field, size in cell.state_sizes.items()
            )
        )
    return Unrolled(outputs, state, every, gathered)


def _stack(tensors: list[Tensor], x: Tensor, size: int) -> Tensor:
    return torch.stack(tensors) if tensors else x.new_zeros((0, x.size(1), size))


def _where(condition: Tensor, yes: Any, no: Any) -> Any:
    return type(no)(
        *(torch.where(condition, a, b) for a, b in zip(yes, no, strict=True))
    )


def hold_state(hold: Mapping[str, Tensor | float], old: Any, new: Any) -> Any:
    """Zoneout of one step: masks (B, H), or the shares of the old state, by field."""
    held: dict[str, Tensor] = {}
    for field, share in hold.items():
        before, after = getattr(old, field), getattr(new, field)
        if isinstance(share, Tensor):
            held[field] = torch.where(share, before, after)
        else:
            held[field] = share * before + (1 - share) * after
    return new._replace(**held)


def _gains(carry_gain: Tensor, valid: Tensor | None) -> tuple[Tensor, ...]:
    gain = carry_gain.detach()
    if valid is not None:
        gain = gain.masked_fill(~valid, 1.0)
    return gain.unsqueeze(-1).unbind(0)


def _carry(state: Any, gain: Tensor) -> Any:
    """The same state, whose gradient is multiplied by ``gain`` on its way back."""
    return type(state)(*(s.detach() + gain * (s - s.detach()) for s in state))


def _unbind(perturbation: Any) -> list[tuple[Tensor, ...] | None]:
    return [None if field is None else field.unbind(0) for field in perturbation]


def _add(state: Any, added: list[tuple[Tensor, ...] | None], t: int) -> Any:
    pairs = zip(state, added, strict=True)
    return type(state)(*(s if e is None else s + e[t] for s, e in pairs))
