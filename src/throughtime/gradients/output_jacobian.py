r"""The full derivative of every output by every parameter, of small networks.

    ∇_W L = Σ_t ∇_{y_t} L · ∂y_t/∂W

∂y_t/∂W runs through all earlier steps. It has M · |W| numbers per step and sequence for
M outputs, which is why training never builds it; here it can be looked at.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.utils._pytree import tree_leaves

from throughtime.checks import positive_int
from throughtime.errors import InvalidValue, unknown_name
from throughtime.gradients.stack_step import arguments


def output_jacobian(
    model: nn.Module,
    inputs: Any,
    *,
    parameters: Sequence[str] | None = None,
    memory_limit: int = 2 * 2**30,
) -> dict[str, Tensor]:
    """∂y/∂W by name of the parameter, (*shape of y, *shape of W).

    Args:
        model: its output is y, or the first tensor of what it returns; without random
            masks.
        inputs: the input of ``model``, or a tuple of inputs.
        parameters: names of the parameters; default: all with a gradient.
        memory_limit: bytes that the result may take.

    Raises:
        InvalidValue: an unknown parameter, or a result beyond ``memory_limit``.

    >>> import torch
    >>> import throughtime as tt
    >>> found = output_jacobian(tt.RNN(2, 3), torch.randn(5, 1, 2))
    >>> found["weight_hh_l0"].shape
    torch.Size([5, 1, 3, 3, 3])
    """
    positive_int("memory_limit", memory_limit)
    known = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for name in parameters or ():
        if name not in known:
            raise unknown_name("parameter", name, known)
    names = list(known) if parameters is None else list(parameters)
    theta = {name: known[name].detach() for name in names}
    args = arguments(inputs)

    def output(theta: dict[str, Tensor]) -> Tensor:
        found = tree_leaves(functional_call(model, theta, args))
        y = next(t for t in found if isinstance(t, Tensor))
        size = y.numel() * sum(p.numel() for p in theta.values()) * y.element_size()
        if size > memory_limit:
            raise InvalidValue(
                f"∂y/∂W would take {size / 2**20:,.0f} MiB, above memory_limit="
                f"{memory_limit / 2**20:,.0f} MiB; use a smaller network, or "
                "parameters=[...]"
            )
        return y

    return jacrev(output)(theta)
