"""A cell from its step alone: the decorator ``throughtime.cell``."""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature, getsourcefile, signature
from keyword import iskeyword
from typing import Any, ClassVar

import torch
from torch import Tensor

from throughtime.cells.base import Cell, Gates, Initialiser, Weights
from throughtime.cells.parts import Inner, PerUnit
from throughtime.cells.tracing import fault, trace
from throughtime.errors import InvalidCell, unknown_name

Step = Callable[..., Any]


class Declared(Cell):
    """A cell made by ``throughtime.cell``: the step is a plain function.

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of h_t.
        bias: whether the products have biases.
        input_init: initialiser of W_ih, see ``Cell``.
        recurrent_init: initialiser of each gate's block of W_hh, see ``Cell``.
        device: where the parameters live.
        dtype: their type.
        **options: the options of the step.

    Raises:
        InvalidCell: the step breaks a rule; the message shows the line.
        InvalidType: a size is no int.
        InvalidValue: a size is not positive, or an option is unknown.
    """

    function: ClassVar[Step]
    step_options: ClassVar[Mapping[str, Any]]
    prepare_weights: ClassVar[Callable[..., Weights] | None]
    start_weights: ClassVar[Callable[..., None] | None]

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
        **options: Any,
    ) -> None:
        for option in options:
            if option not in self.step_options:
                known = ("bias", "input_init", "recurrent_init", *self.step_options)
                raise unknown_name(f"option of cell {self.name!r}", option, known)
        self.settings = {**self.step_options, **options}
        if not bias:
            every = self.parameters_per_unit.items()
            self.parameters_per_unit = {n: e for n, e in every if not e.bias}
        super().__init__(
            input_size,
            hidden_size,
            bias=bias,
            input_init=input_init,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
            options=self.settings,
        )
        trace(self)

    def apply_recipe(self) -> None:
        start = type(self).start_weights
        if start is not None:
            start(self.weights(), **self.settings)
        super().apply_recipe()

    def prepare(self, weights: Weights) -> Weights:
        own = type(self).prepare_weights
        return weights if own is None else own(dict(weights), **self.settings)

    def pointwise(
        self,
        a_x: Sequence[Tensor],
        a_h: Sequence[Tensor],
        state: Any,
        weights: Weights,
        inner: Inner,
    ) -> tuple[Any, Gates]:
        more: dict[str, Any] = {
            name: (0.0,) * extra.rows if extra.rows else 0.0
            for name, extra in type(self).parameters_per_unit.items()
        }
        more |= {name: weights[name] for name in self.parameters_per_unit}
        if self.inner:
            more["inner"] = inner
        made = type(self).function(a_x, a_h, state, **more, **self.settings)
        new, gates = made if _is_pair(made) else (made, {})
        fields = self.State._fields
        if isinstance(new, self.State):
            return new, gates
        if not isinstance(new, Mapping) or not isinstance(gates, Mapping):
            raise fault(
                self,
                "the step must return the new state as a dict with the keys "
                f"{', '.join(fields)}, or a pair of it and a dict of gates, got "
                f"{type(made).__name__}",
            )
        missing = [f for f in fields if f not in new]
        unknown = [f for f in new if f not in fields]
        if missing or unknown:
            found = f"misses {missing}" if missing else f"also has {unknown}"
            raise fault(
                self,
                f"the returned state {found}; it must have exactly the declared "
                f"fields, state={fields}",
            )
        return self.State(*(new[field] for field in fields)), dict(gates)


def _is_pair(made: Any) -> bool:
    return isinstance(made, tuple) and len(made) == 2 and not hasattr(made, "_fields")


def cell(
    *,
    gates: int | tuple[int, int],
    state: Sequence[str] = ("h",),
    inner: Sequence[int] = (),
    parameters: Mapping[str, PerUnit] | None = None,
    prepare: Callable[..., Weights] | None = None,
    start: Callable[..., None] | None = None,
    product_bias: bool = True,
    name: str = "",
    equation: str = "",
    source: str = "",
) -> Callable[[Step], type[Declared]]:
    r"""Make a cell from its pointwise step in plain torch operations.

        a_x = x_t W_ihᵀ + b_ih,  a_h = h_{t-1} W_hhᵀ + b_hh
        state_t = step(a_x, a_h, state_{t-1})

    The step is ``step(a_x, a_h, state, [parameters by name], [inner], *, [options])``.
    ``a_x`` and ``a_h`` hold one tensor (..., H) per gate; ``state.h``, ``state.c`` are
    the fields of the old state, (..., H). It returns the new state as a dict with the
    same fields, or a pair of it and a dict of gates by name. ``h`` is the output.

    Rules: unit by unit (shapes stay; ``throughtime.cells.row_norm`` and ``inner`` are
    the only ways to other units), nothing in place, no branch that depends on values
    (``torch.where`` instead).

    Args:
        gates: gates of a_x and a_h; a pair where they differ, 0 for no a_h.
        state: names of the state's fields, ``"h"`` among them.
        inner: gates of each further product inside the step, whose argument ``inner``
            is then a function: ``(n,) = inner(r * state.h)`` is (r ⊙ h) W_mhᵀ + b_mh.
        parameters: further parameters, each a ``throughtime.cells.PerUnit``.
        prepare: ``prepare(weights, **options)`` returns the weights that the products
            read, as in ``weights | {"weight_hh": f(weights["weight_hh"])}``.
        start: ``start(weights, **options)`` fills fresh parameters in place, after
            torch's uniform and before ``input_init`` and ``recurrent_init``.
        product_bias: whether the products have biases; without, the step adds its own,
            each a ``PerUnit(bias=True)``.
        name: for tables and ``build_cell``; default: the function's name.
        equation: for tables; default: the first line of the docstring.
        source: publication and year.

    Returns:
        A decorator that turns the function into a subclass of
        ``throughtime.cells.Cell`` with the constructor ``(input_size, hidden_size, *,
        bias, ..., **options)``.

    Raises:
        InvalidCell: the declaration breaks a rule.

    >>> import throughtime as tt
    >>> @tt.cell(gates=4, state=("h", "c"))
    ... def my_lstm(a_x, a_h, state):
    ...     i, f, g, o = (x + h for x, h in zip(a_x, a_h))
    ...     c = torch.sigmoid(f) * state.c + torch.sigmoid(i) * torch.tanh(g)
    ...     return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}
    >>> layer = tt.Recurrent(my_lstm(input_size=3, hidden_size=4), num_layers=2)
    >>> layer(torch.zeros(5, 2, 3))[0].shape
    torch.Size([5, 2, 4])
    """
    fields = (state,) if isinstance(state, str) else tuple(state)
    products = (inner,) if isinstance(inner, int) else tuple(inner)
    extras = dict(parameters or {})

    def declare(function: Step) -> type[Declared]:
        own_name = getattr(function, "__name__", "cell")
        own_name = own_name if own_name.isidentifier() else "cell"  # a lambda
        called = name or own_name
        where = _where(function)
        if "h" not in fields or not all(map(_is_field, fields)) or _twice(fields):
            raise InvalidCell(
                f"cell {called!r}{where}: state must name the field h, the output, and "
                f"others by different Python names, got {fields}"
            )
        counts = gates if isinstance(gates, tuple) else (gates, gates)
        if len(counts) != 2 or not all(_is_count(n) for n in counts) or not counts[0]:
            raise InvalidCell(
                f"cell {called!r}{where}: gates must be a positive number, or a pair "
                f"of the gates of a_x and of a_h (0: none), got {gates!r}"
            )
        if not all(_is_count(n) and n for n in products):
            raise InvalidCell(
                f"cell {called!r}{where}: inner must hold a positive number of gates "
                f"per product, got {inner!r}"
            )
        for parameter, extra in extras.items():
            if not isinstance(extra, PerUnit):
                raise InvalidCell(
                    f"cell {called!r}{where}: parameter {parameter!r} must be declared "
                    f"by a PerUnit, as in PerUnit(init=1.0), got {extra!r}"
                )
            if parameter in _TAKEN or hasattr(Declared, parameter):
                raise InvalidCell(
                    f"cell {called!r}{where}: a parameter cannot be called "
                    f"{parameter!r}, which every cell has; name it differently"
                )
        options = _options(signature(function), extras, products, f"{called!r}{where}")
        # h comes first, as in torch.
        ordered = ("h", *(f for f in fields if f != "h"))
        text = function.__doc__ or ""
        record = namedtuple(f"{own_name}_state", ordered)  # pyright: ignore[reportUntypedNamedTuple]
        members = {
            "__doc__": text or None,
            "__module__": function.__module__,
            "__qualname__": own_name,
            "name": called,
            "equation": equation or text.strip().partition("\n")[0],
            "source": source,
            "gates": gates,
            "inner": products,
            "product_bias": product_bias,
            "parameters_per_unit": extras,
            "State": record,
            "function": staticmethod(function),
            "step_options": options,
            "prepare_weights": None if prepare is None else staticmethod(prepare),
            "start_weights": None if start is None else staticmethod(start),
        }
        return type(own_name, (Declared,), members)

    return declare


# Attributes of every cell, beside those of its class.
_TAKEN = {
    *("bias", "input_size", "hidden_size", "input_init", "recurrent_init", "options"),
    *(f"{kind}_{part}" for kind in ("weight", "bias") for part in ("ih", "hh", "mh")),
    *("settings", "training", "weight_hr"),
}


def _is_field(name: Any) -> bool:
    usual = isinstance(name, str) and name.isidentifier() and not iskeyword(name)
    return usual and not name.startswith("_")


def _twice(names: tuple[str, ...]) -> bool:
    return len(set(names)) < len(names)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _where(function: Step) -> str:
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    return f" at line {code.co_firstlineno} of {getsourcefile(function)}"


def _options(
    found: Signature,
    extras: Mapping[str, PerUnit],
    inner: tuple[int, ...],
    where: str,
) -> dict[str, Any]:
    """The keyword-only arguments of a step and their defaults."""
    arguments = list(found.parameters.values())
    positional = [a for a in arguments if a.kind is Parameter.POSITIONAL_OR_KEYWORD]
    expected = ["a_x", "a_h", "state", *extras, *(["inner"] if inner else [])]
    names = [a.name for a in positional]
    if sorted(names[3:]) != sorted(expected[3:]) or len(names) < 3:
        raise InvalidCell(
            f"cell {where}: the step must take ({', '.join(expected)}), then options "
            f"after a *, got ({', '.join(a.name for a in arguments)})"
        )
    options = {a.name: a for a in arguments if a.kind is Parameter.KEYWORD_ONLY}
    for name, option in options.items():
        if option.default is Parameter.empty:
            raise InvalidCell(f"cell {where}: option {name!r} needs a default")
        if name in ("bias", "input_init", "recurrent_init", "device", "dtype"):
            raise InvalidCell(f"cell {where}: {name!r} is taken, name it differently")
    if any(
        a.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for a in arguments
    ):
        raise InvalidCell(f"cell {where}: *args and **kwargs name no option")
    return {name: option.default for name, option in options.items()}
