r"""The linear recurrent network, whose gradients have closed forms.

    h_t = W_hx x_t + W_hh h_{t-1},   o_t = W_qh h_t,   L = (1/T) Σ_t l(o_t, y_t)

Vectors are columns; there are no biases and no nonlinearity. Backpropagation through
time gives, for t from T down to 1,

    ∂L/∂o_t = (1/T) ∂l(o_t, y_t)/∂o_t
    ∂L/∂h_T = W_qhᵀ ∂L/∂o_T
    ∂L/∂h_t = W_hhᵀ ∂L/∂h_{t+1} + W_qhᵀ ∂L/∂o_t
            = Σ_{i=t}^{T} (W_hhᵀ)^{T-i} W_qhᵀ ∂L/∂o_{T+t-i}

and the weights, which all steps share, gather outer products:

    ∂L/∂W_qh = Σ_t ∂L/∂o_t h_tᵀ
    ∂L/∂W_hx = Σ_t ∂L/∂h_t x_tᵀ
    ∂L/∂W_hh = Σ_t ∂L/∂h_t h_{t-1}ᵀ

Put together, the gradient by the lag n between loss and weight, with powers up to T-1:

    ∂L/∂W_hh = Σ_{n=0}^{T-1} Σ_{j=n+1}^{T} (W_hhᵀ)^n W_qhᵀ ∂L/∂o_j h_{j-n-1}ᵀ

and with x_{j-n}ᵀ for ∂L/∂W_hx. Superscript T is the transpose, n a power; what powers
do to a vector, ``throughtime.spectrum`` tells. Equations: Zhang, Lipton, Li and Smola,
"Dive into Deep Learning", chapter on backpropagation through time; in the closed form
the index of ∂L/∂o runs from T down to t.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.errors import InvalidShape, InvalidType, InvalidValue


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    """The forward and backward pass of one sequence; made by ``linear_network``.

    Attributes:
        hidden: h_1 .. h_T, (T, H).
        outputs: o_1 .. o_T, (T, Q).
        loss: L, or None where output gradients were given instead of targets.
        output_gradients: ∂L/∂o_t, (T, Q).
        hidden_gradients: ∂L/∂h_t by the recursion from T to 1, (T, H).
        hidden_gradients_closed_form: the same by the closed form.
        weight_gradients: ∂L/∂W by name, ``weight_hx``, ``weight_hh``, ``weight_qh``.
        per_lag: ∂L/∂W_hx and ∂L/∂W_hh by lag n = 0..T-1, (T, H, I) and (T, H, H); they
            sum to ``weight_gradients``.
    """

    hidden: Tensor
    outputs: Tensor
    loss: Tensor | None
    output_gradients: Tensor
    hidden_gradients: Tensor
    hidden_gradients_closed_form: Tensor
    weight_gradients: dict[str, Tensor]
    per_lag: dict[str, Tensor]


def linear_network(
    x: Tensor,
    *,
    weight_hx: Tensor,
    weight_hh: Tensor,
    weight_qh: Tensor,
    targets: Tensor | None = None,
    output_gradients: Tensor | None = None,
    initial: Tensor | None = None,
) -> LinearNetwork:
    """Run a linear network over one sequence, and back.

    Args:
        x: x_1 .. x_T, (T, I).
        weight_hx: W_hx, (H, I).
        weight_hh: W_hh, (H, H).
        weight_qh: W_qh, (Q, H).
        targets: y_1 .. y_T, (T, Q), for l(o, y) = ‖o - y‖².
        output_gradients: ∂L/∂o_t, (T, Q), of any other loss, instead of targets.
        initial: h_0, (H,); default: zeros.

    Raises:
        InvalidType: an argument is no tensor of floating point.
        InvalidShape: the shapes do not fit.
        InvalidValue: both targets and output gradients are given, or neither.

    >>> one = torch.ones(1, 1)
    >>> net = linear_network(torch.ones(3, 1), weight_hx=one, weight_hh=2 * one,
    ...     weight_qh=one, output_gradients=torch.tensor([[0.0], [0.0], [1.0]]))
    >>> net.hidden.T, net.hidden_gradients.T
    (tensor([[1., 3., 7.]]), tensor([[4., 2., 1.]]))
    >>> net.per_lag["weight_hh"].flatten(), net.weight_gradients["weight_hh"]
    (tensor([3., 2., 0.]), tensor([[5.]]))
    """
    w_hx = _tensor("weight_hx", weight_hx, 2)
    size, inputs = w_hx.shape
    w_hh = _tensor("weight_hh", weight_hh, 2, (size, size))
    w_qh = _tensor("weight_qh", weight_qh, 2, (None, size))
    x = _tensor("x", x, 2, (None, inputs))
    if len(x) == 0:
        raise InvalidShape("x must have at least one step, got shape (0, ...)")
    grid = (len(x), w_qh.size(0))
    h = (
        x.new_zeros(size)
        if initial is None
        else _tensor("initial", initial, 1, (size,))
    )
    states = [h]
    for x_t in x:
        states.append(w_hx @ x_t + w_hh @ states[-1])
    before, hidden = torch.stack(states[:-1]), torch.stack(states[1:])
    outputs = torch.stack([w_qh @ h_t for h_t in hidden])
    loss, d_o = _loss(outputs, targets, output_gradients, grid)
    d_h = _recursion(w_hh, w_qh, d_o)
    return LinearNetwork(
        hidden=hidden,
        outputs=outputs,
        loss=loss,
        output_gradients=d_o,
        hidden_gradients=d_h,
        hidden_gradients_closed_form=_closed_form(w_hh, w_qh, d_o),
        weight_gradients={
            "weight_hx": _outer_sum(d_h, x),
            "weight_hh": _outer_sum(d_h, before),
            "weight_qh": _outer_sum(d_o, hidden),
        },
        per_lag={
            "weight_hx": _per_lag(w_hh, w_qh, d_o, x),
            "weight_hh": _per_lag(w_hh, w_qh, d_o, before),
        },
    )


def _recursion(w_hh: Tensor, w_qh: Tensor, d_o: Tensor) -> Tensor:
    d_h = w_qh.T @ d_o[-1]
    found = [d_h]
    for d_o_t in d_o[:-1].flip(0):
        d_h = w_hh.T @ d_h + w_qh.T @ d_o_t
        found.append(d_h)
    return torch.stack(found[::-1])


def _closed_form(w_hh: Tensor, w_qh: Tensor, d_o: Tensor) -> Tensor:
    T = len(d_o)
    powers = _powers(w_hh.T, T)
    entering = [w_qh.T @ d_o_t for d_o_t in d_o]  # [t - 1] belongs to step t
    zero = torch.zeros_like(entering[0])
    return torch.stack(
        [
            sum(
                (powers[T - i] @ entering[T + t - i - 1] for i in range(t, T + 1)), zero
            )
            for t in range(1, T + 1)
        ]
    )


def _per_lag(w_hh: Tensor, w_qh: Tensor, d_o: Tensor, source: Tensor) -> Tensor:
    """Entry n: Σ_j (W_hhᵀ)^n W_qhᵀ ∂L/∂o_j s_{j-n}ᵀ, s_k being what W met at step k."""
    T = len(d_o)
    entering = d_o @ w_qh  # rows W_qhᵀ ∂L/∂o_j
    return torch.stack(
        [
            _outer_sum(entering[n:] @ power.T, source[: T - n])
            for n, power in enumerate(_powers(w_hh.T, T))
        ]
    )


def _powers(matrix: Tensor, count: int) -> list[Tensor]:
    found = [torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)]
    while len(found) < count:
        found.append(matrix @ found[-1])
    return found


def _outer_sum(left: Tensor, right: Tensor) -> Tensor:
    """Σ_t l_t r_tᵀ of rows l_t and r_t."""
    return left.T @ right


def _loss(
    outputs: Tensor,
    targets: Tensor | None,
    output_gradients: Tensor | None,
    grid: tuple[int, int],
) -> tuple[Tensor | None, Tensor]:
    """L if it is known, and ∂L/∂o_t."""
    if (targets is None) == (output_gradients is None):
        raise InvalidValue(
            "one of targets (for the squared error) and output_gradients (∂L/∂o_t of "
            "another loss) is needed, and only one; got "
            f"{'neither' if targets is None else 'both'}"
        )
    if targets is None:
        return None, _tensor("output_gradients", output_gradients, 2, grid)
    error = outputs - _tensor("targets", targets, 2, grid)
    return (error**2).sum() / len(outputs), 2 * error / len(outputs)


def _tensor(
    name: str, value: object, dims: int, shape: tuple[int | None, ...] | None = None
) -> Tensor:
    """A detached tensor of floating point of this shape; None: any size."""
    if not (isinstance(value, Tensor) and value.is_floating_point()):
        got = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise InvalidType(f"{name} should be a tensor of floating point, got: {got}")
    wanted = shape or (None,) * dims
    fits = value.dim() == dims and all(
        size is None or size == have
        for size, have in zip(wanted, value.shape, strict=True)
    )
    if not fits:
        text = ", ".join("any" if size is None else str(size) for size in wanted)
        raise InvalidShape(
            f"{name} must have shape ({text}), got {tuple(value.shape)}; x is (T, I), "
            "weight_hx (H, I), weight_hh (H, H) and weight_qh (Q, H)"
        )
    return value.detach()
