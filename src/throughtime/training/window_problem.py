"""What Hessian-free optimisation asks of one training window."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.checks import number
from throughtime.errors import InvalidValue
from throughtime.layers import Recurrent
from throughtime.training.bptt import Window
from throughtime.training.carried import detach_state
from throughtime.training.objective import Evaluation


@contextmanager
def record_hidden(model: nn.Module) -> Generator[list[Tensor]]:
    """The hidden states of all recurrent layers that are called inside.

    Yields:
        A list that grows: h_1..h_T, (T, B, H), of every layer and direction of every
        ``Recurrent``, with its graph.

    Raises:
        InvalidValue: the model has no recurrent layer of this package.

    >>> import throughtime as tt
    >>> layer = tt.GRU(2, 3, num_layers=2)
    >>> with record_hidden(layer) as hidden:
    ...     outputs, state = layer(torch.zeros(5, 1, 2))
    >>> [tuple(h.shape) for h in hidden]
    [(5, 1, 3), (5, 1, 3)]
    """
    layers = [m for m in model.modules() if isinstance(m, Recurrent)]
    if not layers:
        raise InvalidValue(
            "structural damping needs a model with recurrent layers of throughtime, "
            f"got {type(model).__name__} without one; use structural_damping=0"
        )
    found: list[Tensor] = []

    def ask(layer: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        return args, {**kwargs, "return_states": True}

    def take(layer: nn.Module, args: Any, kwargs: Any, result: Any) -> Any:
        outputs, state, trace = result
        assert isinstance(layer, Recurrent)
        for part in trace.states:
            found.append(part.h.transpose(0, 1) if layer.batch_first else part.h)
        return outputs, state

    handles = [
        layer.register_forward_pre_hook(ask, with_kwargs=True) for layer in layers
    ]
    handles += [layer.register_forward_hook(take, with_kwargs=True) for layer in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


class WindowProblem:
    """One window of a training as the closures that ``HessianFree.step`` takes.

    ``optimizer.step(problem, problem.curvature)`` makes one step on the window, and
    ``problem.carried`` is then the detached state that starts the next one, computed
    with the parameters before the step.

    Args:
        model: ``outputs, state = model(inputs, state)``, time first.
        inputs: of all streams, (T, B, ...).
        targets: (T, B, ...).
        state: carried state at ``window.start``; None at the beginning.
        window: the steps to run.
        loss: ``loss(outputs, targets, mask=mask)``, one number, of what the model
            returns: not the one that a model offers for its features.
        mask: True where a target counts, (T, B); default: everywhere.
        hidden: also return the hidden states, for structural damping.
        curvature_share: part of the streams in (0, 1] that Gauss-Newton products are
            made on; at least one.
        turn: number of the update: which streams those are goes round with it.
        reduction: of ``loss``, ``mean`` or ``sum``.

    Raises:
        InvalidType: ``curvature_share`` is no number.
        InvalidValue: it is not in (0, 1], or it is below 1 where there is a state and
            the model has no ``select_state``.

    >>> import throughtime as tt
    >>> from throughtime.training.hessian_free import HessianFree
    >>> model, x = tt.GRU(2, 3), torch.randn(8, 1, 2)
    >>> window, *_ = tt.training.windows(tt.training.TruncatedBPTT(4), 8)
    >>> zeros = torch.zeros(8, 1, 3)
    >>> problem = WindowProblem(model, x, zeros, None, window, tt.losses.mse)
    >>> optimizer = HessianFree(model.parameters(), damping=0.1)
    >>> loss = optimizer.step(problem, problem.curvature)
    >>> optimizer.last.new_loss < loss, problem.carried.shape
    (True, torch.Size([1, 1, 3]))
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        state: Any,
        window: Window,
        loss: Callable[..., Tensor],
        mask: Tensor | None = None,
        *,
        hidden: bool = False,
        curvature_share: float = 1.0,
        turn: int = 0,
        reduction: str = "mean",
    ) -> None:
        number(
            "curvature_share",
            curvature_share,
            minimum=0,
            maximum=1,
            exclude_minimum=True,
        )
        self._model, self._window, self._loss = model, window, loss
        self._parts = inputs, targets, mask, state
        self._hidden = hidden
        self.carried: Any = None
        self.curvature: Callable[[], Evaluation] | None = None
        if curvature_share < 1:
            self.curvature = self._smaller(curvature_share, turn, reduction)

    def __call__(self) -> Evaluation:
        """Outputs, loss and hidden states of all streams."""
        found, state = self._run(*self._parts)
        if self.carried is None:
            self.carried = detach_state(state)
        return found

    def _run(
        self,
        inputs: Tensor,
        targets: Tensor,
        mask: Tensor | None,
        state: Any,
        scale: float = 1.0,
    ) -> tuple[Evaluation, Any]:
        model, window = self._model, self._window
        # A model without recurrent layers is an error only if they are asked for.
        if self._hidden:
            with record_hidden(model) as hidden:
                outputs, carried = self._outputs(model, inputs, state)
        else:
            hidden = []
            outputs, carried = self._outputs(model, inputs, state)
        counted = slice(window.loss_start, window.stop)
        wanted, kept = targets[counted], None if mask is None else mask[counted]

        def loss(outputs: Tensor) -> Tensor:
            part = outputs[window.loss_start - window.start :]
            return scale * self._loss(part, wanted, mask=kept)

        return Evaluation(outputs, loss, tuple(hidden)), carried

    def _outputs(
        self, model: nn.Module, inputs: Tensor, state: Any
    ) -> tuple[Tensor, Any]:
        window = self._window
        outputs, carried = model(inputs[window.start : window.carry], state)
        if window.carry < window.stop:
            rest, _ = model(inputs[window.carry : window.stop], carried)
            outputs = torch.cat([outputs, rest])
        return outputs, carried

    def _smaller(
        self, share: float, turn: int, reduction: str
    ) -> Callable[[], Evaluation]:
        inputs, targets, mask, state = self._parts
        streams = inputs.size(1)
        count = max(1, round(share * streams))
        chosen = (torch.arange(count) + turn * count) % streams
        chosen = chosen.to(inputs.device)
        if state is not None:
            select = getattr(self._model, "select_state", None)
            if select is None:
                raise InvalidValue(
                    "curvature_share < 1 needs the carried state of some streams, and "
                    f"{type(self._model).__name__} has no select_state(state, indices) "
                    "to give it; use curvature_share=1"
                )
            state = select(state, chosen)
        inputs, targets = (
            inputs.index_select(1, chosen),
            targets.index_select(1, chosen),
        )
        mask = None if mask is None else mask.index_select(1, chosen)
        scale = streams / count if reduction == "sum" else 1.0
        return lambda: self._run(inputs, targets, mask, state, scale)[0]
