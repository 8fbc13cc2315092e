"""From each process's gradient to that of the joined batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.training.carried import is_finite
from throughtime.training.clipping import global_norm
from throughtime.training.team import Team
from throughtime.training.update import Gradient


def sum_over_team(
    team: Team, gradient: Gradient, parameters: Sequence[Tensor]
) -> tuple[Gradient, bool]:
    """Give every process the gradient of the joined batch.

    A gradient that is missing everywhere stays missing.

    Returns:
        Loss and norm of the joined batch, with this process's carried state, and
        whether that of all is finite.
    """
    finite = is_finite(gradient.carried)
    if team.size == 1:
        return gradient, finite
    found = [float(p.grad is not None) for p in parameters]
    numbers = torch.tensor([gradient.loss, float(finite), *found], dtype=torch.float64)
    team.sum([numbers])
    loss, finite, *found = numbers.tolist()
    total = []
    for parameter, somewhere in zip(parameters, found, strict=True):
        if parameter.grad is None and somewhere:
            parameter.grad = torch.zeros_like(parameter)
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.to_dense()
            total.append(parameter.grad)
    team.sum(total)
    norm = global_norm(total)
    return gradient._replace(loss=loss, norm=norm), finite == team.size
