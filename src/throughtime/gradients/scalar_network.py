r"""The scalar recurrent network, walked through by hand.

    z_t = w1 x_t + wm h_{t-1},   h_t = f(z_t),   y_t = f(w2 h_t),   R = R(y_1 .. y_T)

With one unit every derivative is a number that can be printed. Forward in time,

    ∂h_t/∂wm = f'(z_t) (h_{t-1} + wm ∂h_{t-1}/∂wm),   ∂h_1/∂wm = f'(z_1) h_0
    ∂y_t/∂wm = w2 f'(w2 h_t) ∂h_t/∂wm

which stops at h_0 as that does not depend on wm. Written out by lag, for i = 1..t,

    ∂y_t/∂wm = Σ_i m_i h_{t-i},   m_i = w2 f'(w2 h_t) wm^{i-1} Π_{j=0}^{i-1} f'(z_{t-j})

m_i, the multiplier of the old hidden state, changes by the factor wm f'(z) per step:
not f' alone decides about vanishing and exploding. And once backward, the sweep that
gives all gradients at a cost in proportion to T,

    ∂R/∂h_t = w2 f'(w2 h_t) ∂R/∂y_t + wm f'(z_{t+1}) ∂R/∂h_{t+1}
    ∂R/∂wm = Σ_t f'(z_t) ∂R/∂h_t h_{t-1}
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.cells import Activation
from throughtime.cells.activations import as_activation
from throughtime.checks import number, positive_int
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.gradients.scalar_text import LagTerm, lag_table, walk


@dataclass(frozen=True, eq=False)
class ScalarNetwork:
    """Everything about one sequence; made by ``scalar_network``, printed by ``print``.

    All tensors are float64, (T,), entry t - 1 belonging to step t.

    Attributes:
        input_weight: w1.
        recurrent_weight: wm.
        output_weight: w2.
        activation: f.
        initial: h_0.
        x: the inputs.
        z: z_t.
        hidden: h_t.
        outputs: y_t.
        slopes: f'(z_t).
        output_slopes: f'(w2 h_t).
        output_gradients: ∂R/∂y_t.
        hidden_sensitivities: ∂h_t/∂wm, by the recursion forward.
        output_sensitivities: ∂y_t/∂wm, likewise.
        hidden_gradients: ∂R/∂h_t, by the sweep backward.
        gradients: ∂R by name, from that sweep: ``input_weight``, ``recurrent_weight``,
            ``output_weight`` and ``initial``.
    """

    input_weight: float
    recurrent_weight: float
    output_weight: float
    activation: Activation
    initial: float
    x: Tensor
    z: Tensor
    hidden: Tensor
    outputs: Tensor
    slopes: Tensor
    output_slopes: Tensor
    output_gradients: Tensor
    hidden_sensitivities: Tensor
    output_sensitivities: Tensor
    hidden_gradients: Tensor
    gradients: dict[str, float]

    @property
    def before(self) -> Tensor:
        """h_{t-1}."""
        return torch.cat([self.z.new_tensor([self.initial]), self.hidden[:-1]])

    def multipliers(self, step: int | None = None) -> Tensor:
        """m_1 .. m_t, the weight of h_{t-i} in ∂y_t/∂wm, (t,).

        Args:
            step: t, from 1; default: the last.

        Raises:
            InvalidType: ``step`` is no int.
            InvalidValue: there is no such step.
        """
        t = self._step(step)
        entering = self.output_weight * self.output_slopes[t - 1]
        factors = self.slopes[:t].flip(0)  # f'(z_t), f'(z_{t-1}), ...
        powers = self.recurrent_weight ** torch.arange(t, dtype=self.z.dtype)
        return entering * powers * factors.cumprod(0)

    def terms(self, step: int | None = None) -> list[LagTerm]:
        """∂y_t/∂wm term by term, one per lag i = 1..t; the terms sum to it.

        Args:
            step: t, from 1; default: the last.

        Raises:
            InvalidType: ``step`` is no int.
            InvalidValue: there is no such step.
        """
        t = self._step(step)
        multipliers = self.multipliers(t).tolist()
        old = self.before[:t].flip(0).tolist()
        pairs = enumerate(zip(multipliers, old, strict=True), 1)
        return [LagTerm(i, m, h, m * h) for i, (m, h) in pairs]

    def horizon(
        self, step: int | None = None, *, threshold: float = 0.01
    ) -> int | None:
        """The memory of training: from which lag on multipliers are next to nothing.

        Args:
            step: t, from 1; default: the last.
            threshold: ε > 0.

        Returns:
            The smallest lag i from which on |m_i| < ε |m_1|; None if the last one still
            reaches it.

        Raises:
            InvalidType: an argument has the wrong type.
            InvalidValue: it is out of range.
        """
        number("threshold", threshold, minimum=0, exclude_minimum=True)
        sizes = self.multipliers(step).abs()
        reaching = torch.nonzero(sizes >= threshold * sizes[0])
        last = int(reaching[-1]) + 1  # lag 1 always does
        return last + 1 if last < len(sizes) else None

    def short_share(self, lag: int, step: int | None = None) -> float:
        """Σ|term| over lags up to ``lag``, as a share of that over all.

        Near 1, the update is made by what happened last, however large it is.

        Args:
            lag: the longest lag that counts as short.
            step: t, from 1; default: the last.

        Returns:
            A share in [0, 1]; 1 where all terms are 0.

        Raises:
            InvalidType: an argument is no int.
            InvalidValue: ``lag`` is not positive, or there is no such step.
        """
        sizes = [abs(term.term) for term in self.terms(step)]
        short = sum(sizes[: positive_int("lag", lag)])
        return short / sum(sizes) if any(sizes) else 1.0

    def table(self, step: int | None = None) -> str:
        """``terms`` as plain text.

        Args:
            step: t, from 1; default: the last.

        Raises:
            InvalidType: ``step`` is no int.
            InvalidValue: there is no such step.
        """
        t = self._step(step)
        return lag_table(self.terms(t), float(self.output_sensitivities[t - 1]))

    def __str__(self) -> str:
        return walk(self)

    def _step(self, step: int | None) -> int:
        if step is None:
            return len(self.x)
        if positive_int("step", step) > len(self.x):
            raise InvalidValue(
                f"step must lie in 1..{len(self.x)}, got {step}; steps count from 1"
            )
        return step


def scalar_network(
    x: Sequence[float] | Tensor,
    *,
    input_weight: float,
    recurrent_weight: float,
    output_weight: float,
    activation: str | Activation = "tanh",
    initial: float = 0.0,
    targets: Sequence[float] | Tensor | None = None,
    output_gradients: Sequence[float] | Tensor | None = None,
) -> ScalarNetwork:
    """Run the scalar network over one sequence, and every derivative with it.

    Args:
        x: x_1 .. x_T.
        input_weight: w1.
        recurrent_weight: wm.
        output_weight: w2.
        activation: f, one of ``throughtime.cells.ACTIVATIONS``.
        initial: h_0.
        targets: v_1 .. v_T, for R = (1/T) Σ_t (y_t - v_t)².
        output_gradients: ∂R/∂y_t of any other loss, instead of targets, 0 at steps
            without a label. Default of both: R = y_T.

    Raises:
        InvalidType: an argument has the wrong type.
        InvalidShape: sequences are empty or of different lengths.
        InvalidValue: a number is not finite, the activation is unknown, or targets and
            output gradients are both given.

    >>> net = scalar_network([1, 0, 0], input_weight=1, recurrent_weight=0.5,
    ...                      output_weight=2, activation="identity", initial=4)
    >>> net.hidden.tolist(), net.outputs.tolist()
    ([3.0, 1.5, 0.75], [6.0, 3.0, 1.5])
    >>> print(net.table())
    lag i  multiplier m_i  h_{3-i}  m_i h
        1               2      1.5      3
        2               1        3      3
        3             0.5        4      2
    sum 8; by the recursion forward 8
    """
    w1 = number("input_weight", input_weight)
    wm = number("recurrent_weight", recurrent_weight)
    w2 = number("output_weight", output_weight)
    start = number("initial", initial)
    f = as_activation(activation)
    inputs = _sequence("x", x)
    z, h = [], [torch.tensor(start, dtype=torch.float64)]
    for x_t in inputs:
        z.append(w1 * x_t + wm * h[-1])
        h.append(f(z[-1]))
    z, before, hidden = torch.stack(z), torch.stack(h[:-1]), torch.stack(h[1:])
    outputs = f(w2 * hidden)
    slopes, output_slopes = f.derivative(z), f.derivative(w2 * hidden)
    d_y = _output_gradients(outputs, targets, output_gradients)
    d_h = _backward(wm * slopes, w2 * output_slopes * d_y)
    d_z = slopes * d_h
    by_wm = _forward(slopes, before, wm)
    return ScalarNetwork(
        input_weight=w1,
        recurrent_weight=wm,
        output_weight=w2,
        activation=f,
        initial=start,
        x=inputs,
        z=z,
        hidden=hidden,
        outputs=outputs,
        slopes=slopes,
        output_slopes=output_slopes,
        output_gradients=d_y,
        hidden_sensitivities=by_wm,
        output_sensitivities=w2 * output_slopes * by_wm,
        hidden_gradients=d_h,
        gradients={
            "input_weight": float(d_z @ inputs),
            "recurrent_weight": float(d_z @ before),
            "output_weight": float((output_slopes * d_y) @ hidden),
            "initial": float(wm * d_z[0]),
        },
    )


def _forward(slopes: Tensor, before: Tensor, wm: float) -> Tensor:
    """∂h_t/∂wm for t = 1..T; h_0 does not depend on wm."""
    found = [torch.zeros_like(slopes[0])]
    for slope, h in zip(slopes, before, strict=True):
        found.append(slope * (h + wm * found[-1]))
    return torch.stack(found[1:])


def _backward(carry: Tensor, entering: Tensor) -> Tensor:
    """∂R/∂h_t for t = T..1; carry[t] is ∂h_{t+1}/∂h_t, counted from 0."""
    found = [entering[-1]]
    for t in range(len(entering) - 2, -1, -1):
        found.append(entering[t] + carry[t + 1] * found[-1])
    return torch.stack(found[::-1])


def _output_gradients(outputs: Tensor, targets: object, given: object) -> Tensor:
    """∂R/∂y_t."""
    if targets is not None and given is not None:
        raise InvalidValue(
            "targets (for the squared error) and output_gradients (∂R/∂y_t of another "
            "loss) exclude each other, got both"
        )
    steps = len(outputs)
    if targets is not None:
        return 2 * (outputs - _sequence("targets", targets, steps)) / steps
    if given is not None:
        return _sequence("output_gradients", given, steps)
    last = torch.zeros_like(outputs)
    last[-1] = 1
    return last


def _sequence(name: str, values: object, steps: int | None = None) -> Tensor:
    """Numbers as a float64 tensor (T,)."""
    try:
        found = torch.as_tensor(values, dtype=torch.float64).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidType(f"{name} should be a sequence of numbers: {error}") from None
    if found.dim() != 1 or len(found) == 0 or steps not in (None, len(found)):
        count = "at least one step" if steps is None else f"{steps} steps like x"
        raise InvalidShape(
            f"{name} must be one number per step, (T,), {count}, got shape "
            f"{tuple(found.shape)}"
        )
    if not found.isfinite().all():
        raise InvalidValue(f"{name} has entries that are NaN or infinite")
    return found
