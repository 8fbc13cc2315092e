"""Layers, losses and the check against autograd that the tests share."""

import torch

import throughtime as tt
from throughtime.cells import build_cell
from throughtime.gradients import decompose

DOUBLE = torch.float64
STEPS, BATCH = 6, 3
TOLERANCE = {"rtol": 0, "atol": 1e-10}


def x_of(steps=STEPS, batch=BATCH, inputs=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(steps, batch, inputs, dtype=DOUBLE, generator=generator)


def make(name, cell_options=None, **options):
    torch.manual_seed(5)
    layer = tt.Recurrent(build_cell(name, 3, 4, cell_options), **options).double()
    with torch.no_grad():
        for key, parameter in layer.named_parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
            if key.startswith("initial_n"):  # of the sLSTM: a sum of positive numbers
                parameter.abs_().add_(0.5)
    return layer


def squares(result):
    """One loss per step."""
    return result[0].square().sum((1, 2))


def weighted(result):
    """One number in which every output has a weight of its own."""
    out = result[0]
    return (out * torch.linspace(-1, 1, out.numel(), dtype=DOUBLE).view_as(out)).sum()


def by_autograd(model, inputs, loss_fn):
    """∂L_j/∂W of every loss step, one backward pass each, by name."""
    inputs = inputs if type(inputs) is tuple else (inputs,)
    torch.manual_seed(7)
    losses = loss_fn(model(*inputs)).reshape(-1)
    names = [n for n, p in model.named_parameters() if p.requires_grad]
    rows = [
        torch.autograd.grad(
            loss,
            [model.get_parameter(n) for n in names],
            retain_graph=True,
            materialize_grads=True,
        )
        for loss in losses
    ]
    return {n: torch.stack([row[i] for row in rows]) for i, n in enumerate(names)}


def check(model, inputs, loss_fn, **options):
    """All sums against autograd, and norms against single terms."""
    torch.manual_seed(7)
    terms = decompose(model, inputs, loss_fn, **options)
    for name, want in by_autograd(model, inputs, loss_fn).items():
        torch.testing.assert_close(terms.per_loss_step[name], want, **TOLERANCE)
        whole = want.sum(0)
        torch.testing.assert_close(terms.total[name], whole, **TOLERANCE)
        if name not in terms.norms:
            continue
        for sums in (terms.per_occurrence[name], terms.per_lag[name]):
            found = sums.sum(0) + terms.outside[name]
            torch.testing.assert_close(found, whole, **TOLERANCE)
        loss_steps, steps = terms.norms[name].shape
        for j, k in {(0, 0), (loss_steps - 1, 0), (loss_steps // 2, steps // 2)}:
            norm = terms.term(name, j, k).norm()
            torch.testing.assert_close(terms.norms[name][j, k], norm, **TOLERANCE)
    return terms
