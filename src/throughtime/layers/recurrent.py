"""Any cell as a layer: deep, bidirectional, ragged, resettable, carried."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from throughtime.cells import Cell
from throughtime.checks import boolean, probability
from throughtime.errors import InvalidValue
from throughtime.layers import door
from throughtime.layers import dropout as drops
from throughtime.layers.loop import Noise, Pass, Unrolled
from throughtime.layers.options import Options, zero_perturbation
from throughtime.layers.packed import check_packed, repack, row_layout, unpack
from throughtime.layers.ragged import reverse_reset
from throughtime.layers.segments import check_recompute
from throughtime.layers.stack import check_residual, stack_cells, zoneout_rates
from throughtime.layers.stream import Stream
from throughtime.layers.trace import Trace, map_state, map_trace
from throughtime.layers.unroll import check_backend, unroll_all, used_backend


class Recurrent(nn.Module):
    """A stack of recurrent layers of any cell.

    Parameters carry torch's names: ``weight_hh_l0``, ``bias_ih_l1_reverse``, and so on.
    On the CPU ``torch.autocast`` changes nothing inside: the layer computes in the type
    of its weights and returns it. Weights of bfloat16 are for inference.

    Args:
        cell: the cell of the first layer, whose parameters become the layer's own;
            further layers and the backward direction get fresh cells like it. Or one
            cell per layer, each with the input size of its place.
        num_layers: layers L of the stack.
        bidirectional: each layer also runs from the last step to the first, and the
            outputs of both directions are concatenated. D = 2 directions, else 1.
        batch_first: inputs, outputs, ``reset`` and traces are (B, T, ...).
        dropout: probability p of dropout between layers.
        variational: one mask for all steps in ``dropout`` instead of a fresh one.
        recurrent_dropout: p of dropout on h_{t-1} in the recurrent product, one mask
            for all steps.
        zoneout: probability of a unit to keep its old value, one number or one per
            state field, as ``{"h": 0.05, "c": 0.5}``.
        weight_drop: p of dropout on W_hh, one mask per call.
        residual: the input of every layer from the second on is added to its output.
        learned_initial_state: the initial state is a parameter ``initial_h_l0``
            (``initial_c_l0``, ...) instead of zeros.
        backend: ``"auto"``, ``"native"`` (the compiled core), ``"triton"`` (on CUDA),
            ``"scan"`` (all steps at once, where a cell allows it) or ``"loop"``.
        recompute: keep inputs, outputs and a state per segment alone for the gradient,
            and run one segment after the other forward once more in the backward pass.
            True: segments of 2 √T to 4 √T steps; an int: so many.

    Raises:
        InvalidType: ``cell`` is no cell, or an option has the wrong type.
        InvalidValue: an option is out of range, or cells do not fit on each other.

    >>> import throughtime as tt
    >>> layer = Recurrent(tt.cells.LSTM(3, 4), num_layers=2, bidirectional=True)
    >>> outputs, state = layer(torch.zeros(5, 2, 3), lengths=[5, 0])
    >>> outputs.shape, len(state), state[0].c.shape
    (torch.Size([5, 2, 8]), 4, torch.Size([2, 4]))
    """

    def __init__(
        self,
        cell: Cell | Sequence[Cell],
        num_layers: int | None = None,
        *,
        bidirectional: bool = False,
        batch_first: bool = False,
        dropout: float = 0.0,
        variational: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float | Mapping[str, float] = 0.0,
        weight_drop: float = 0.0,
        residual: bool = False,
        learned_initial_state: bool = False,
        backend: str = "auto",
        recompute: bool | int = False,
    ) -> None:
        super().__init__()
        self.bidirectional = boolean("bidirectional", bidirectional)
        self.batch_first = boolean("batch_first", batch_first)
        self.dropout = probability("dropout", dropout)
        self.variational = boolean("variational", variational)
        self.recurrent_dropout = probability("recurrent_dropout", recurrent_dropout)
        self.weight_drop = probability("weight_drop", weight_drop)
        self.residual = boolean("residual", residual)
        learned = boolean("learned_initial_state", learned_initial_state)
        self.learned_initial_state = learned
        self.recompute = check_recompute(recompute)
        cells = stack_cells(cell, num_layers, self.num_directions)
        self.backend = check_backend(backend, cells)
        self.num_layers = len(cells) // self.num_directions
        self.input_size = cells[0].input_size
        self.output_size = self.num_directions * cells[-1].output_size
        self.zoneout = zoneout_rates(zoneout, cells)
        if residual:
            check_residual(cells, self.num_directions)
        # The layer owns the parameters, under torch's flat names; the cells are kept
        # as descriptions only, outside torch's registry of submodules.
        for suffix, owner in zip(self.suffixes, cells, strict=True):
            for name, parameter in owner.named_parameters(recurse=False):
                self.register_parameter(f"{name}{suffix}", parameter)
            if learned_initial_state:
                for field, start in owner.initial_state()._asdict().items():
                    self.register_parameter(
                        f"initial_{field}{suffix}", nn.Parameter(start)
                    )
        self.cells = tuple(owner.description() for owner in cells)
        self._names = [
            {name: f"{name}{suffix}" for name in owner.parameter_shapes()}
            for suffix, owner in zip(self.suffixes, cells, strict=True)
        ]

    # ---- structure

    @property
    def backend_used(self) -> str:
        """What runs: one of the backends, or ``mixed`` if layers differ.

        Scan or loop replace the core in ``torch.func``, the loop in second derivatives.
        """
        weights = (self.weights(i)["weight_ih"] for i in range(len(self.cells)))
        return used_backend(self.backend, self.cells, list(weights))

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def suffixes(self) -> list[str]:
        """``_l0``, ``_l0_reverse``, ``_l1``, ...: the order of the state as well."""
        return [
            f"_l{layer}{direction}"
            for layer in range(self.num_layers)
            for direction in ("", "_reverse")[: self.num_directions]
        ]

    def weights(self, index: int) -> dict[str, Tensor]:
        """Parameters of one layer and direction under the cell's own names."""
        return {name: getattr(self, full) for name, full in self._names[index].items()}

    def reset_parameters(self) -> None:
        """Draw all parameters anew, as at construction."""
        for index, cell in enumerate(self.cells):
            weight_ih = self.weights(index)["weight_ih"]
            fresh = cell.like(cell.input_size, reference=weight_ih)
            with torch.no_grad():
                for name, parameter in self.weights(index).items():
                    parameter.copy_(fresh.get_parameter(name))
                if self.learned_initial_state:
                    for field in cell.state_sizes:
                        getattr(self, f"initial_{field}{self.suffixes[index]}").zero_()

    # ---- state

    def initial_state(self, batch_size: int) -> tuple[Any, ...]:
        """The state before the first step, one cell state per layer and direction."""
        return tuple(
            self._initial(index, batch_size) for index in range(len(self.cells))
        )

    def _initial(self, index: int, batch: int) -> Any:
        cell, suffix = self.cells[index], self.suffixes[index]
        if not self.learned_initial_state:
            like = getattr(self, f"weight_ih{suffix}")
            return cell.initial_state(batch, like=like)
        fields = (
            getattr(self, f"initial_{field}{suffix}").expand(batch, size)
            for field, size in cell.state_sizes.items()
        )
        return cell.State(*fields)

    def read_state(self, state: Any, batch_size: int) -> tuple[Any, ...]:
        """A state as ``forward`` takes it, checked: one cell state per layer.

        Raises:
            InvalidShape: it does not fit the layer or the batch.
            InvalidValue: another dtype or device than the weights'.
        """
        if state is None:
            return self.initial_state(batch_size)
        weight = self.weights(0)["weight_ih"]
        return door.as_state(state, self.cells, batch_size, weight)

    def write_state(self, state: tuple[Any, ...]) -> Any:
        """A state as ``forward`` returns it."""
        return state

    def zero_perturbation(self, x: Tensor) -> tuple[Any, ...]:
        """Zeros to hand in as ``perturbation`` for ``x``; they take gradients.

        Returns:
            One state per layer and direction with fields (T, B, H), time first; the
            gradient of a loss with respect to them is the total ∂L/∂h_t of every step.
        """
        if x.dim() == 2:
            steps, batch = x.size(0), 1
        else:
            steps, batch = x.shape[:2][:: -1 if self.batch_first else 1]
        return zero_perturbation(self.cells, steps, batch, self.weights(0)["weight_ih"])

    # ---- forward

    def forward(
        self,
        x: Any,
        state: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        perturbation: Any = None,
        carry_gain: Tensor | Sequence[Tensor] | None = None,
        return_states: bool = False,
        return_gates: bool = False,
    ) -> Any:
        """Run the stack over a batch of sequences.

        Args:
            x: (T, B, I), (B, T, I) if ``batch_first``, (T, I) unbatched, or a
                ``PackedSequence``.
            state: what an earlier call returned as final state, or one cell state
                (B, H) per layer and direction; default: the initial state.
            lengths: valid steps of each sequence, (B,), 0 allowed: such a sequence
                returns its initial state. Outputs beyond the length are 0, and what the
                padding holds changes nothing.
            reset: True where a new sequence starts inside the row, (T, B), laid out
                like x: before that step the state returns to the initial state (zeros
                or learned, not ``state``). The backward direction returns at the same
                borders.
            perturbation: added to every state, see ``zero_perturbation``.
            carry_gain: multiplies the gradient of the state that enters a step, (T, B),
                laid out like x, and nothing else: 0 cuts it, as at the border of a
                truncation window; 1/π with probability π and 0 otherwise truncates at
                random without bias (Tallec and Ollivier, arXiv 1705.08209). bool, or
                the weights' dtype; or one for each layer and direction.
            return_states: also return every state.
            return_gates: also return every gate; with layer norm, by the plain loop.

        Returns:
            outputs, (T, B, D H) or as ``x`` is laid out; the final state, a tuple over
            layers and directions; and a ``Trace`` if states or gates were asked for.

        Raises:
            InvalidShape: an argument has the wrong shape.
            InvalidType: an argument has the wrong type.
            InvalidValue: a length is out of range, or the dtype differs from the
                weights'.
        """
        options = Options(
            lengths, reset, perturbation, carry_gain, return_states, return_gates
        )
        if isinstance(x, PackedSequence):
            if lengths is not None:
                raise InvalidValue(
                    "lengths given together with a PackedSequence, which has its own; "
                    "leave lengths out"
                )
            return self._run_packed(x, state, options)
        self.check_input(x)
        batched = x.dim() == 3
        if not batched:
            x = x.unsqueeze(1)
            state = door.batched(state)
            options = options.time_first(lambda t: t.unsqueeze(1), 1)
            if lengths is not None:
                options = options._replace(lengths=torch.as_tensor(lengths).reshape(-1))
        elif self.batch_first:
            x = x.transpose(0, 1)
            options = options.time_first(lambda t: t.transpose(0, 1), 2)
        outputs, final, *trace = self._run(x, state, options)
        if not batched:
            final = map_state(final, lambda s: s.squeeze(0))
            return outputs.squeeze(1), final, *map_trace(trace, lambda s: s.squeeze(1))
        if self.batch_first:
            return (
                outputs.transpose(0, 1),
                final,
                *map_trace(trace, lambda s: s.transpose(0, 1)),
            )
        return outputs, final, *trace

    def _run_packed(
        self, x: PackedSequence, state: Any, options: Options
    ) -> tuple[Any, ...]:
        check_packed(x)
        masks = self.recurrent_dropout or any(self.zoneout.values()) or self.variational
        asked = any(option is not None and option is not False for option in options)
        if asked or (self.training and masks):
            # What is laid out (T, B) needs padding.
            padded, lengths = unpack(x)
            self.check_input(padded)
            outputs, *rest = self._run(padded, state, options._replace(lengths=lengths))
            return repack(outputs, x), *rest
        rows = x.data.unsqueeze(0)
        self.check_input(rows)
        first_rows, lengths = (t.to(rows.device) for t in row_layout(x))
        before = Recurrent.read_state(self, state, lengths.size(0))
        there, back = x.sorted_indices, x.unsorted_indices
        if there is not None and state is not None:
            before = map_state(before, lambda s: s.index_select(0, there))
        outputs, final = self._run(
            rows, before, Options(lengths=lengths, packed=first_rows)
        )
        if back is not None:
            final = map_state(final, lambda s: s.index_select(0, back))
        return x._replace(data=outputs.squeeze(0)), final

    def _run(self, x: Tensor, state: Any, options: Options) -> tuple[Any, ...]:
        """The checked stack on time-major, batched tensors."""
        weight = self.weights(0)["weight_ih"]
        options = options.checked(x, self.cells, weight)
        batch = x.size(1) if options.packed is None else options.lengths.size(0)
        before = Recurrent.read_state(self, state, batch)
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return self._layers(x.to(weight.dtype), before, options)
        return self._layers(x, before, options)

    def _layers(
        self, x: Tensor, before: tuple[Any, ...], options: Options
    ) -> tuple[Any, ...]:
        done: list[Unrolled] = []
        for layer in range(self.num_layers):
            if layer > 0:
                x = drops.drop(
                    x, self.dropout, self.training, variational=self.variational
                )
            first = layer * self.num_directions
            parts = unroll_all(
                [
                    self._pass(index, x, before[index], options)
                    for index in range(first, first + self.num_directions)
                ],
                backend=self.backend,
                recompute=self.recompute,
            )
            done += parts
            out = parts[0].outputs
            if self.bidirectional:
                out = torch.cat([part.outputs for part in parts], -1)
            x = out + x if self.residual and layer > 0 else out
        final = tuple(d.final_state for d in done)
        if not (options.return_states or options.return_gates):
            return x, final
        states = tuple(d.states for d in done) if options.return_states else None
        gates = tuple(d.gates or {} for d in done) if options.return_gates else None
        return x, final, Trace(states, gates)

    def _pass(self, index: int, x: Tensor, state: Any, options: Options) -> Pass:
        """One layer in one direction."""
        own = options.of_layer(index)
        own["reverse"] = reverse = index % self.num_directions == 1
        own["initial"] = None
        if options.reset is not None:
            own["initial"] = self._initial(index, x.size(1))
            if reverse:
                own["reset"] = reverse_reset(options.reset, options.lengths)
        cell, weights, drop = self.cells[index], self.weights(index), self.weight_drop
        for name in {"weight_hh", "weight_mh"} & weights.keys():
            weights[name] = drops.drop_weight(weights[name], drop, self.training)
        own["noise"] = Noise(
            drops.recurrent_mask(cell, x, self.recurrent_dropout, self.training),
            drops.zoneout(cell, x, self.zoneout, self.training),
        )
        return Pass(cell, x, state, cell.prepare(weights), own)

    def stream(self, batch_size: int = 1, state: Any = None) -> Stream:
        """The layer one step at a time, see ``Stream``.

        >>> import throughtime as tt
        >>> stream = tt.GRU(3, 4).stream()
        >>> stream.step(torch.zeros(3)).shape
        torch.Size([4])
        """
        return Stream(self, batch_size, state)

    def check_input(self, x: Any) -> None:
        """Raise if ``x`` is not a sequence this layer can read."""
        door.check_input(x, self.input_size, self.weights(0)["weight_ih"])

    def extra_repr(self) -> str:
        """The first cell and the structure."""
        shown = [repr(self.cells[0])]
        if self.num_layers > 1:
            shown.append(f"num_layers={self.num_layers}")
        shown += [
            f"{name}={value}"
            for name in ("bidirectional", "batch_first", "dropout", "residual")
            if (value := getattr(self, name))
        ]
        return ", ".join(shown)
