r"""The linear recurrence s_t = a_t s_{t-1} + b_t over all steps, number by number.

Its gradient is the same recurrence from the last step to the first,

    λ_t = ∂L/∂s_t + a_{t+1} λ_{t+1},   ∂L/∂b_t = λ_t,   ∂L/∂a_t = λ_t s_{t-1},

so it differentiates itself any number of times and keeps nothing but a and s.

On the CPU the steps run one after the other in place, which is what memory allows.
Elsewhere they are combined in pairs (odd-even reduction: 3 log2 T operations on about
4 T rows): of two steps, s_{t+1} = (a_{t+1} a_t) s_{t-1} + (a_{t+1} b_t + b_{t+1}).
There are no logarithms and no divisions, so a may be 0, 1, or negative.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


def linear_recurrence(
    a: Tensor,
    b: Tensor,
    start: Tensor | None = None,
    gain: Tensor | None = None,
    *,
    backward: bool = False,
) -> Tensor:
    """s_t = a_t s_{t-1} + b_t.

    Args:
        a: coefficients (T, ...).
        b: what is added, of the same shape and type.
        start: s_{-1}, (...); default: zero.
        gain: multiplies the gradient of s_{t-1} at step t, and nothing else; broadcast
            to a; it takes no gradient.
        backward: from the last step to the first, s_t = a_{t+1} s_{t+1} + b_t, without
            ``start`` and ``gain``.

    Returns:
        s, like b.

    >>> a, b = torch.tensor([9.0, 0.5, 0.5]), torch.tensor([1.0, 1.0, 1.0])
    >>> linear_recurrence(a, b), linear_recurrence(a, b, backward=True)
    (tensor([1.0000, 1.5000, 1.7500]), tensor([1.7500, 1.5000, 1.0000]))
    """
    kind = _Recurrence if torch.compiler.is_compiling() else _ForwardMode
    return kind.apply(a, b, start, gain, backward)


def carried(state: Tensor, gain: Tensor | None) -> Tensor:
    """The same numbers, whose gradient is multiplied by ``gain`` on its way back."""
    if gain is None:
        return state
    return state.detach() + gain * (state - state.detach())


class _Recurrence(Function):
    @staticmethod
    def forward(
        a: Tensor,
        b: Tensor,
        start: Tensor | None,
        gain: Tensor | None,
        backward: bool,
    ) -> Tensor:
        in_order = b.device.type == "cpu" and not torch.compiler.is_compiling()
        run = one_by_one if in_order else in_pairs
        s = b.clone(memory_format=torch.contiguous_format)
        if b.dtype in (torch.bfloat16, torch.float16):
            a, s = a.float(), s.float()
        if start is not None:
            s[0].addcmul_(a[0], start.to(s.dtype))
        run(a, s, backward)
        return s.to(b.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        a, _, start, gain, ctx.reverse = inputs
        ctx.save_for_backward(a, start, gain, output)
        ctx.save_for_forward(a, start, gain, output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        a, start, gain, s = ctx.saved_tensors
        factor = a if gain is None else a * gain
        total = linear_recurrence(factor, grad, backward=not ctx.reverse)
        slope = None
        if ctx.needs_input_grad[0]:
            if ctx.reverse:
                slope = _later(total) * s
            else:
                slope = total * carried(_later(s, start), gain)
        first = factor[0] * total[0] if ctx.needs_input_grad[2] else None
        return slope, total, first, None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], *inputs: Any
    ) -> tuple[Tensor, int]:
        # The new dimension stands behind T, and first in start, which has no T.
        a, b, start, gain = (
            t
            if t is None
            else t.unsqueeze(place)
            if dim is None
            else t.movedim(dim, place)
            for t, dim, place in zip(inputs[:4], in_dims, (1, 1, 0, 1), strict=False)
        )
        a, b = torch.broadcast_tensors(a, b)
        if start is not None:
            start = start.expand(b.shape[1:])
        done = linear_recurrence(a, b, start, gain, backward=inputs[4])
        return done, 1


class _ForwardMode(_Recurrence):
    """With the derivative in a direction, which torch.compile cannot read."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        a, start, gain, s = ctx.saved_tensors
        along_a, along_b, along_start = tangents[:3]
        added = torch.zeros_like(s) if along_b is None else along_b
        if along_a is not None:
            if ctx.reverse:
                added = added + _earlier(along_a * s)
            else:
                added = added + along_a * carried(_later(s, start), gain)
        factor = a if gain is None else a * gain
        return linear_recurrence(factor, added, along_start, backward=ctx.reverse)


def _later(s: Tensor, first: Tensor | None = None) -> Tensor:
    """Every step one later; at the first ``first``, or zero."""
    head = torch.zeros_like(s[:1]) if first is None else first.unsqueeze(0)
    return torch.cat([head, s[:-1]])


def _earlier(s: Tensor) -> Tensor:
    """Every step one earlier, zero at the last."""
    return torch.cat([s[1:], torch.zeros_like(s[:1])])


def one_by_one(a: Tensor, s: Tensor, backward: bool) -> None:
    """The recurrence step by step, in the place of b."""
    factors, steps = a.unbind(0)[1:], s.unbind(0)
    pairs = list(zip(factors, steps, steps[1:], strict=False))
    if backward:
        for factor, one, next_one in reversed(pairs):
            one.addcmul_(factor, next_one)
    else:
        for factor, one, next_one in pairs:
            next_one.addcmul_(factor, one)


def in_pairs(a: Tensor, s: Tensor, backward: bool) -> None:
    """The recurrence by odd-even reduction, in the place of b."""
    if backward:
        _reduce_backward(_earlier(a), s)
    else:
        _reduce(a.clone(memory_format=torch.contiguous_format), s)


def _reduce(a: Tensor, s: Tensor) -> None:
    steps = s.size(0)
    if steps < 2:
        return
    pairs, rest = steps // 2, (steps - 1) // 2
    last_a, last_s = a[1::2], s[1::2]
    last_s.addcmul_(last_a, s[::2][:pairs])
    last_a.mul_(a[::2][:pairs])
    _reduce(last_a, last_s)
    s[2::2].addcmul_(a[2::2], last_s[:rest])


def _reduce_backward(a: Tensor, s: Tensor) -> None:
    """``_reduce`` in a mirror: pairs are counted from the last step."""
    steps = s.size(0)
    if steps < 2:
        return
    pairs, rest, odd = steps // 2, (steps - 1) // 2, steps % 2
    last_a, last_s = a[odd : steps - 1 : 2], s[odd : steps - 1 : 2]
    last_s.addcmul_(last_a, s[odd + 1 :: 2])
    last_a.mul_(a[odd + 1 :: 2])
    _reduce_backward(last_a, last_s)
    between = slice(1 - odd, steps - 2, 2)
    s[between].addcmul_(a[between], last_s[pairs - rest :])
