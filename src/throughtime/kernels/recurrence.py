"""The core's time loops, forward and backward, on tensors of the CPU.

No autograd and no checks here: ``layers`` registers these functions with torch and
hands in tensors that fit.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.kernels.library import Library, Problem, library
from throughtime.kernels.memory import empty

# As in native/src/throughtime.h.
CELLS = ("elman", "lstm", "gru", "gru_reset_before", "lstm_layer_norm")
ACTIVATIONS = (
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "gelu",
    "softplus",
    "elu",
    "leaky_relu",
)
# Vectors of H numbers that layer norm adds to ``extra``: gains of a_x (4) and a_h (4),
# biases (4), gain and bias of c.
NORM_VECTORS = 14
DTYPES = (torch.float32, torch.float64)


class Kind(NamedTuple):
    """Which cell: a name of ``CELLS``, one of ``ACTIVATIONS``, and its constants."""

    cell: str
    activation: str = "tanh"
    leak: float = 1.0
    alpha: float = 0.0

    @property
    def has_c(self) -> bool:
        """Whether the state has a field c beside h."""
        return self.cell.startswith("lstm")

    def slots(self, hidden_size: int) -> int:
        """Numbers kept per step, sequence and unit for the backward pass."""
        if self.cell == "lstm_layer_norm":
            return 9 + (4 + hidden_size - 1) // hidden_size
        return {"elman": 1, "gru_reset_before": 3}.get(self.cell, 4)


class Inputs(NamedTuple):
    """What a layer reads. Time first; None where there is none.

    x (T, B, I), weight_ih (G H, I), weight_hh (G H, P), biases (G H,), weight_hr (P, H)
    with a projection, else P = H; h (B, P) and c (B, H), the state before the first
    step; extra (n, H): with layer norm ``NORM_VECTORS`` vectors, with peepholes 3 more,
    or the slope of PReLU (); lengths (B,); reset (T, B) and the initial state it
    returns to; mask (B, P) on h in the recurrent product; hold (T, B, P or H), True
    where a unit keeps its old value, or share, the part of the old value; added
    (T, B, P or H), after each step; carry_gain (T, B) on the gradient of the state that
    enters a step.

    Or packed (T,), the number of the first row of each step, where only steps that
    exist have rows: x is (1, N, I) then, and so is whatever has a T elsewhere.
    Sequences come from long to short.
    """

    x: Tensor
    weight_ih: Tensor
    weight_hh: Tensor
    h: Tensor
    c: Tensor | None = None
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_hr: Tensor | None = None
    extra: Tensor | None = None
    lengths: Tensor | None = None
    reset: Tensor | None = None
    initial_h: Tensor | None = None
    initial_c: Tensor | None = None
    mask: Tensor | None = None
    hold_h: Tensor | None = None
    hold_c: Tensor | None = None
    added_h: Tensor | None = None
    added_c: Tensor | None = None
    carry_gain: Tensor | None = None
    packed: Tensor | None = None
    share_h: float = 0.0
    share_c: float = 0.0
    reverse: bool = False

    @property
    def hidden_size(self) -> int:
        """H."""
        weight = self.weight_hh if self.weight_hr is None else self.weight_hr
        return weight.size(1)


class Outputs(NamedTuple):
    """What a layer writes.

    h_steps, c_steps: all states, (T, B, P) and (T, B, H); h is 0, and c undefined,
    where a step does not exist. h, c: the final state. saved: (T, B, slots, H), for
    ``backward``; empty where h says it all.
    Without c, and unless to be saved, these are empty.
    """

    h_steps: Tensor
    c_steps: Tensor
    h: Tensor
    c: Tensor
    saved: Tensor


# Functions whose slope follows from their value.
_SLOPE_FROM_VALUE = ("identity", "sigmoid", "tanh", "relu")


def _h_is_enough(inputs: Inputs, kind: Kind) -> bool:
    """Whether ``backward`` needs nothing but h: it is the activation itself."""
    return (
        kind.cell == "elman"
        and kind.leak == 1
        and kind.activation in _SLOPE_FROM_VALUE
        and inputs.hold_h is None
        and inputs.share_h == 0
        and inputs.added_h is None
    )


def outputs_like(
    inputs: Inputs,
    kind: Kind,
    save: bool,
    new: Callable[[tuple[int, ...], Tensor], Tensor] = lambda shape, x: x.new_empty(
        shape
    ),
) -> Outputs:
    """Uninitialised outputs of the right shapes, made by ``new``."""
    x, steps, rows = inputs.x, inputs.x.size(0), inputs.x.size(1)
    batch = inputs.h.size(0)
    size, projected = inputs.hidden_size, inputs.weight_hh.size(1)
    save = save and not _h_is_enough(inputs, kind)
    return Outputs(
        new((steps, rows, projected), x),
        new((steps, rows, size) if kind.has_c else (0,), x),
        new((batch, projected), x),
        new((batch, size) if kind.has_c else (0,), x),
        new((steps, rows, kind.slots(size), size) if save else (0,), x),
    )


def forward(inputs: Inputs, kind: Kind, save: bool) -> Outputs:
    """All steps forward; with ``save`` what ``backward`` needs is kept."""
    inputs = ready(inputs)
    outputs = outputs_like(inputs, kind, save, empty)
    _core().run("tt_forward", problem_of(inputs, kind, outputs))
    return outputs


def forward_both(pair: Sequence[tuple[Inputs, Kind]], save: bool) -> list[Outputs]:
    """``forward`` of two layers that do not depend on each other, together."""
    pair = [(ready(inputs), kind) for inputs, kind in pair]
    outputs = [outputs_like(inputs, kind, save, empty) for inputs, kind in pair]
    first, second = (problem_of(*p, o) for p, o in zip(pair, outputs, strict=True))
    _core().run_both("tt_forward", (first, second))
    return outputs


_GRADIENTS = (
    "x",
    "weight_ih",
    "weight_hh",
    "bias_ih",
    "bias_hh",
    "weight_hr",
    "extra",
)


def backward(
    inputs: Inputs,
    kind: Kind,
    outputs: Outputs | None,
    grads: Outputs | tuple[Tensor | None, ...],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients of the first fields of ``Inputs``, where ``wanted``.

    Args:
        inputs: as given to ``forward``.
        kind: as given to ``forward``.
        outputs: as returned by ``forward``; None: computed again.
        grads: of ``h_steps``, ``c_steps``, ``h`` and ``c``, or None.
        wanted: one flag per tensor field of ``Inputs``.
    """
    if outputs is None:
        outputs = forward(inputs, kind, True)
    task = _Backward(inputs, kind, outputs, grads, wanted)
    _core().run("tt_backward", task.problem)
    return task.gradients()


def backward_both(
    pair: Sequence[tuple[Inputs, Kind]],
    outputs: Sequence[Outputs] | None,
    grads: Sequence[Outputs | tuple[Tensor | None, ...]],
    wanted: Sequence[Sequence[bool]],
) -> list[list[Tensor | None]]:
    """``backward`` of two layers that do not depend on each other, together."""
    if outputs is None:
        outputs = forward_both(pair, True)
    first, second = (
        _Backward(*pair[i], outputs[i], grads[i], wanted[i]) for i in range(2)
    )
    _core().run_both("tt_backward", (first.problem, second.problem))
    return [first.gradients(), second.gradients()]


class _Backward:
    """One backward problem: what goes in, and the memory for what comes out."""

    def __init__(
        self,
        inputs: Inputs,
        kind: Kind,
        outputs: Outputs,
        grads: Outputs | tuple[Tensor | None, ...],
        wanted: Sequence[bool],
    ) -> None:
        inputs = ready(inputs)
        problem = problem_of(inputs, kind, outputs)
        grad_steps = grads[0]
        if grad_steps is not None:
            grad_steps = _rows(grad_steps)
            problem.grad_out = grad_steps.data_ptr()
            problem.grad_step, problem.grad_batch = grad_steps.stride()[:2]
        incoming = [_contiguous(g) for g in grads[1:4]]
        problem.grad_states = (None, _address(incoming[0]))
        problem.grad_final = (_address(incoming[1]), _address(incoming[2]))

        results: dict[str, Tensor] = {}
        # Steps that do not exist, and sequences without a reset, are not written.
        padded = inputs.lengths is not None and inputs.packed is None
        sparse = ("added_h", "added_c", "x") if padded else ()
        for name, want in zip(Inputs._fields, wanted, strict=False):
            value = getattr(inputs, name)
            if want and isinstance(value, Tensor):
                shared = name == "extra" and value.dim() == 0
                shape = (inputs.hidden_size,) if shared else tuple(value.shape)
                results[name] = empty(shape, value)
                if shared or name in (*sparse, "initial_h", "initial_c"):
                    results[name].zero_()
        for name in _GRADIENTS:
            setattr(problem, f"grad_{name}", _address(results.get(name)))
        for target, names in (
            ("grad_state", ("h", "c")),
            ("grad_initial", ("initial_h", "initial_c")),
            ("grad_added", ("added_h", "added_c")),
        ):
            setattr(problem, target, tuple(_address(results.get(n)) for n in names))
        self.problem, self._results, self._wanted = problem, results, wanted
        # The problem holds addresses only.
        self._alive = (inputs, outputs, grad_steps, incoming)

    def gradients(self) -> list[Tensor | None]:
        """One entry per flag of ``wanted``, after the run."""
        results = self._results
        extra = self._alive[0].extra
        if "extra" in results and extra is not None and extra.dim() == 0:
            results["extra"] = results["extra"].sum()  # units share the slope
        return [
            results.get(name)
            for name, _ in zip(Inputs._fields, self._wanted, strict=False)
        ]


def _core() -> Library:
    core = library()
    assert core is not None  # layers asked before
    return core


def ready(inputs: Inputs) -> Inputs:
    """The same inputs in layouts that the core can read."""
    contiguous = {
        name: _contiguous(value)
        for name, value in inputs._asdict().items()
        if isinstance(value, Tensor) and name != "x"
    }
    return inputs._replace(x=_rows(inputs.x), **contiguous)


def _rows(x: Tensor) -> Tensor:
    """Any strides for steps and sequences, but features side by side."""
    x = x.resolve_neg()
    return x if x.stride(2) == 1 or x.size(2) == 1 else x.contiguous()


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.resolve_neg().contiguous()


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def problem_of(inputs: Inputs, kind: Kind, outputs: Outputs | None) -> Problem:
    """The core's form of all this; without ``outputs`` for a stream."""
    x = inputs.x
    extra = inputs.extra
    alpha = kind.alpha
    if kind.cell == "elman" and extra is not None:
        alpha = float(extra)
    peepholes = NORM_VECTORS if kind.cell == "lstm_layer_norm" else 0
    problem = Problem(
        bytes=x.element_size(),
        cell=CELLS.index(kind.cell),
        activation=ACTIVATIONS.index(kind.activation),
        threads=torch.get_num_threads(),
        reverse=inputs.reverse,
        peephole=kind.has_c and extra is not None and extra.size(0) > peepholes,
        T=x.size(0) if inputs.packed is None else inputs.packed.size(0),
        B=inputs.h.size(0),
        I=x.size(2),
        H=inputs.hidden_size,
        P=inputs.weight_hh.size(1),
        leak=kind.leak,
        alpha=alpha,
        x=x.data_ptr(),
        x_step=x.stride(0),
        x_batch=x.stride(1),
        weight_ih=_address(inputs.weight_ih),
        weight_hh=_address(inputs.weight_hh),
        bias_ih=_address(inputs.bias_ih),
        bias_hh=_address(inputs.bias_hh),
        weight_hr=_address(inputs.weight_hr),
        extra=_address(extra),
        state=(_address(inputs.h), _address(inputs.c)),
        lengths=_address(inputs.lengths),
        packed=_address(inputs.packed),
        reset=_address(inputs.reset),
        initial=(_address(inputs.initial_h), _address(inputs.initial_c)),
        mask=_address(inputs.mask),
        hold=(_address(inputs.hold_h), _address(inputs.hold_c)),
        share=(inputs.share_h, inputs.share_c),
        added=(_address(inputs.added_h), _address(inputs.added_c)),
        carry_gain=_address(inputs.carry_gain),
    )
    if outputs is not None:
        problem.states = (_address(outputs.h_steps), _address(outputs.c_steps))
        problem.final = (_address(outputs.h), _address(outputs.c))
        problem.saved = _address(outputs.saved) if outputs.saved.numel() else None
    return problem
