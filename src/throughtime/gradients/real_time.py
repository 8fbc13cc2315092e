r"""Real-time recurrent learning: the gradient carried forward (Williams, Zipser, 1989).

    P_t = ∂s_t/∂θ = ∂f/∂θ + ∂f/∂s_{t-1} P_{t-1},    ∂L_t/∂θ = ∂L_t/∂s_t P_t

with s_t = f(s_{t-1}, x_t, θ). Nothing of the past is kept but P, so the memory does not
grow with T; it is B · S · |θ| numbers, for S features of the state and |θ| parameters,
and about as many again for the Jacobian of the step.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, jacrev, vmap

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.gradients.stack_step import StackStep, check_one_way, flatten_state
from throughtime.layers import Recurrent


class OnlineStep(NamedTuple):
    """What is known after one step.

    loss: L_t.
    output: o_t, (B, H).
    gradients: ∂L_t/∂θ by name, through all steps so far.
    """

    loss: Tensor
    output: Tensor
    gradients: dict[str, Tensor]


def real_time_recurrent_learning(
    layer: Recurrent,
    x: Tensor,
    loss_fn: Callable[[Tensor, int], Tensor],
    state: Any = None,
    *,
    memory_limit: int = 2 * 2**30,
) -> Iterator[OnlineStep]:
    """The gradient of every step's loss while the sequence runs.

    Summed over steps it is the gradient of backpropagation through time. Parameters may
    be changed between steps, as online learning does; what was gathered so far then is
    of the old ones.

    Args:
        layer: a recurrent layer of any cell, also several layers; one direction.
        x: (T, B, I).
        loss_fn: from the output o_t (B, H) and t to the loss of this step.
        state: as ``layer`` takes it; default: its initial state.
        memory_limit: bytes that P and the Jacobian of the step may take.

    Returns:
        An iterator over the T steps, which computes one at a time.

    Raises:
        InvalidType: no recurrent layer.
        InvalidValue: bidirectional, with random masks, or beyond ``memory_limit``.
        InvalidShape: x is not (T, B, I), or a loss is not one number.

    >>> import throughtime as tt
    >>> layer = tt.GRU(2, 3)
    >>> x = torch.randn(5, 1, 2)
    >>> steps = real_time_recurrent_learning(layer, x, lambda o, t: o.square().sum())
    >>> sum(step.gradients["weight_hh_l0"] for step in steps).shape
    torch.Size([9, 3])
    """
    check_one_way(layer, x, "real-time recurrent learning")
    positive_int("memory_limit", memory_limit)
    theta = {n: p.detach() for n, p in layer.named_parameters() if p.requires_grad}
    width = StackStep(layer).width
    count = sum(p.numel() for p in theta.values())
    size = 2 * x.size(1) * width * count * x.element_size()
    if size > memory_limit:
        raise InvalidValue(
            f"real-time recurrent learning of {count:,} parameters would take "
            f"{size / 2**20:,.0f} MiB for ∂s/∂θ, above memory_limit="
            f"{memory_limit / 2**20:,.0f} MiB; use a smaller batch, fewer units, or "
            "decompose"
        )
    return _run(layer, x, loss_fn, state, theta)


def _run(
    layer: Recurrent,
    x: Tensor,
    loss_fn: Callable[[Tensor, int], Tensor],
    state: Any,
    theta: dict[str, Tensor],
) -> Iterator[OnlineStep]:
    batch = x.size(1)
    step = StackStep(layer)

    def start(theta: dict[str, Tensor]) -> Tensor:
        if state is not None or not layer.learned_initial_state:
            return flatten_state(layer.read_state(state, batch)).detach()
        known = dict(layer.named_parameters()) | theta
        fields = [
            known[f"initial_{field}{suffix}"].expand(batch, -1)
            for cell, suffix in zip(layer.cells, layer.suffixes, strict=True)
            for field in cell.state_sizes
        ]
        return torch.cat(fields, -1)

    flat = start(theta)
    past = jacrev(start)(theta)  # P, (B, S, *shape) by name

    def loss_of(theta: dict[str, Tensor], flat: Tensor, x_t: Tensor, t: int) -> Any:
        output = vmap(step, in_dims=(None, 0, 0))(theta, flat, x_t)[1]
        loss = loss_fn(output, t)
        if loss.numel() != 1:
            raise InvalidShape(
                f"loss_fn must return one number for each step, got shape "
                f"{tuple(loss.shape)}; reduce it with .sum() or .mean()"
            )
        return loss.reshape(()), output

    def new_state(theta: dict[str, Tensor], flat: Tensor, x_t: Tensor) -> Any:
        after = step(theta, flat, x_t)[0]
        return after, after

    for t, x_t in enumerate(x.detach().unbind(0)):
        with torch.no_grad():
            of_loss = grad_and_value(loss_of, argnums=(0, 1), has_aux=True)
            (direct, back), (loss, output) = of_loss(theta, flat, x_t, t)
            gradients = {
                name: direct[name] + torch.tensordot(back, past[name], 2)
                for name in theta
            }
            each = vmap(
                jacrev(new_state, argnums=(0, 1), has_aux=True), in_dims=(None, 0, 0)
            )
            (immediate, carry), flat = each(theta, flat, x_t)
            for name, old in past.items():
                passed = torch.bmm(carry, old.flatten(2)).view(old.shape)
                past[name] = immediate[name] + passed
        yield OnlineStep(loss, output, gradients)
