"""What a recurrent cell is: its sizes, its parameters, and one step.

A cell is split into the two natures that the kernels need apart:

- **linear**: ``input_part`` a_x = x W_ihᵀ + b_ih, for any number of steps at once, and
  ``recurrent_part`` a_h = h W_hhᵀ + b_hh, one step at a time;
- **pointwise**: ``pointwise`` (a_x, a_h, state) -> state', unit by unit, which may ask
  for further products inside the step (``inner``).

``advance`` puts recurrent and pointwise part together and ``step`` all three:
``step`` is the specification of the cell. Nothing is remembered between steps: state
goes in and comes out, and the weights can be handed in as a mapping, so that a cell is
also a pure function ``h_t = f_W(h_{t-1}, x_t)``.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime import init
from throughtime.cells.parts import Inner, InnerProducts, PerUnit
from throughtime.checks import boolean, positive_int
from throughtime.errors import InvalidShape

Weights = Mapping[str, Any]
Gates = dict[str, Tensor]
# An initialiser of throughtime.init: its name, or (name, options).
Initialiser = str | tuple[str, dict[str, Any]]


class HiddenState(NamedTuple):
    """The state of a cell that carries nothing but h, (B, H)."""

    h: Tensor


class Cell(nn.Module):
    """Base class of all cells; a subclass gives ``pointwise`` and its parameters.

    Args:
        input_size: features I of x_t.
        hidden_size: features H of h_t.
        bias: whether the cell has ``bias_ih`` and ``bias_hh``.
        input_init: initialiser of ``weight_ih``, a name of ``throughtime.init`` or
            (name, options); default: uniform in ±1/√H like torch.
        recurrent_init: the same for each square gate block of ``weight_hh``.
        device: where the parameters live.
        dtype: their type.
        options: the remaining constructor arguments of the subclass, kept so that
            ``like`` can build the same cell with another input size.

    Raises:
        InvalidType: a size is no int, or ``bias`` no bool.
        InvalidValue: a size is not greater than zero.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    # Publication and year.
    source: ClassVar[str] = ""
    # Gates of the input part and of the recurrent part; one number: of both.
    gates: int | tuple[int, int]
    # Gates of each product inside the step, in the order in which it asks for them.
    inner: tuple[int, ...] = ()
    # Whether the products have biases, in a cell that has any.
    product_bias: ClassVar[bool] = True
    # One name per gate block of weight_hh, if there are several.
    gate_names: ClassVar[tuple[str, ...]] = ()
    # Further parameters, per unit or scalar, handed to the step under their names.
    parameters_per_unit: Mapping[str, PerUnit] = {}
    # The class that ``like`` builds, where it is not the class itself.
    family: ClassVar[Any] = None
    State: ClassVar[Any] = HiddenState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        input_init: Initialiser | None = None,
        recurrent_init: Initialiser | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.bias = boolean("bias", bias)
        self.input_size = positive_int("input_size", input_size)
        self.hidden_size = positive_int("hidden_size", hidden_size)
        self.input_init = input_init
        self.recurrent_init = recurrent_init
        self.options = {
            "bias": bias,
            "input_init": input_init,
            "recurrent_init": recurrent_init,
            **(options or {}),
        }
        for name, shape in self.parameter_shapes().items():
            data = torch.empty(shape, device=device, dtype=dtype)
            self.register_parameter(name, nn.Parameter(data))
        self.reset_parameters()

    # ---- sizes and parameters

    @property
    def input_gates(self) -> int:
        """Gates of the input part, in weight_ih."""
        return self.gates if isinstance(self.gates, int) else self.gates[0]

    @property
    def recurrent_gates(self) -> int:
        """Gates of the recurrent part, in weight_hh; 0: there is none."""
        return self.gates if isinstance(self.gates, int) else self.gates[1]

    @property
    def output_size(self) -> int:
        """Features of h_t: H, or P for a projected LSTM."""
        return self.hidden_size

    @property
    def state_sizes(self) -> dict[str, int]:
        """Features of each field of the state."""
        sizes = dict.fromkeys(self.State._fields, self.hidden_size)
        return sizes | {"h": self.output_size}

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter, in torch's order."""
        size = self.hidden_size
        rows = {"ih": self.input_gates, "hh": self.recurrent_gates}
        rows["mh"] = sum(self.inner)
        columns = {"ih": self.input_size, "hh": self.output_size, "mh": size}
        parts = [part for part in rows if rows[part]]
        shapes: dict[str, tuple[int, ...]] = {
            f"weight_{part}": (rows[part] * size, columns[part]) for part in parts
        }
        if self.bias and self.product_bias:
            shapes |= {f"bias_{part}": (rows[part] * size,) for part in parts}
        for name, extra in self.parameters_per_unit.items():
            if not extra.constant:
                shapes[name] = extra.shape(size)
        return shapes

    def weights(self) -> dict[str, Tensor]:
        """The cell's own parameters by name, the default of ``step``."""
        return dict(self.named_parameters(recurse=False))

    def reset_parameters(self) -> None:
        """Draw all parameters anew: uniform in ±1/√H like torch, then the recipe."""
        bound = 1 / math.sqrt(self.hidden_size)
        with torch.no_grad():
            for parameter in self.parameters(recurse=False):
                parameter.uniform_(-bound, bound)
            self.apply_recipe()

    def apply_recipe(self) -> None:
        """Overwrite parameters by the initialisers asked for; a subclass adds its own.

        Raises:
            InvalidValue: unknown initialiser or option.
        """
        chosen = {
            "weight_ih": (self.input_init, self.input_gates),
            "weight_hh": (self.recurrent_init, self.recurrent_gates),
            "weight_mh": (self.recurrent_init, sum(self.inner)),
        }
        for weight, (recipe, gates) in chosen.items():
            if recipe is None or weight not in self._parameters:
                continue
            name, options = (recipe, {}) if isinstance(recipe, str) else recipe
            for block in self.get_parameter(weight).chunk(gates):
                block.copy_(init.initialise(name, tuple(block.shape), **options))
        for name, extra in self.parameters_per_unit.items():
            if not extra.constant:
                extra.start(self.get_parameter(name))

    def like(self, input_size: int, *, reference: Tensor | None = None) -> Self:
        """A fresh cell of the same kind and options, for another input size.

        Args:
            input_size: features of its x_t.
            reference: a tensor whose device and type to use; default: the weights'.

        >>> import throughtime as tt
        >>> tt.cells.GRU(3, 4, reset_after=False).like(8)
        GRU(8, 4, reset_after=False)
        """
        if reference is None:
            reference = self.get_parameter("weight_ih")
        return (self.family or type(self))(
            input_size,
            self.hidden_size,
            device=reference.device,
            dtype=reference.dtype,
            **self.options,
        )

    def description(self) -> Self:
        """This cell without its parameters: ``step`` then needs ``weights``."""
        bare = copy.copy(self)
        bare._parameters = {}
        return bare

    # ---- the step

    def initial_state(self, *batch: int, like: Tensor | None = None) -> Any:
        """The state before the first step: zeros, (..., features) per field.

        Args:
            *batch: batch dimensions, none for an unbatched state.
            like: a tensor whose device and type to use; default: the weights'.
        """
        like = self.get_parameter("weight_ih") if like is None else like
        zeros = (like.new_zeros((*batch, size)) for size in self.state_sizes.values())
        return self.State(*zeros)

    def input_part(self, x: Tensor, weights: Weights) -> Tensor:
        """a_x = x W_ihᵀ + b_ih, (..., I) -> (..., G H)."""
        return F.linear(x, weights["weight_ih"], weights.get("bias_ih"))

    def recurrent_part(self, h: Tensor, weights: Weights) -> Tensor:
        """a_h = h W_hhᵀ + b_hh, (B, H) -> (B, G H)."""
        return F.linear(h, weights["weight_hh"], weights.get("bias_hh"))

    def prepare(self, weights: Weights) -> Weights:
        """The weights as the step reads them, made once for all steps.

        A cell whose recurrent matrix is a function of its parameters overrides this.
        """
        return weights

    def pointwise(
        self,
        a_x: Sequence[Tensor],
        a_h: Sequence[Tensor],
        state: Any,
        weights: Weights,
        inner: Inner,
    ) -> tuple[Any, Gates]:
        """(a_x, a_h, state) -> (state', gates by name), unit by unit.

        Args:
            a_x: the input part, one tensor (..., H) per gate.
            a_h: the recurrent part likewise.
            state: the state before the step, (..., H) per field.
            weights: the parameters, prepared; a parameter per unit is (H,) or (n, H).
            inner: a further product inside the step, (..., H) to a tensor (..., H) per
                gate; call number k has ``self.inner[k]`` gates.
        """
        raise NotImplementedError

    def advance(
        self, a_x: Tensor, state: Any, weights: Weights, mask: Tensor | None = None
    ) -> tuple[Any, Gates]:
        """One step from the input part, (B, G H), and the state to state and gates.

        ``mask`` (B, H) multiplies h on its way into the recurrent product, and what
        goes into a product inside the step: dropout with one mask for all steps (Gal
        and Ghahramani, 2016). ``weights`` are prepared.
        """
        a_h: Sequence[Tensor] = ()
        if self.recurrent_gates:
            h = state.h if mask is None else state.h * mask
            a_h = self.recurrent_part(h, weights).chunk(self.recurrent_gates, -1)
        inner = InnerProducts(self.inner, weights, mask)
        a_x_gates = a_x.chunk(self.input_gates, -1)
        return self.pointwise(a_x_gates, a_h, state, weights, inner)

    def step(
        self, x_t: Tensor, state: Any = None, weights: Weights | None = None
    ) -> Any:
        """One step, the specification of the cell.

        Args:
            x_t: input of this step, (B, I) or (I,).
            state: state before the step; default: the initial state.
            weights: parameters by name; default: the cell's own.

        Returns:
            The state after the step.

        Raises:
            InvalidShape: ``x_t`` does not end in I features.

        >>> import throughtime as tt
        >>> cell = tt.cells.Elman(3, 5)
        >>> cell.step(torch.zeros(2, 3)).h.shape
        torch.Size([2, 5])
        """
        if x_t.dim() == 0 or x_t.size(-1) != self.input_size:
            raise InvalidShape(
                f"x_t must end in input_size = {self.input_size} features, "
                f"got shape {tuple(x_t.shape)}"
            )
        weights = self.prepare(self.weights() if weights is None else weights)
        if state is None:
            state = self.initial_state(*x_t.shape[:-1], like=x_t)
        return self.advance(self.input_part(x_t, weights), state, weights)[0]

    def forward(self, x_t: Tensor, state: Any = None) -> Any:
        """The same as ``step`` with the cell's own parameters."""
        return self.step(x_t, state)

    def extra_repr(self) -> str:
        """Sizes, and the options that differ from their defaults."""
        shown = [str(self.input_size), str(self.hidden_size)]
        shown += [
            f"{key}={value!r}"
            for key, value in self.options.items()
            if value != _default(type(self), key)
        ]
        return ", ".join(shown)


def _default(cell: type[Cell], option: str) -> Any:
    """The default of a constructor option, wherever in the class tree it is named."""
    declared = getattr(cell, "step_options", {})
    if option in declared:
        return declared[option]
    for parent in cell.__mro__:
        parameters = signature(parent.__init__).parameters
        if option in parameters:
            return parameters[option].default
    return None
