"""The core's time loops, forward and backward, on tensors of the CPU.

No autograd and no checks here: ``layers`` registers these functions with torch and
hands in tensors that fit.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from throughtime.kernels.definitions import encoded, program_of
from throughtime.kernels.library import Library, Problem, library
from throughtime.kernels.memory import empty
from throughtime.kernels.program import Program, Variant

DTYPES = (torch.float32, torch.float64)


class Inputs(NamedTuple):
    """What a layer reads. Time first; None where there is none.

    x (T, B, I), weight_ih (G H, I), weight_hh (G H, P), weight_mh (G H, H) of the
    products inside a step, biases (G H,), weight_hr (P, H) with a projection, else
    P = H; h (B, P) and c (B, C H), the state before the first step, c all fields beside
    h next to each other; extra (n, H), the parameters per unit; lengths (B,); reset
    (T, B) and the initial state it returns to; mask (B, P) on h in the recurrent
    product and on what enters those inside a step; hold (T, B, P or C H), True where a
    unit keeps its old value, and share, the part of the old value, by field; added
    (T, B, P or C H), after each step; carry_gain (T, B) on the gradient of the state
    that enters a step. ``cell`` is the key of a definition, see ``definitions``, and
    ``gates`` asks for all its gates; ``triton`` asks for Triton's kernels.

    Or packed (T,), the number of the first row of each step, where only steps that
    exist have rows: x is (1, N, I) then, and so is whatever has a T elsewhere.
    Sequences come from long to short.
    """

    x: Tensor
    weight_ih: Tensor
    h: Tensor
    c: Tensor | None = None
    weight_hh: Tensor | None = None
    weight_mh: Tensor | None = None
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    bias_mh: Tensor | None = None
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
    share: Sequence[float] = (0.0,)  # torch takes an empty list for one of tensors
    reverse: bool = False
    cell: str = ""
    gates: bool = False
    triton: bool = False

    @property
    def hidden_size(self) -> int:
        """H."""
        if self.weight_hr is not None:
            return self.weight_hr.size(1)
        return self.h.size(1)

    def program(self, save: bool) -> Program:
        """What the core runs for these inputs."""
        untouched = (self.hold_h, self.hold_c, self.added_h, self.added_c)
        pure = not any(self.share) and all(t is None for t in untouched)
        projected = self.weight_hr is not None
        return program_of(self.cell, Variant(save, pure, projected, self.gates))


class Outputs(NamedTuple):
    """What a layer writes.

    h_steps, c_steps: all states, (T, B, P) and (T, B, C H); h is 0, and c undefined,
    where a step does not exist. h, c: the final state. saved: (T, B, slots, H), for
    ``backward``. Without c, and unless something is to be saved, these are empty.
    """

    h_steps: Tensor
    c_steps: Tensor
    h: Tensor
    c: Tensor
    saved: Tensor


def outputs_like(
    inputs: Inputs,
    save: bool,
    new: Callable[[tuple[int, ...], Tensor], Tensor] = lambda shape, x: x.new_empty(
        shape
    ),
) -> Outputs:
    """Uninitialised outputs of the right shapes, made by ``new``."""
    x, steps, rows = inputs.x, inputs.x.size(0), inputs.x.size(1)
    batch, projected = inputs.h.shape
    size, c = inputs.hidden_size, inputs.c
    slots = 0
    if save or inputs.gates:
        slots = inputs.program(save).slots(int(size))
    return Outputs(
        new((steps, rows, projected), x),
        new((0,) if c is None else (steps, rows, c.size(1)), x),
        new((batch, projected), x),
        new((0,) if c is None else (batch, c.size(1)), x),
        new((steps, rows, slots, size) if slots else (0,), x),
    )


def forward(inputs: Inputs, save: bool) -> Outputs:
    """All steps forward; with ``save`` what ``backward`` needs is kept."""
    inputs = ready(inputs)
    outputs = outputs_like(inputs, save, empty)
    _core().run("tt_forward", problem_of(inputs, outputs, save))
    return outputs


def forward_both(pair: Sequence[Inputs], save: bool) -> list[Outputs]:
    """``forward`` of two layers that do not depend on each other, together."""
    pair = [ready(inputs) for inputs in pair]
    outputs = [outputs_like(inputs, save, empty) for inputs in pair]
    first, second = (problem_of(i, o, save) for i, o in zip(pair, outputs, strict=True))
    _core().run_both("tt_forward", (first, second))
    return outputs


_GRADIENTS = (
    "x",
    "weight_ih",
    "weight_hh",
    "weight_mh",
    "bias_ih",
    "bias_hh",
    "bias_mh",
    "weight_hr",
    "extra",
)


def backward(
    inputs: Inputs,
    outputs: Outputs,
    grads: Outputs | tuple[Tensor | None, ...],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Gradients of the first fields of ``Inputs``, where ``wanted``.

    Args:
        inputs: as given to ``forward``.
        outputs: as returned by ``forward`` with ``save``.
        grads: of ``h_steps``, ``c_steps``, ``h`` and ``c``, or None.
        wanted: one flag per tensor field of ``Inputs``.
    """
    task = _Backward(inputs, outputs, grads, wanted)
    _core().run("tt_backward", task.problem)
    return task.gradients()


def backward_both(
    pair: Sequence[Inputs],
    outputs: Sequence[Outputs],
    grads: Sequence[Outputs | tuple[Tensor | None, ...]],
    wanted: Sequence[Sequence[bool]],
) -> list[list[Tensor | None]]:
    """``backward`` of two layers that do not depend on each other, together."""
    first, second = (
        _Backward(pair[i], outputs[i], grads[i], wanted[i]) for i in range(2)
    )
    _core().run_both("tt_backward", (first.problem, second.problem))
    return [first.gradients(), second.gradients()]


class _Backward:
    """One backward problem: what goes in, and the memory for what comes out."""

    def __init__(
        self,
        inputs: Inputs,
        outputs: Outputs,
        grads: Outputs | tuple[Tensor | None, ...],
        wanted: Sequence[bool],
    ) -> None:
        inputs = ready(inputs)
        problem = problem_of(inputs, outputs, True)
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
                results[name] = empty(tuple(value.shape), value)
                if name in (*sparse, "initial_h", "initial_c"):
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
        return [
            self._results.get(name)
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


def problem_of(inputs: Inputs, outputs: Outputs | None, save: bool) -> Problem:
    """The core's form of all this; without ``outputs`` for a stream."""
    x, size = inputs.x, inputs.hidden_size
    program = inputs.program(save)
    problem = Problem(
        bytes=x.element_size(),
        threads=torch.get_num_threads(),
        reverse=inputs.reverse,
        T=x.size(0) if inputs.packed is None else inputs.packed.size(0),
        B=inputs.h.size(0),
        I=x.size(2),
        H=size,
        P=inputs.h.size(1),
        program=ctypes.pointer(encoded(program, size)),
        x=x.data_ptr(),
        x_step=x.stride(0),
        x_batch=x.stride(1),
        weight_ih=_address(inputs.weight_ih),
        weight_hh=_address(inputs.weight_hh),
        weight_mh=_address(inputs.weight_mh),
        bias_ih=_address(inputs.bias_ih),
        bias_hh=_address(inputs.bias_hh),
        bias_mh=_address(inputs.bias_mh),
        weight_hr=_address(inputs.weight_hr),
        extra=_address(inputs.extra),
        state=(_address(inputs.h), _address(inputs.c)),
        lengths=_address(inputs.lengths),
        packed=_address(inputs.packed),
        reset=_address(inputs.reset),
        initial=(_address(inputs.initial_h), _address(inputs.initial_c)),
        mask=_address(inputs.mask),
        hold=(_address(inputs.hold_h), _address(inputs.hold_c)),
        share=tuple(inputs.share),
        added=(_address(inputs.added_h), _address(inputs.added_c)),
        carry_gain=_address(inputs.carry_gain),
    )
    if outputs is not None:
        problem.states = (_address(outputs.h_steps), _address(outputs.c_steps))
        problem.final = (_address(outputs.h), _address(outputs.c))
        problem.saved = _address(outputs.saved) if outputs.saved.numel() else None
    return problem
