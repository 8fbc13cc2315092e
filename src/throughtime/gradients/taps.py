"""Probes at every place where a parameter acts, step by step.

The model runs on the plain loop, and every product with a parameter gives

    a = x Wᵀ + b + ε,        W and b held fixed, ε = 0 with a gradient of its own.

∂L/∂ε is δ = ∂L/∂a, the gradient through this one occurrence of W, which is δᵀ x. A
parameter that acts in another way, such as a peephole, gets one ε of its own shape for
every step. Since W itself is held fixed wherever there is a probe, what autograd finds
for W beside the probes came by ways that belong to no step.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from throughtime.cells import Cell
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.layers import Recurrent
from throughtime.layers.instrument import run_by
from throughtime.layers.loop import Pass, Unrolled, loop
from throughtime.layers.options import zero_perturbation


class Piece(NamedTuple):
    """A tensor that acts, ``source[index]``, or all of it where index is None."""

    source: Tensor
    index: Any = None

    @property
    def fixed(self) -> Tensor:
        """Its value, without a way back to the source."""
        whole = self.source.detach()
        return whole if self.index is None else whole[self.index]


@dataclass
class Use:
    """One place in the model where parameters act, with its probe.

    Attributes:
        kind: ``product`` x Wᵀ + b, ``lookup`` W[tokens], or ``value``, W itself.
        pieces: what acts: (W, b), either of which may be None, or (W,).
        probe: ε; its first dimension is time for a use inside the steps.
        inputs: x or the tokens; inside the steps by step.
        layer: name of the layer and direction; empty outside the steps.
    """

    kind: str
    pieces: tuple[Piece | None, ...]
    probe: Tensor
    inputs: Any = None
    layer: str = ""
    at: tuple[Tensor, ...] = field(default=(), repr=False)


class Layout(NamedTuple):
    """How a recurrent layer was called."""

    steps: int
    batch: int
    batch_first: bool
    batched: bool


class Taps(TorchFunctionMode):
    """Records what a model does with its parameters, see the top of this file.

    Attributes:
        uses: every place with a probe.
        states: per layer and direction the probe of its state, (T, B, H) per field.
        reverse: per layer and direction whether it runs from the last step on.
        layouts: one per recurrent layer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, Any] = {}
        self.reverse: dict[str, bool] = {}
        self.layouts: list[Layout] = []
        self._uses: dict[Any, Use] = {}
        self._names: list[str] = []
        self._called: set[str] = set()
        self._layer, self._part = "", ""
        self._step: int | None = None
        self._steps = 0
        self._call = (False, True)
        self._count: Counter[Any] = Counter()
        # By id: what acts inside a step, and the views of it taken in this one.
        self._watched: dict[int, Tensor] = {}
        self._views: dict[int, tuple[Tensor, Piece]] = {}

    @property
    def uses(self) -> list[Use]:
        return list(self._uses.values())

    @contextmanager
    def listening(self, model: nn.Module) -> Generator[None]:
        """Inside the block the recurrent layers of ``model`` run with probes."""
        handles = [
            part.register_forward_pre_hook(self._hook(name), with_kwargs=True)
            for name, part in model.named_modules()
            if isinstance(part, Recurrent)
        ]
        try:
            with torch.enable_grad(), run_by(self._run), self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Callable[..., None]:
        def called(layer: Any, args: Any, kwargs: dict[str, Any]) -> None:
            if name in self._called:
                raise InvalidValue(
                    f"the layer {name or 'model'!r} is called twice, so that its steps "
                    "have no single place in time; give the model one call per layer"
                )
            self._called.add(name)
            self._names = [
                f"{name}.{suffix[1:]}" if name else suffix[1:]
                for suffix in layer.suffixes
            ]
            x = args[0] if args else kwargs.get("x", kwargs.get("input"))
            batched = not isinstance(x, Tensor) or x.dim() == 3
            self._call = (layer.batch_first and batched, batched)

        return called

    # ---- the steps

    def _run(self, one: Pass) -> Unrolled:
        """One layer in one direction, on the plain loop."""
        if not self._names:
            raise InvalidType(
                "a recurrent layer was called that is no module of the model; "
                "register it as an attribute of the model"
            )
        name = self._names.pop(0)
        count, batch = one.x.size(0), one.x.size(1)
        if not count:
            raise InvalidShape(f"the layer {name!r} got no steps, T = 0; give it some")
        self._layer, self._steps = name, count
        self.layouts.append(Layout(count, batch, *self._call))
        options = dict(one.options)
        self.reverse[name] = options["reverse"]
        (probe,) = zero_perturbation([one.cell], count, batch, one.x)
        self.states[name] = probe
        given = options["perturbation"] or (None,) * len(probe)
        options["perturbation"] = type(probe)(
            *(p if g is None else p + g for p, g in zip(probe, given, strict=True))
        )
        self._watched = {
            id(weight): weight
            for weight in one.weights.values()
            if isinstance(weight, Tensor) and weight.requires_grad
        }
        steps = range(count)
        order = iter(reversed(steps) if options["reverse"] else steps)
        cell: Any = _StepByStep(one.cell, self, order)
        try:
            return loop(cell, one.x, one.state, one.weights, **options)
        finally:
            self._watched = {}

    @contextmanager
    def at(self, step: int, part: str) -> Generator[None]:
        """Inside the block everything belongs to ``step``."""
        self._step, self._part = step, part
        try:
            yield
        finally:
            self._step = None
            self._views.clear()
            self._count.clear()

    # ---- what torch is asked to do

    def __torch_function__(
        self, func: Any, types: Any, args: Any = None, kwargs: Any = None
    ) -> Any:
        args, kwargs = args or (), kwargs or {}
        if func is F.linear:
            return self._linear(*args, **kwargs)
        if self._step is None:
            if func is F.embedding:
                return self._embedding(*args, **kwargs)
            return func(*args, **kwargs)
        if func is Tensor.__getitem__ and id(args[0]) in self._watched:
            view = func(*args)
            piece = Piece(args[0], args[1])
            self._views[id(view)] = (view, piece)
            return view
        return self._other(func, args, kwargs)

    def _piece(self, tensor: Any) -> Piece | None:
        """Which parameter a tensor is, or a part of which."""
        if self._step is None:
            # What was computed may depend on probes: only parameters are held fixed.
            leaf = isinstance(tensor, Tensor) and tensor.is_leaf
            return Piece(tensor) if leaf and tensor.requires_grad else None
        if id(tensor) in self._watched:
            return Piece(tensor)
        return self._views[id(tensor)][1] if id(tensor) in self._views else None

    def _linear(self, input: Any, weight: Any, bias: Any = None) -> Tensor:
        # Inside a step a parameter may also stand in the place of an input.
        x = input if self._step is None else self._value(input)
        pieces = (self._piece(weight), self._piece(bias))
        fixed = [
            t if piece is None else piece.fixed
            for t, piece in zip((weight, bias), pieces, strict=True)
        ]
        out = F.linear(x, *fixed)
        if pieces == (None, None):
            return out
        return out + self._probe("product", pieces, out, x.detach())

    def _embedding(
        self, input: Tensor, weight: Tensor, *args: Any, **kwargs: Any
    ) -> Tensor:
        padding_idx = args[0] if args else kwargs.get("padding_idx")
        changed = len(args) > 1 or any(
            kwargs.get(name) for name in ("max_norm", "scale_grad_by_freq")
        )
        piece = self._piece(weight)
        if piece is None or changed:
            return F.embedding(input, weight, *args, **kwargs)
        out = F.embedding(input, piece.fixed)
        probe = self._probe("lookup", (piece,), out, input)
        if padding_idx is not None:
            row = padding_idx % weight.size(0)
            probe = probe * (input != row).unsqueeze(-1)
        return out + probe

    def _other(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A function that may read parameters by themselves, inside a step."""
        leaves = tree_leaves((args, kwargs))
        if all(self._piece(leaf) is None for leaf in leaves):
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            return result  # a size, a type
        args, kwargs = tree_map(self._value, (args, kwargs))
        return func(*args, **kwargs)

    def _value(self, tensor: Any) -> Any:
        piece = self._piece(tensor)
        if piece is None:
            return tensor
        return piece.fixed + self._probe("value", (piece,), piece.fixed, None)

    def _probe(
        self,
        kind: str,
        pieces: tuple[Piece | None, ...],
        like: Tensor,
        inputs: Tensor | None,
    ) -> Tensor:
        """The ε of this use, at this step if there is one."""
        if self._step is None:
            probe = torch.zeros_like(like).requires_grad_()
            self._uses[len(self._uses)] = Use(kind, pieces, probe, inputs)
            return probe
        place = tuple(p and (id(p.source), repr(p.index)) for p in pieces)
        key = (self._layer, self._part, kind, place)
        self._count[key] += 1  # a parameter may act several times within a step
        key = (*key, self._count[key])
        if key not in self._uses:
            probe = like.new_zeros((self._steps, *like.shape)).requires_grad_()
            use = Use(kind, pieces, probe, {}, self._layer, probe.unbind(0))
            self._uses[key] = use
        use = self._uses[key]
        use.inputs[self._step] = inputs
        return use.at[self._step]


class _StepByStep:
    """A cell that tells the taps which step it is at."""

    def __init__(self, cell: Cell, taps: Taps, order: Iterator[int]) -> None:
        self._cell, self._taps, self._order = cell, taps, order

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cell, name)

    def input_part(self, x: Tensor, weights: Any) -> Tensor:
        rows: list[Tensor] = []
        for t, x_t in enumerate(x.unbind(0)):
            with self._taps.at(t, "input"):
                rows.append(self._cell.input_part(x_t, weights))
        return torch.stack(rows)

    def advance(self, a_x: Tensor, state: Any, weights: Any, mask: Any = None) -> Any:
        with self._taps.at(next(self._order), "step"):
            return self._cell.advance(a_x, state, weights, mask)
