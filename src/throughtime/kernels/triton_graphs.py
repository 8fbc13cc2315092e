"""Functions of tensors as CUDA graphs: recorded once per shape, then replayed.

A time loop starts several short kernels per step, and starting one from Python takes
longer than running it; a graph starts them all at once. It has memory of its own, into
which the arguments and out of which the results are copied.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

Function = Callable[[Sequence[Any]], Sequence[Any]]
# Graphs that are kept: each holds the memory of a whole pass.
MOST = 16


class Replays:
    """The graphs of a process, the least recently used of which are given up.

    Args:
        most: shapes that are remembered.
        record: makes the replay of a function from its first arguments.
    """

    def __init__(
        self, most: int, record: Callable[[Function, Sequence[Any]], Function]
    ) -> None:
        self._most, self._record = most, record
        self._known: OrderedDict[Hashable, Function | None] = OrderedDict()
        self._lock = threading.Lock()

    def run(
        self, name: Hashable, function: Function, tensors: Sequence[Tensor | None]
    ) -> Sequence[Any]:
        """``function(tensors)``; what is run for the second time is recorded.

        Args:
            name: stands for the function and all it depends on beside the tensors.
            function: takes tensors or None, and returns some.
            tensors: its arguments.
        """
        shapes = tuple(
            None if t is None else (tuple(t.shape), t.dtype, t.device) for t in tensors
        )
        key = (name, shapes)
        with self._lock:
            if key not in self._known:
                # Most shapes of ragged batches come once: they need no graph.
                self._known[key] = None
                if len(self._known) > self._most:
                    self._known.popitem(last=False)
                return function(tensors)
            self._known.move_to_end(key)
            replay = self._known[key]
            if replay is None:
                replay = self._known[key] = self._record(function, tensors)
            return replay(tensors)


def record(function: Function, tensors: Sequence[Tensor | None]) -> Function:
    """A CUDA graph of ``function`` at these shapes."""
    into = [None if t is None else t.contiguous().clone() for t in tensors]
    # Everything that is done once, as compiling, must not fall into the recording.
    side, current = torch.cuda.Stream(), torch.cuda.current_stream()
    side.wait_stream(current)
    with torch.cuda.stream(side):
        function(into)
    current.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Other threads may go on using the GPU.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        made = function(into)

    def replay(tensors: Sequence[Tensor | None]) -> Sequence[Any]:
        for to, value in zip(into, tensors, strict=True):
            if to is not None and value is not None:
                to.copy_(value)
        graph.replay()
        return [None if t is None else t.clone() for t in made]

    return replay


_REPLAYS = Replays(MOST, record)


def run(
    name: Hashable, function: Function, tensors: Sequence[Tensor | None]
) -> Sequence[Any]:
    """``function(tensors)``, on CUDA by a graph; the first of them says where."""
    first = tensors[0]
    assert first is not None
    with torch.no_grad():
        if not first.is_cuda:
            return function(tensors)
        with torch.cuda.device(first.device):
            if torch.cuda.is_current_stream_capturing():  # someone else records
                return function(tensors)
            # Two streams must not share the memory of a graph.
            stream = torch.cuda.current_stream().cuda_stream
            precision = torch.get_float32_matmul_precision()
            return _REPLAYS.run((name, stream, precision), function, tensors)
