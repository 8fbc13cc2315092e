"""The walk through the scalar network as plain text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from throughtime.gradients.scalar_network import ScalarNetwork


class LagTerm(NamedTuple):
    """One term of ∂y_t/∂wm.

    lag: i, from 1 to t.
    multiplier: m_i.
    hidden: h_{t-i}.
    term: m_i h_{t-i}.
    """

    lag: int
    multiplier: float
    hidden: float
    term: float


def lag_table(terms: Sequence[LagTerm], recursion: float) -> str:
    """The terms of ∂y_t/∂wm in rows, and their sum beside that of the recursion."""
    names = ("lag i", "multiplier m_i", f"h_{{{len(terms)}-i}}", "m_i h")
    rows = [(str(e.lag), e.multiplier, e.hidden, e.term) for e in terms]
    total = sum(e.term for e in terms)
    closing = f"sum {total:.6g}; by the recursion forward {recursion:.6g}"
    return "\n".join([*_aligned(names, rows), closing])


def walk(net: "ScalarNetwork") -> str:
    """Forward, by lag, and backward, with the equation of each part above it."""
    return "\n\n".join([_opening(net), _forward(net), _by_lag(net), _backward(net)])


def _opening(net: "ScalarNetwork") -> str:
    return (
        "h_t = f(z_t), z_t = w1 x_t + wm h_{t-1}, y_t = f(w2 h_t), "
        f"f = {net.activation.name}\n"
        f"w1 = {net.input_weight:g}, wm = {net.recurrent_weight:g}, "
        f"w2 = {net.output_weight:g}, h_0 = {net.initial:g}"
    )


def _forward(net: "ScalarNetwork") -> str:
    names = ("t", "x_t", "z_t", "h_t", "y_t", "f'(z_t)", "∂h_t/∂wm", "∂y_t/∂wm")
    values = torch.stack(
        [
            *(net.x, net.z, net.hidden, net.outputs, net.slopes),
            *(net.hidden_sensitivities, net.output_sensitivities),
        ],
        1,
    ).tolist()
    rows = [(str(t), *row) for t, row in enumerate(values, 1)]
    return "\n".join(
        [
            "Forward: ∂h_t/∂wm = f'(z_t) (h_{t-1} + wm ∂h_{t-1}/∂wm), "
            "∂y_t/∂wm = w2 f'(w2 h_t) ∂h_t/∂wm",
            *_aligned(names, rows),
        ]
    )


def _by_lag(net: "ScalarNetwork") -> str:
    T = len(net.x)
    return (
        f"By lag, t = {T}: ∂y_t/∂wm = Σ_i m_i h_{{t-i}}, "
        f"m_i = w2 f'(w2 h_t) wm^(i-1) f'(z_t) ... f'(z_{{t-i+1}})\n{net.table()}"
    )


def _backward(net: "ScalarNetwork") -> str:
    names = ("t", "∂R/∂y_t", "∂R/∂h_t", "∂R/∂z_t", "∂R/∂z_t h_{t-1}")
    d_z = net.slopes * net.hidden_gradients
    values = torch.stack(
        [net.output_gradients, net.hidden_gradients, d_z, d_z * net.before], 1
    ).tolist()
    rows = [(str(t), *row) for t, row in enumerate(values, 1)]
    found = net.gradients
    forward = float(net.output_gradients @ net.output_sensitivities)
    return "\n".join(
        [
            "Backward: ∂R/∂h_t = w2 f'(w2 h_t) ∂R/∂y_t + wm f'(z_{t+1}) ∂R/∂h_{t+1}",
            *_aligned(names, rows[::-1]),
            f"∂R/∂wm = {found['recurrent_weight']:.6g}, the sum of the last column; "
            f"by the recursion forward {forward:.6g}",
            f"∂R/∂w1 = {found['input_weight']:.6g}, "
            f"∂R/∂w2 = {found['output_weight']:.6g}, "
            f"∂R/∂h_0 = {found['initial']:.6g}",
        ]
    )


def _aligned(
    names: Sequence[str], rows: Sequence[tuple[str | float, ...]]
) -> list[str]:
    """Columns of numbers under their names."""
    text = [
        [cell if isinstance(cell, str) else f"{cell:.5g}" for cell in row]
        for row in rows
    ]
    widths = [
        max(len(cell) for cell in column) for column in zip(names, *text, strict=True)
    ]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in (names, *text)
    ]
