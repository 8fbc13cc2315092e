"""Random layers and batches on which the compiled core must equal the plain loop."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from throughtime import cells
from throughtime.layers.loop import Noise
from throughtime.layers.unroll import unroll

# (T, B, I, H): the last of its kind in a register, one more, one less, and none at all.
SIZES = (1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 48, 64, 65, 70)


class Case(NamedTuple):
    cell: cells.Cell
    x: Tensor
    state: Any
    weights: dict[str, Tensor]
    options: dict[str, Any]


def build_cell(pick: random.Random, inputs: int, hidden: int) -> cells.Cell:
    bias = pick.random() < 0.7
    kind = pick.choice(("elman", "leaky", "lstm", "lstm", "gru", "any", "any", "any"))
    if kind == "any":
        name = pick.choice(sorted(cells.CELLS))
        sizes = {"clockwork": {"periods": (1, 2)[: min(hidden, 2)]}}
        return cells.build_cell(name, inputs, hidden, sizes.get(name))
    if kind == "gru":
        return cells.GRU(inputs, hidden, bias=bias, reset_after=pick.random() < 0.6)
    if kind == "lstm":
        return cells.LSTM(
            inputs,
            hidden,
            bias=bias,
            peephole=pick.random() < 0.4,
            layer_norm=pick.random() < 0.4,
            projection=pick.randrange(1, hidden)
            if hidden > 1 and pick.random() < 0.4
            else 0,
        )
    name = pick.choice(cells.ACTIVATIONS)
    if kind == "leaky":
        return cells.Leaky(
            inputs, hidden, bias=bias, nonlinearity=name, leak_rate=pick.random() or 1.0
        )
    return cells.Elman(inputs, hidden, bias=bias, nonlinearity=name)


def random_case(
    seed: int,
    dtype: torch.dtype = torch.float64,
    build: Callable[[random.Random, int, int], cells.Cell] = build_cell,
) -> Case:
    """A cell, a batch in some memory layout, and some of every option."""
    pick, generator = random.Random(seed), torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    def mask(p: float, *shape: int) -> Tensor:
        return torch.rand(shape, generator=generator) < p

    steps, batch = pick.choice((1, 2, 5, 9)), pick.choice((1, 2, 3, 6, 20))
    inputs, hidden = pick.choice(SIZES), pick.choice(SIZES)
    cell = build(pick, inputs, hidden)
    scale = 1.5 / hidden**0.5
    torch.manual_seed(seed)  # fresh weights are drawn from torch's own generator
    weights = {
        name: start.detach().to(dtype) + randn(*start.shape) * scale
        for name, start in cell.like(inputs).weights().items()
    }
    layout = pick.randrange(4)
    if layout == 0:
        x = randn(steps, batch, inputs)
    elif layout == 1:
        x = randn(batch, steps, inputs).transpose(0, 1)
    elif layout == 2:
        x = randn(inputs, batch, steps).permute(2, 1, 0)
    else:
        x = randn(steps, batch + 1, 2 * inputs + 1)[:, 1:, 1::2]
    fields = cell.state_sizes

    def state_of(*lead: int, positive: bool = True) -> Any:
        found = {field: randn(*lead, size) for field, size in fields.items()}
        if "n" in found:  # of the sLSTM: a sum of positive numbers, the divisor of c
            found["n"] = found["n"].abs() + positive
        return cell.State(**found)

    options: dict[str, Any] = {"reverse": pick.random() < 0.5}
    if pick.random() < 0.6:
        options["lengths"] = torch.randint(0, steps + 1, (batch,), generator=generator)
    if pick.random() < 0.4:
        options |= {"reset": mask(0.3, steps, batch), "initial": state_of(batch)}
    if pick.random() < 0.3:
        options["perturbation"] = state_of(steps, batch, positive=False)
    if pick.random() < 0.3:
        gain = randn(steps, batch)
        options["carry_gain"] = gain.where(mask(0.7, steps, batch), 0.0)
    options["recompute"] = pick.random() < 0.3
    noise: dict[str, Any] = {}
    if pick.random() < 0.3:
        noise["recurrent_mask"] = mask(0.7, batch, fields["h"]).to(dtype) / 0.7
    if pick.random() < 0.3:
        held = [f for f in fields if pick.random() < 0.7]
        noise["hold"] = {
            f: mask(0.4, steps, batch, fields[f]) if pick.random() < 0.6 else 0.3
            for f in held
        } or None
    options["noise"] = Noise(**noise)
    return Case(cell, x, state_of(batch), weights, options)


def leaves(case: Case) -> list[Tensor]:
    found = [case.x, *case.state, *case.weights.values()]
    for name in ("initial", "perturbation"):
        found += list(case.options.get(name) or ())
    return found


def results(case: Case, backend: str, seed: int) -> list[Tensor]:
    """Outputs, final state, all states, and the gradients of a random sum of them."""
    # detach keeps the memory layout, which a clone would not.
    tensors = [t.detach().requires_grad_() for t in leaves(case)]
    left = iter(tensors)
    x = next(left)
    state = type(case.state)(*(next(left) for _ in case.state))
    weights = {name: next(left) for name in case.weights}
    options = dict(case.options)
    for name in ("initial", "perturbation"):
        if name in options:
            options[name] = type(options[name])(*(next(left) for _ in options[name]))
    weights = case.cell.prepare(weights)
    done = unroll(
        case.cell, x, state, weights, **options, return_states=True, backend=backend
    )
    found = [done.outputs, *done.final_state, *done.states]
    generator = torch.Generator().manual_seed(seed)
    total = sum(
        (t * torch.randn(t.shape, generator=generator, dtype=t.dtype)).sum()
        for t in found
    )
    gradients = torch.autograd.grad(total, tensors, materialize_grads=True)
    return [t.detach() for t in found] + list(gradients)
