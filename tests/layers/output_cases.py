"""Random output layers and targets, and what torch makes of them."""

import random
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

import throughtime as tt

# Around the numbers of a register and of a block of rows or classes.
ROWS = (0, 1, 2, 5, 16, 17, 33, 64, 130, 300)
FEATURES = (1, 3, 8, 15, 16, 17, 40, 65, 70)
CLASSES = (1, 2, 3, 7, 63, 96, 97, 100, 300)


class Case(NamedTuple):
    h: Tensor
    weight: Tensor
    bias: Tensor | None
    targets: Tensor
    mask: Tensor | None
    options: dict[str, Any]


def random_case(seed: int, dtype: torch.dtype = torch.float64) -> Case:
    """Sizes, a memory layout of h, and some of every option."""
    pick, generator = random.Random(seed), torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    rows, features = pick.choice(ROWS), pick.choice(FEATURES)
    classes, layout = pick.choice(CLASSES), pick.randrange(3)
    if layout == 0:
        h = randn(rows, features)
    elif layout == 1:
        h = randn(features, rows).t()
    else:
        h = randn(3, rows, 2 * features).transpose(0, 1)[..., ::2]
    targets = torch.randint(0, classes, h.shape[:-1], generator=generator)
    options: dict[str, Any] = {"reduction": pick.choice(("mean", "sum", "none"))}
    if pick.random() < 0.4:
        options["ignore_index"] = pick.choice((-100, 0))
        left_out = torch.rand(targets.shape, generator=generator) < 0.3
        targets = targets.masked_fill(left_out, options["ignore_index"])
    if pick.random() < 0.4:
        options["label_smoothing"] = pick.choice((0.1, 1.0))
    mask = None
    if pick.random() < 0.4:
        mask = torch.rand(targets.shape, generator=generator) < pick.choice((0, 0.7))
    bias = randn(classes) if pick.random() < 0.7 else None
    return Case(h, randn(classes, features), bias, targets, mask, options)


def expected(case: Case, h: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """By torch: where the mask is False there is no row at all."""
    options = {"ignore_index": -(2**62), **case.options}
    mask = torch.ones_like(case.targets, dtype=torch.bool)
    mask = mask if case.mask is None else case.mask
    losses = F.cross_entropy(
        F.linear(h[mask], weight, bias),
        case.targets[mask],
        **{**options, "reduction": "none"},
    )
    if case.options["reduction"] == "none":
        return h.new_zeros(mask.shape).masked_scatter(mask, losses)
    total = losses.sum()
    if case.options["reduction"] == "sum":
        return total
    count = int((mask & (case.targets != options["ignore_index"])).sum())
    return total / max(count, 1)


def results(case: Case, backend: str | None, seed: int) -> list[Tensor]:
    """The loss and the gradients of a random multiple; backend None: by torch."""
    given = [case.h, case.weight, *([] if case.bias is None else [case.bias])]
    leaves = [t.detach().requires_grad_() for t in given]
    h, weight, bias = leaves[0], leaves[1], leaves[2] if len(leaves) == 3 else None
    if backend is None:
        loss = expected(case, h, weight, bias)
    else:
        loss = tt.linear_cross_entropy(
            h,
            weight,
            case.targets,
            bias=bias,
            mask=case.mask,
            backend=backend,
            **case.options,
        )
    generator = torch.Generator().manual_seed(seed)
    upstream = torch.randn(loss.shape, generator=generator, dtype=loss.dtype)
    gradients = torch.autograd.grad(loss, leaves, upstream, materialize_grads=True)
    return [loss.detach(), *gradients]
