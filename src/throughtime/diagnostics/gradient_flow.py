r"""How much of the gradient reaches each earlier step.

For every recurrent layer, ‖∂L/∂h_t‖ for all t: the total derivative, through all later
steps. Seen from a loss at the last step T it is carried back by the step Jacobians,

    ∂L/∂h_{T-k} = (∂h_T/∂h_{T-k})ᵀ ∂L/∂h_T,

and shrinks or grows with their product (Hochreiter, 1991; Bengio, Simard and Frasconi,
1994).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import InvalidShape, InvalidType
from throughtime.layers import Recurrent

# The verdict looks at the mean change of ln ‖∂L/∂h_t‖ per step back in time. A gradient
# that halves within 2 steps vanishes; one that doubles within 10 explodes.
VANISHING_RATE = -math.log(2) / 2
EXPLODING_RATE = math.log(2) / 10
# Below this share of the norm at lag 0 a gradient counts as gone.
THRESHOLD = 0.01


@dataclass(frozen=True)
class GradientFlow:
    """The gradient of one loss through one layer and direction.

    Attributes:
        norms: ‖∂L/∂h_t‖ over all units and sequences, (T,), float64, in order of time.
        reverse: whether the layer runs from the last step to the first, so that lag
            grows with time.
    """

    norms: Tensor
    reverse: bool = False

    @property
    def by_lag(self) -> Tensor:
        """The norms from the step where the gradient enters (lag 0) back to the oldest.

        Lag 0 is the last step with a gradient that is not zero, in the direction of the
        layer.
        """
        norms = self.norms if self.reverse else self.norms.flip(0)
        entered = torch.nonzero(norms != 0)
        return norms[int(entered[0]) :] if len(entered) else norms[:0]

    @property
    def horizon(self) -> int:
        """Smallest lag from which on all norms stay below 1 % of the norm at lag 0.

        The number of lags if the gradient never gets that small.
        """
        norms = self.by_lag
        large = torch.nonzero(~(norms < THRESHOLD * norms[:1]))
        return int(large[-1]) + 1 if len(large) else 0

    @property
    def rate(self) -> float:
        """Mean change of ln ‖∂L/∂h_t‖ per step back: least squares over the horizon."""
        norms = self.by_lag[: max(2, self.horizon + 1)]
        norms = norms[norms > 0]
        if len(norms) < 2 or not bool(torch.isfinite(norms).all()):
            return math.nan
        lags = torch.arange(len(norms), dtype=torch.float64)
        lags = lags - lags.mean()
        return float((lags * norms.log()).sum() / (lags**2).sum())

    @property
    def verdict(self) -> str:
        """``vanishing``, ``healthy`` or ``exploding``, by ``rate``."""
        if not bool(torch.isfinite(self.norms).all()):
            return "exploding"
        rate = self.rate
        if math.isnan(rate) or rate < VANISHING_RATE:  # nan: nothing beyond lag 0
            return "vanishing"
        return "exploding" if rate > EXPLODING_RATE else "healthy"


def gradient_flow(
    module: nn.Module,
    inputs: Any,
    loss_fn: Callable[[Any], Tensor],
    *,
    whole_state: bool = False,
) -> dict[str, GradientFlow]:
    """Measure the gradient flow of every recurrent layer inside ``module``.

    Gradients of parameters are neither needed nor touched; it works in eval mode too.

    Args:
        module: calls ``Recurrent`` layers (``tt.RNN``, ``tt.LSTM`` and ``tt.GRU`` are
            some), each at most once.
        inputs: the input of ``module``, or a tuple of inputs.
        loss_fn: from the output of ``module`` to one number. For the picture of norm
            against lag, a loss of the last step only.
        whole_state: the norm of ∂L/∂s_t, with all fields of the state together, in the
            place of ∂L/∂h_t. It sees what a cell carries past h, as in c of a QRNN; for
            a cell whose state is h it is the same.

    Returns:
        One GradientFlow per layer and direction, named ``recurrent.l0``,
        ``recurrent.l0_reverse``, ... after the module inside ``module``.

    Raises:
        InvalidType: no recurrent layer was called.
        InvalidShape: the loss is not one number.

    >>> import throughtime as tt
    >>> layer = tt.RNN(2, 3)
    >>> flow = gradient_flow(layer, torch.zeros(5, 1, 2), lambda out: out[0][-1].sum())
    >>> flow["l0"].norms.shape
    torch.Size([5])
    """
    found: dict[str, tuple[Recurrent, tuple[Any, ...]]] = {}

    def hook(name: str) -> Callable[..., Any]:
        def inject(layer: Any, args: Any, kwargs: dict[str, Any]) -> Any:
            zeros = layer.zero_perturbation(args[0] if args else kwargs["input"])
            found[name] = (layer, zeros)
            return args, {**kwargs, "perturbation": zeros}

        return inject

    handles = [
        part.register_forward_pre_hook(hook(name), with_kwargs=True)
        for name, part in module.named_modules()
        if isinstance(part, Recurrent)
    ]
    try:
        with torch.enable_grad():
            outputs = module(*inputs if isinstance(inputs, tuple) else (inputs,))
            loss = loss_fn(outputs)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise InvalidType(
            "module called no recurrent layer of throughtime, so there is no gradient "
            "through time to measure; use tt.Recurrent, tt.RNN, tt.LSTM or tt.GRU in it"
        )
    if loss.numel() != 1:
        raise InvalidShape(
            f"loss_fn must return one number, got shape {tuple(loss.shape)}; reduce it "
            "with .sum() or .mean()"
        )
    probes = [
        list(state) if whole_state else [state.h]
        for _, zeros in found.values()
        for state in zeros
    ]
    flat = [field for state in probes for field in state]
    # A layer that does not reach the loss has gradient zero, not an error.
    gradients = iter(torch.autograd.grad(loss, flat, materialize_grads=True))
    states = iter(probes)
    flows: dict[str, GradientFlow] = {}
    for name, (layer, _) in found.items():
        for suffix in layer.suffixes:
            fields = [next(gradients).double().flatten(1) for _ in next(states)]
            key = f"{name}.{suffix[1:]}" if name else suffix[1:]
            flows[key] = GradientFlow(
                torch.cat(fields, 1).norm(dim=1), suffix.endswith("_reverse")
            )
    return flows
