r"""The regulariser Ω, which keeps the gradient's norm on its way back through time.

    Ω = Σ_t (‖δ_t ∂s_t/∂s_{t-1}‖ / ‖δ_t‖ - 1)²,  δ_t = ∂L/∂s_t

Pascanu, Mikolov and Bengio, arXiv 1211.5063, for the whole state s of any cell. As in
their code, terms with ‖δ_t‖² < 1e-20 do not count, and only the immediate derivative is
taken: states, δ and the slopes of the cell are constants, and Ω is a function of the
recurrent matrices that stand between s_{t-1} and s_t. For tanh units it is that of
δ_t ∂s_t/∂s_{t-1} = W_hhᵀ diag(1 - h_t²) δ_t with h_t and δ_t held.

Around forward and backward pass, probes keep every state and δ. Ω and its gradient are
then one step of the cell on each of T·B rows, many at once, with no way back in time.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from throughtime.cells import Cell
from throughtime.checks import number
from throughtime.errors import InvalidShape, InvalidType, InvalidValue, unknown_name
from throughtime.layers import Recurrent
from throughtime.layers.ragged import reverse_reset
from throughtime.layers.trace import map_state

BOUND = 1e-20
# The matrices between one state and the next; all other parameters are constants.
MATRICES = ("weight_hh", "weight_mh", "weight_hr")
REDUCTIONS = ("sum", "mean")
MASKS = ("recurrent_dropout", "weight_drop")
# Rows at once, so that memory for a long sequence stays small.
BLOCK = 4096


@dataclass
class _Call:
    """One call of a layer, time first: what went in, and its states."""

    layer: Recurrent
    x: Tensor
    before: tuple[Any, ...]
    reset: Tensor | None
    lengths: Any
    added: tuple[Any, ...]
    wants_states: bool
    states: tuple[Any, ...] = ()


class _Steps(NamedTuple):
    """All steps of one layer and direction, a row for each step and sequence.

    rows: those that count, (N,).
    x: their input; (T·B, I), like all that follow.
    before: s_{t-1}, by field.
    delta: δ_t, by field.
    """

    cell: Cell
    weights: dict[str, Tensor]
    batch: int
    rows: Tensor
    x: Tensor
    before: Any
    delta: Any


class OmegaProbes:
    """States and δ of one forward and backward pass, see ``omega_probes``."""

    def __init__(self, calls: dict[str, _Call]) -> None:
        self._calls = calls

    def add_gradient(
        self, alpha: float, *, power: int = 1, reduction: str = "sum"
    ) -> float:
        """Add α ∂Ω/∂W to the gradient of every recurrent matrix.

        Args:
            alpha: α >= 0; 0 measures Ω and adds nothing.
            power: of the quotient of norms: 1 as in the paper; 2, which compares
                squared norms, as in its authors' code.
            reduction: ``sum`` over steps and layers, of the mean over sequences, as in
                the paper; ``mean`` over all terms that count, as in the code, so that α
                need not be chosen anew for another length.

        Returns:
            Ω, without α.

        Raises:
            InvalidType: ``alpha`` is no number.
            InvalidValue: ``alpha`` is negative, ``power`` or ``reduction`` unknown; or
                no layer was called, or there was no backward pass.
        """
        number("alpha", alpha, minimum=0)
        if power not in (1, 2):
            raise InvalidValue(f"power must be 1 or 2, got {power!r}")
        if reduction not in REDUCTIONS:
            raise unknown_name("reduction", reduction, REDUCTIONS)
        if not self._calls:
            raise InvalidValue(
                "no recurrent layer was called while the probes were set, so there is "
                "no Ω; run the forward pass inside `with omega_probes(model)`"
            )
        calls = list(self._calls.values())
        deltas = [f.grad for call in calls for state in call.added for f in state]
        if all(delta is None for delta in deltas):
            raise InvalidValue(
                "there is no δ, because no loss of these layers has been "
                "differentiated; call loss.backward() before add_gradient"
            )
        layers = [steps for call in calls for steps in _steps(call)]
        count = sum(len(steps.rows) for steps in layers)
        value = torch.zeros((), dtype=torch.float64)
        for steps in layers:
            share = 1 / (steps.batch if reduction == "sum" else count or 1)
            for rows in steps.rows.split(BLOCK):
                terms = (_quotients(steps, rows) ** power - 1) ** 2
                omega = share * terms.sum()
                value = value.to(omega.device) + omega.detach()
                if alpha and len(rows):
                    _add(alpha * omega, steps.weights)
        return float(value)


def _add(scaled: Tensor, weights: dict[str, Tensor]) -> None:
    known = [w for n, w in weights.items() if n in MATRICES and w.requires_grad]
    if not known:
        return
    found = torch.autograd.grad(scaled, known, materialize_grads=True)
    for weight, gradient in zip(known, found, strict=True):
        weight.grad = gradient if weight.grad is None else weight.grad + gradient


@contextmanager
def omega_probes(model: nn.Module) -> Generator[OmegaProbes]:
    """Keep states and δ of the recurrent layers of ``model`` while it runs.

    Forward pass and ``loss.backward()`` belong inside, each layer is called once at
    most, and ``probes.add_gradient(alpha)`` comes after the backward pass, before
    clipping.

    Args:
        model: is or contains layers ``tt.Recurrent``, ``tt.RNN``, ``tt.LSTM`` or
            ``tt.GRU``, of cells with a matrix between one state and the next.

    Raises:
        InvalidType: no recurrent layer in the model.
        InvalidValue: a layer without recurrent matrix or with random masks; a second
            call of a layer, or a call with a packed sequence or a perturbation.
        InvalidShape: a call without a batch.

    >>> import throughtime as tt
    >>> layer, x = tt.RNN(2, 3), torch.randn(5, 4, 2)
    >>> with omega_probes(layer) as probes:
    ...     layer(x)[0][-1].sum().backward()
    >>> probes.add_gradient(2.0) > 0
    True
    """
    layers = {
        f"layer {name!r}" if name else "the layer": part
        for name, part in model.named_modules()
        if isinstance(part, Recurrent)
    }
    if not layers:
        raise InvalidType(
            "model has no recurrent layer of throughtime, so there is no Ω; use "
            "tt.Recurrent, tt.RNN, tt.LSTM or tt.GRU in it"
        )
    for name, layer in layers.items():
        _check(name, layer)
    calls: dict[str, _Call] = {}
    handles = [h for n, layer in layers.items() for h in _hooks(n, layer, calls)]
    try:
        yield OmegaProbes(calls)
    finally:
        for handle in handles:
            handle.remove()


def _check(name: str, layer: Recurrent) -> None:
    """Raise unless Ω of the layer is defined and can be computed."""
    for index, cell in enumerate(layer.cells):
        if not set(MATRICES) & layer.weights(index).keys():
            raise InvalidValue(
                f"{name} has a cell {cell.name!r} without a recurrent matrix that Ω "
                "could act on; use a cell with weight_hh, such as Elman, LSTM or GRU"
            )
    masks = {"zoneout": any(layer.zoneout.values())}
    if layer.training:
        masks |= {option: getattr(layer, option) > 0 for option in MASKS}
        masks["dropout"] = layer.dropout > 0 and layer.num_layers > 1
    for option, used in masks.items():
        if used:
            raise InvalidValue(
                f"{name} has {option}={getattr(layer, option)}, but Ω is computed from "
                f"states, which do not tell the masks; use {option}=0"
            )


def _hooks(name: str, layer: Recurrent, calls: dict[str, _Call]) -> list[Any]:
    """Hooks that ask the layer for its states and add zeros that take δ."""

    def before(_: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if name in calls:
            raise InvalidValue(
                f"{name} was called twice, and δ would be that of both calls; use one "
                "`with omega_probes(model)` for each call and its backward pass"
            )
        call = calls[name] = _read(name, layer, args, kwargs)
        mine = {"perturbation": call.added, "return_states": True}
        return args, {**kwargs, **mine}

    def after(_: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        call, (outputs, final, trace) = calls[name], output
        swap = layer.batch_first
        call.states = map_state(trace.states, lambda s: _time_first(s.detach(), swap))
        # Without what only the probes have asked for.
        if call.wants_states:
            return output
        if kwargs.get("return_gates"):
            return outputs, final, trace._replace(states=None)
        return outputs, final

    return [
        layer.register_forward_pre_hook(before, with_kwargs=True),
        layer.register_forward_hook(after, with_kwargs=True),
    ]


def _read(name: str, layer: Recurrent, args: Any, kwargs: dict[str, Any]) -> _Call:
    """The arguments of a call."""
    bound = signature(layer.forward).bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    x, state = list(given.values())[:2]  # which have other names in torch's layers
    if not isinstance(x, Tensor):
        raise InvalidValue(
            f"{name} was called with {type(x).__name__}, which Ω does not read; use a "
            "padded tensor and lengths"
        )
    if x.dim() != 3:
        raise InvalidShape(
            f"{name} must be called with a batch of sequences, 3 dimensions, got shape "
            f"{tuple(x.shape)}; use x.unsqueeze"
        )
    if given["perturbation"] is not None:
        raise InvalidValue(
            f"{name} was called with a perturbation, which Ω needs for itself; leave "
            "it out"
        )
    added = layer.zero_perturbation(x)
    x = _time_first(x.detach(), layer.batch_first)
    reset = given["reset"]
    return _Call(
        layer=layer,
        x=x,
        before=map_state(layer.read_state(state, x.size(1)), torch.detach),
        reset=None if reset is None else _time_first(reset, layer.batch_first),
        lengths=given["lengths"],
        added=added,
        wants_states=given["return_states"],
    )


def _time_first(value: Tensor, batch_first: bool) -> Tensor:
    return value.transpose(0, 1) if batch_first else value


def _steps(call: _Call) -> Iterator[_Steps]:
    """The steps of every layer and direction."""
    layer, x = call.layer, call.x
    for index, cell in enumerate(layer.cells):
        added, before = call.added[index], _states_before(call, index)
        delta = [torch.zeros_like(f) if f.grad is None else f.grad for f in added]
        flat = [field.flatten(0, 1) for field in delta]
        squared = torch.stack([field.square().sum(-1) for field in flat]).sum(0)
        yield _Steps(
            cell,
            layer.weights(index),
            x.size(1),
            (squared >= BOUND).nonzero().squeeze(-1),
            x.flatten(0, 1),
            type(before)(*(field.flatten(0, 1) for field in before)),
            type(before)(*flat),
        )
        if (index + 1) % layer.num_directions == 0:  # on to the next layer
            first = index + 1 - layer.num_directions
            above = torch.cat([s.h for s in call.states[first : index + 1]], -1)
            x = above + x if layer.residual and first > 0 else above


def _states_before(call: _Call, index: int) -> Any:
    """s_{t-1} of all t: the states one step later, behind the one they start from."""
    layer, start = call.layer, call.before[index]
    backwards = index % layer.num_directions == 1
    fields = []
    for every, first in zip(call.states[index], start, strict=True):
        parts = [every[1:], first[None]] if backwards else [first[None], every[:-1]]
        fields.append(torch.cat(parts) if len(every) else every)
    if call.reset is not None:
        reset, lengths = call.reset, call.lengths
        if backwards:
            lengths = None if lengths is None else torch.as_tensor(lengths)
            reset = reverse_reset(reset, lengths)
        initial = layer.initial_state(call.x.size(1))[index]
        fields = [
            torch.where(reset.unsqueeze(-1), i.detach(), f)
            for i, f in zip(initial, fields, strict=True)
        ]
    return type(start)(*fields)


def _quotients(steps: _Steps, rows: Tensor) -> Tensor:
    """‖δ_t ∂s_t/∂s_{t-1}‖ / ‖δ_t‖ of these rows, (N,)."""
    weights = steps.cell.prepare(steps.weights)
    constants = {
        name: w.detach() if isinstance(w, Tensor) and name not in MATRICES else w
        for name, w in weights.items()
    }
    delta = [field[rows] for field in steps.delta]
    old = type(steps.before)(*(f[rows].requires_grad_() for f in steps.before))
    with torch.no_grad():
        a_x = steps.cell.input_part(steps.x[rows], weights)
    with torch.enable_grad(), _ConstantProducts():
        new, _ = steps.cell.advance(a_x, old, constants)
    pairs = [(s, d) for s, d in zip(new, delta, strict=True) if s.requires_grad]
    back = torch.autograd.grad(
        [s for s, _ in pairs],
        list(old),
        [d for _, d in pairs],
        create_graph=True,
        materialize_grads=True,
    )
    norms = [torch.linalg.vector_norm(torch.cat(f, -1), dim=-1) for f in (back, delta)]
    return norms[0] / norms[1]


class _ConstantProducts(TorchFunctionMode):
    """Products whose value is a constant; only the way back through them knows W."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is F.linear:
            return _Product.apply(args[0], args[1:])
        return func(*args, **(kwargs or {}))


class _Product(torch.autograd.Function):
    """u Wᵀ + b for (u, W, b), differentiable in u, whose gradient g W is so in W."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, held: tuple[Any, ...]) -> Tensor:
        ctx.weight = held[0]
        return F.linear(u, *held)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] @ ctx.weight, None
