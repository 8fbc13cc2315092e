"""The core's streams: one layer, one step at a time, weights packed once."""

import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.kernels.library import library
from throughtime.kernels.recurrence import Inputs, problem_of, ready


class CoreStream:
    """A layer of the core with a copy of its weights of its own, and its state.

    Args:
        inputs: weights, biases and shares as in ``forward``; h and c, (B, P) and
            (B, C H), are the state at the beginning; of x (1, B, I) the sizes count.
        half: keep the weights rounded to bfloat16, in half the memory; float32 only.
    """

    def __init__(self, inputs: Inputs, *, half: bool = False) -> None:
        core = library()
        assert core is not None  # layers asked before
        inputs = ready(inputs)
        problem = problem_of(inputs, None, False)
        problem.half = half
        self._handle = core.new_stream(problem)
        self._step = core.code.tt_stream_step
        self._move = core.code.tt_stream_state
        finalizer = weakref.finalize(self, core.code.tt_stream_free, self._handle)
        finalizer.atexit = False
        fields = (inputs.h, inputs.c)
        self._like = [t.detach().contiguous() for t in fields if t is not None]
        self.state = self._like

    def step(self, x: Tensor) -> Tensor:
        """h after one more step on ``x`` (B, I), contiguous."""
        out = torch.empty_like(self._like[0])  # new_empty takes twice as long
        self._step(self._handle, x.data_ptr(), out.data_ptr())
        return out

    @property
    def state(self) -> list[Tensor]:
        """Copies of h, and of c if there is one."""
        found = [torch.empty_like(like) for like in self._like]
        for index, field in enumerate(found):
            self._move(self._handle, index, field.data_ptr(), 0)
        return found

    @state.setter
    def state(self, fields: Sequence[Tensor]) -> None:
        for index, field in enumerate(fields):
            field = field.detach().contiguous()
            self._move(self._handle, index, field.data_ptr(), 1)
