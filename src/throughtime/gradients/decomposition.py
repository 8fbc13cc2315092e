r"""∂L/∂W through time, term by term.

With L = Σ_j L_j, and W_k the copy of W that acts at step k,

    ∂L/∂W = Σ_j Σ_k G[j, k],    G[j, k] = ∂L_j/∂W_k = ∂L_j/∂h_j ∂h_j/∂h_k ∂h_k/∂W_k,

where the last factor is the immediate derivative: h_{k-1} is held fixed (Werbos, 1990;
Pascanu, Mikolov and Bengio, arXiv 1211.5063, eq. 3-5). With one loss per step j = k..T
for a layer that runs forward, so T (T + 1) / 2 terms in all.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidType, InvalidValue, unknown_name
from throughtime.gradients.by_name import ByName
from throughtime.gradients.occurrences import Place, place, time_dim
from throughtime.gradients.stack_step import arguments
from throughtime.gradients.table import Part, Table
from throughtime.gradients.taps import Taps, Use


def decompose(
    model: nn.Module,
    inputs: Any,
    loss_fn: Callable[[Any], Tensor] | None = None,
    *,
    output_gradients: Tensor | None = None,
    loss_step: int | None = None,
    parameters: Sequence[str] | None = None,
    memory_limit: int = 2 * 2**30,
) -> "Decomposition":
    """The gradient of a loss as a table over loss step j and occurrence k.

    The model runs once, on the plain loop, and is differentiated once for all loss
    steps together. Parameters that act at a step are those of recurrent layers, of
    ``nn.Linear`` (``F.linear``) on a whole sequence, such as a read-out, and of
    embeddings; all others have a total and no table.

    Args:
        model: calls ``Recurrent`` layers (``tt.RNN``, ``tt.LSTM`` and ``tt.GRU`` are
            some), each at most once.
        inputs: the input of ``model``, or a tuple of inputs.
        loss_fn: from the output of ``model`` to one loss per step, (T,), or to one
            number, which then is the only loss step.
        output_gradients: in the place of ``loss_fn``, ∂L/∂o_t for every step, of the
            shape of the model's output (the first, if it returns several).
        loss_step: the step to which a loss of one number belongs; default: the last.
            Only lags depend on it.
        parameters: names of the parameters of interest; default: all with a gradient.
        memory_limit: bytes that the results may take.

    Raises:
        InvalidType: no recurrent layer was called.
        InvalidValue: a layer was called twice, an unknown parameter, a loss that does
            not depend on the model, or results beyond ``memory_limit``.
        InvalidShape: the loss is neither one number nor one per step.

    >>> import throughtime as tt
    >>> layer = tt.RNN(2, 3)
    >>> x = torch.randn(5, 1, 2)
    >>> terms = decompose(layer, x, lambda out: out[0].square().sum((1, 2)))
    >>> terms.norms["weight_hh_l0"].shape, terms.term("weight_hh_l0", 4, 2).shape
    (torch.Size([5, 5]), torch.Size([3, 3]))
    """
    if (loss_fn is None) == (output_gradients is None):
        raise InvalidValue("give either loss_fn or output_gradients, and not both")
    positive_int("memory_limit", memory_limit)
    known = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for name in parameters or ():
        if name not in known:
            raise unknown_name("parameter", name, known)
    taps = Taps()
    with taps.listening(model):
        outputs = model(*arguments(inputs))
        if not taps.layouts:
            raise InvalidType(
                "model called no recurrent layer of throughtime, so there is no "
                "gradient through time; use tt.Recurrent, tt.RNN, tt.LSTM or tt.GRU"
            )
        output = next(t for t in tree_leaves(outputs) if isinstance(t, Tensor))
        if loss_fn is not None:
            losses = loss_fn(outputs)
        else:
            losses = _inner_products(output, output_gradients, taps)
    wanted = {n: known[n] for n in (known if parameters is None else parameters)}
    return Decomposition(
        taps, output, _checked(losses), wanted, loss_step, memory_limit
    )


def _inner_products(output: Tensor, gradients: Any, taps: Taps) -> Tensor:
    """L_t = ⟨∂L/∂o_t, o_t⟩, whose derivative is that of the loss itself."""
    shape = getattr(gradients, "shape", type(gradients).__name__)
    if shape != output.shape:
        raise InvalidShape(
            f"output_gradients must have the shape of the model's output, "
            f"{tuple(output.shape)}, got {shape}"
        )
    time = time_dim(output.shape[:-1], taps.layouts)
    if time is None:
        raise InvalidShape(
            f"the model's output, of shape {tuple(output.shape)}, is no sequence, so "
            "output_gradients cannot be assigned to steps; use loss_fn"
        )
    return (gradients.detach() * output).movedim(time, 0).flatten(1).sum(1)


def _checked(losses: Any) -> Tensor:
    if not isinstance(losses, Tensor) or losses.dim() > 1 or losses.numel() == 0:
        got = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses)
        raise InvalidShape(
            "loss_fn must return one loss per step, shape (T,), or one number, got "
            f"{got}; sum over batch and features, as with .sum((1, 2))"
        )
    if not losses.requires_grad:
        raise InvalidValue(
            "the loss does not depend on the parameters of the model; compute it "
            "from the model's outputs, without detach() or torch.no_grad()"
        )
    return losses


class Decomposition:
    """The gradient of a loss through time; made by ``decompose``.

    Steps count from 0. Everything by name of a parameter is computed when it is first
    asked for, and G[j, k] itself only by ``term``.

    Attributes:
        losses: L_j, (J,).
        total: ∂L/∂W by name; equal to what ``backward`` gives.
        per_loss_step: ∂L_j/∂W by name, (J, *shape).
        per_occurrence: Σ_j G[j, k] by name, (T, *shape).
        per_lag: sums over all terms with |j - k| = lag by name, (T, *shape). The
            distance counts, so that both directions are covered; of a layer that runs
            forward, and of all layers that are not deep and bidirectional, only one
            side is there.
        norms: ‖G[j, k]‖ by name, (J, T), float64.
        outside: the part of the total that belongs to no step, such as that of an
            initial state: total = Σ_j Σ_k G[j, k] + outside.
        deltas: δ[j, k] = ∂L_j/∂a_k by name of a weight, (J, T, N, rows), where a is
            what its product gives, before the activation, and N runs over the batch.
        reverse: by layer and direction, as ``l0_reverse``: whether it runs from the
            last step on.
    """

    def __init__(
        self,
        taps: Taps,
        output: Tensor,
        losses: Tensor,
        parameters: Mapping[str, Tensor],
        loss_step: int | None,
        memory_limit: int,
    ) -> None:
        self.losses = losses.detach().reshape(-1)
        self.reverse = dict(taps.reverse)
        self._graph = losses.reshape(-1)
        self._taps, self._output = taps, output
        self._parameters, self._memory_limit = dict(parameters), memory_limit
        self._several = losses.dim() == 1
        self._loss_step = loss_step
        self._tables = self._make_tables()
        timed = [name for name, table in self._tables.items() if table.timed]
        every = list(parameters)
        self.total = ByName(every, self._total)
        self.outside = ByName(every, self._outside)
        self.per_loss_step = ByName(every, self._per_loss_step)
        self.norms = ByName(timed, lambda name: self._tables[name].norms())
        self.per_occurrence = ByName(timed, self._per_occurrence)
        self.per_lag = ByName(timed, self._per_lag)
        weights = [n for n in timed if self._products(n)]
        self.deltas = ByName(weights, self._delta)

    def __repr__(self) -> str:
        """One line: steps, and the parameters that have a table."""
        names = ", ".join(self.norms)
        return f"Decomposition of {len(self._graph)} loss steps, with tables of {names}"

    # ---- one backward pass for all

    def _make_tables(self) -> dict[str, Table]:
        uses = [
            (use, reached)
            for use in self._taps.uses
            if any(reached := [self._reached(piece) for piece in use.pieces])
        ]
        found = self._batched([use.probe for use, _ in uses], "the table")
        parts: dict[str, list[Part]] = {name: [] for name in self._parameters}
        for (use, _), delta in zip(uses, found, strict=True):
            self._sort_in(use, place(use, delta, self._taps.layouts), parts)
        return {n: Table(self._parameters[n], p) for n, p in parts.items() if p}

    def _sort_in(self, use: Use, where: Place, parts: dict[str, list[Part]]) -> None:
        for factor in where.factors:
            for name in self._reached(factor.piece):
                parts[name].append(Part(where, factor))

    def _reached(self, piece: Any) -> list[str]:
        """The parameters of interest that a piece is made of."""
        if piece is None:
            return []
        own = [n for n, p in self._parameters.items() if p is piece.source]
        if own or piece.source.is_leaf:
            return own
        names = list(self._parameters)
        # None for a parameter that is no part of it, which the types do not say.
        found: Any = torch.autograd.grad(
            piece.source.sum(),
            [self._parameters[name] for name in names],
            retain_graph=True,
            allow_unused=True,
        )
        return [n for n, g in zip(names, found, strict=True) if g is not None]

    def _batched(self, tensors: Sequence[Tensor], what: str) -> list[Tensor]:
        """The gradient of every loss step with respect to tensors, (J, *shape)."""
        count = len(self._graph)
        self._check_memory(count * sum(t.numel() for t in tensors), what)
        if not tensors:
            return []
        eye = torch.eye(count, dtype=self._graph.dtype, device=self._graph.device)
        with warnings.catch_warnings():
            # Some operations of a loss run one by one.
            warnings.filterwarnings("ignore", "There is a performance drop")
            found: Any = torch.autograd.grad(
                self._graph,
                tensors,
                eye,
                retain_graph=True,
                allow_unused=True,
                is_grads_batched=True,
            )
        return [
            t.new_zeros((count, *t.shape)) if g is None else g
            for t, g in zip(tensors, found, strict=True)
        ]

    def _check_memory(self, numbers: int, what: str) -> None:
        size = numbers * self.losses.element_size()
        if size > self._memory_limit:
            raise InvalidValue(
                f"{what} of {len(self.losses)} loss steps would take "
                f"{size / 2**20:,.0f} MiB, above memory_limit="
                f"{self._memory_limit / 2**20:,.0f} MiB; use fewer steps, a smaller "
                "batch, or parameters=[...]"
            )

    # ---- by parameter

    def _sized(self, name: str, what: str) -> Table:
        table = self._tables[name]
        self._check_memory(table.steps * table.parameter.numel(), f"{what} of {name}")
        return table

    def _per_occurrence(self, name: str) -> Tensor:
        return self._sized(name, "per_occurrence").per_occurrence()

    def _per_lag(self, name: str) -> Tensor:
        table = self._sized(name, "per_lag")
        return table.per_lag(self._lags(table.steps))

    def _lags(self, steps: int) -> Tensor:
        """|j - k|, (J, K)."""
        count = len(self.losses)
        when = torch.arange(count)
        if not self._several:
            when[0] = steps - 1 if self._loss_step is None else self._loss_step
            if not 0 <= when[0] < steps:
                raise InvalidValue(
                    f"loss_step must lie in [0, {steps - 1}], got {self._loss_step}"
                )
        elif count != steps:
            raise InvalidShape(
                f"{count} loss steps and {steps} occurrences have no lags; return one "
                "loss per step, or one number"
            )
        return (when[:, None] - torch.arange(steps)).abs().to(self.losses.device)

    def _outside(self, name: str) -> Tensor:
        parameter = self._parameters[name]
        (found,) = torch.autograd.grad(
            self._graph.sum(), parameter, retain_graph=True, materialize_grads=True
        )
        table = self._tables.get(name)
        return found if table is None else found + table.outside()

    def _total(self, name: str) -> Tensor:
        if name not in self._tables or not self._tables[name].timed:
            return self.outside[name]
        return self.outside[name] + self.per_occurrence[name].sum(0)

    def _per_loss_step(self, name: str) -> Tensor:
        parameter = self._parameters[name]
        (found,) = self._batched([parameter], f"per_loss_step of {name}")
        table = self._tables.get(name)
        return found if table is None else found + table.per_loss_step()

    def _products(self, name: str) -> list[Part]:
        return [p for p in self._tables[name].timed if p.factor.inputs is not None]

    def _delta(self, name: str) -> Tensor:
        return torch.cat([part.place.delta for part in self._products(name)], -1)

    def term(self, name: str, j: int, k: int) -> Tensor:
        """G[j, k], what loss step j asks of the parameter as it acts at step k.

        Raises:
            InvalidValue: no such parameter or step.
        """
        if name not in self.norms:
            raise unknown_name("parameter", name, list(self.norms))
        table = self._tables[name]
        for letter, value, count in (("j", j, len(self.losses)), ("k", k, table.steps)):
            if not 0 <= value < count:
                raise InvalidValue(
                    f"{letter} must lie in [0, {count - 1}], got {value}"
                )
        return table.term(j, k)

    # ---- lags

    def up_to_lag(self, lag: int) -> dict[str, Tensor]:
        """Sums over all terms with |j - k| <= lag, and nothing of ``outside``, by name.

        This is the gradient of backpropagation truncated ``lag`` steps before each loss
        step (a window that slides, not chunks).

        Raises:
            InvalidValue: ``lag`` is negative.
        """
        _check_lag(lag)
        return {name: sums[: lag + 1].sum(0) for name, sums in self.per_lag.items()}

    def lag_norms(self, names: Sequence[str] | None = None) -> Tensor:
        """The norm over several parameters of what each lag adds, (T,), float64."""
        chosen = list(self.per_lag) if names is None else names
        squares = [self.per_lag[n].flatten(1).double().square().sum(1) for n in chosen]
        return torch.stack(squares).sum(0).sqrt()

    def share_beyond(self, lag: int, names: Sequence[str] | None = None) -> float:
        """The share of long lags: Σ_{l > lag} ‖G_l‖ / Σ_l ‖G_l‖, between 0 and 1.

        G_l is what lag l adds to the gradient of all parameters together, or of those
        called ``names``.

        Raises:
            InvalidValue: ``lag`` is negative.
        """
        _check_lag(lag)
        norms = self.lag_norms(names)
        whole = float(norms.sum())
        return float(norms[lag + 1 :].sum()) / whole if whole else 0.0

    # ---- what passes through the layers

    def output_gradients(self, *, per_loss_step: bool = False) -> Tensor:
        """∂L/∂o_t, of the shape of the output.

        With ``per_loss_step`` ∂L_j/∂o_t, with a dimension J in front.
        """
        if per_loss_step:
            return self._batched([self._output], "output_gradients")[0]
        return torch.autograd.grad(
            self._graph.sum(), self._output, retain_graph=True, materialize_grads=True
        )[0]

    def state_gradients(self, *, per_loss_step: bool = False) -> dict[str, Any]:
        """The total ∂L/∂s_t by layer and direction, as states of (T, B, H) per field.

        With ``per_loss_step`` ∂L_j/∂s_t, (J, T, B, H).
        """
        probes = [p for state in self._taps.states.values() for p in state]
        if per_loss_step:
            found = iter(self._batched(probes, "state_gradients"))
        else:
            found = iter(
                torch.autograd.grad(
                    self._graph.sum(), probes, retain_graph=True, materialize_grads=True
                )
            )
        return {
            name: type(state)(*(next(found) for _ in state))
            for name, state in self._taps.states.items()
        }


def _check_lag(lag: int) -> None:
    if lag < 0:
        raise InvalidValue(f"lag must be 0 (the loss step itself) or more, got {lag}")
