r"""Long short-term memory (Hochreiter and Schmidhuber, 1997), with forget gate.

    i_t = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)
    f_t = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
    g_t = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
    o_t = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    h_t = o_t ⊙ tanh(c_t)

Forget gate: Gers, Schmidhuber and Cummins, "Learning to forget", 2000. Along the direct
path ∂c_t/∂c_{t-1} = f_t; with f_t = 1 it is the constant error carousel of 1997.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime import init
from throughtime.cells.base import Cell, Gates, Initialiser, Weights
from throughtime.cells.parts import Inner, PerUnit, row_norm
from throughtime.checks import boolean, number
from throughtime.errors import InvalidType, InvalidValue


class LSTMState(NamedTuple):
    """The state of an LSTM: h (B, H), or (B, P) if projected, and c (B, H)."""

    h: Tensor
    c: Tensor


class LSTM(Cell):
    """LSTM in torch's gate order i, f, g, o, with the options named below.

    Args:
        input_size: I, features of x_t.
        hidden_size: H, features of c_t, and of h_t unless projected.
        bias: whether b_ih and b_hh exist.
        forget_bias: initial value of the forget gate's bias (b_if; b_hf starts at 0),
            Jozefowicz et al. 2015 recommend 1; default: uniform like torch.
        peephole: i and f also see c_{t-1}, and o sees c_t, through the diagonal
            weights ``weight_peephole`` (3, H) in the order i, f, o (Gers and
            Schmidhuber, 2000).
        layer_norm: LN(W_ih x_t) ⊙ γ_ih + LN(W_hh h_{t-1}) ⊙ γ_hh + b, each LN over all
            4 H rows, and h_t = o_t ⊙ tanh(LN(c_t) ⊙ γ_c + β_c) (Ba, Kiros and Hinton,
            2016, eq. 29-31; their shifts β of the first two and b add up to b).
        projection: P < H: h_t = W_hr (o_t ⊙ tanh(c_t)) (Sak, Senior and Beaufays,
            2014), torch's ``proj_size``; 0 for none.
        input_init: initialiser of W_ih, see ``Cell``.
        recurrent_init: initialiser of each gate's block of W_hh, see ``Cell``.
        device: where the parameters live.
        dtype: their type.

    Shapes: weight_ih (4H, I), weight_hh (4H, H or P), bias_ih (4H,), bias_hh (4H,),
    weight_hr (P, H), weight_peephole (3, H). With layer norm, in the place of the two
    biases: norm_ih (4, H), norm_hh (4, H), norm_bias (4, H), norm_c (H,), norm_c_bias
    (H,).

    Raises:
        InvalidType: a size is no int, or an option has the wrong type.
        InvalidValue: a size is not positive, ``projection`` >= H, or ``forget_bias``
            without ``bias``.

    >>> cell = LSTM(3, 4, forget_bias=1.0)
    >>> state = cell.step(torch.ones(2, 3))
    >>> state.h.shape, state.c.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    name = "lstm"
    equation = "c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t,  h_t = o_t ⊙ tanh(c_t)"
    source = "Hochreiter and Schmidhuber, 1997; Gers et al., 2000"
    gates = 4
    gate_names = ("input", "forget", "candidate", "output")
    State = LSTMState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        forget_bias: float | None = None,
        peephole: bool = False,
        layer_norm: bool = False,
        projection: int = 0,
        input_init: Initialiser | None = None,
        recurrent_init: Initialiser | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.peephole = boolean("peephole", peephole)
        self.layer_norm = boolean("layer_norm", layer_norm)
        self.projection = _projection(projection, hidden_size)
        self.forget_bias = forget_bias
        if forget_bias is not None:
            self.forget_bias = number("forget_bias", forget_bias)
            if not bias:
                raise InvalidValue(
                    f"forget_bias={forget_bias} needs a bias to start from; "
                    "use bias=True or leave forget_bias out"
                )
        extra: dict[str, PerUnit] = {}
        if self.peephole:
            extra["weight_peephole"] = PerUnit(3)
        if self.layer_norm:
            extra |= {"norm_ih": PerUnit(4, 1.0), "norm_hh": PerUnit(4, 1.0)}
            extra |= {"norm_bias": PerUnit(4)} if bias else {}
            extra |= {"norm_c": PerUnit(init=1.0), "norm_c_bias": PerUnit(init=0.0)}
        self.parameters_per_unit = extra
        super().__init__(
            input_size,
            hidden_size,
            bias=bias,
            input_init=input_init,
            recurrent_init=recurrent_init,
            device=device,
            dtype=dtype,
            options={
                "forget_bias": forget_bias,
                "peephole": peephole,
                "layer_norm": layer_norm,
                "projection": projection,
            },
        )

    @property
    def output_size(self) -> int:
        return self.projection or self.hidden_size

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = super().parameter_shapes()
        if self.layer_norm:  # which would take a bias of the products away again
            shapes = {k: s for k, s in shapes.items() if not k.startswith("bias_")}
        if self.projection:
            shapes["weight_hr"] = (self.projection, self.hidden_size)
        return shapes

    def apply_recipe(self) -> None:
        super().apply_recipe()
        if self.forget_bias is None:
            return
        if self.layer_norm:
            self.get_parameter("norm_bias")[1] = self.forget_bias
        else:
            init.forget_bias(self.get_parameter("bias_ih"), self.forget_bias)
            init.forget_bias(self.get_parameter("bias_hh"), 0.0)

    def pointwise(
        self,
        a_x: Sequence[Tensor],
        a_h: Sequence[Tensor],
        state: Any,
        weights: Weights,
        inner: Inner,
    ) -> tuple[LSTMState, Gates]:
        if self.layer_norm:
            a_x = _normalise(a_x, weights["norm_ih"], weights.get("norm_bias"))
            a_h = _normalise(a_h, weights["norm_hh"], None)
        i, f, g, o = (x + h for x, h in zip(a_x, a_h, strict=True))
        if self.peephole:
            i = i + weights["weight_peephole"][0] * state.c
            f = f + weights["weight_peephole"][1] * state.c
        i, f, g = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g)
        c = f * state.c + i * g
        if self.peephole:
            o = o + weights["weight_peephole"][2] * c
        o = torch.sigmoid(o)
        seen = c
        if self.layer_norm:
            seen = row_norm(c)[0] * weights["norm_c"] + weights["norm_c_bias"]
        h = o * torch.tanh(seen)
        return LSTMState(h, c), {"input": i, "forget": f, "candidate": g, "output": o}

    def advance(
        self, a_x: Tensor, state: Any, weights: Weights, mask: Tensor | None = None
    ) -> tuple[LSTMState, Gates]:
        new, gates = super().advance(a_x, state, weights, mask)
        if self.projection:
            new = LSTMState(F.linear(new.h, weights["weight_hr"]), new.c)
        return new, gates


def _normalise(
    a: Sequence[Tensor], gain: Sequence[Tensor], shift: Sequence[Tensor] | None
) -> list[Tensor]:
    found = [y * gain[k] for k, y in enumerate(row_norm(*a))]
    return found if shift is None else [y + shift[k] for k, y in enumerate(found)]


def _projection(projection: int, hidden_size: int) -> int:
    if not isinstance(projection, int) or isinstance(projection, bool):
        raise InvalidType(
            f"projection should be of type int, got: {type(projection).__name__}"
        )
    if projection < 0:
        raise InvalidValue(
            "projection should be a positive integer or zero to disable projections, "
            f"got {projection}"
        )
    if isinstance(hidden_size, int) and 0 < hidden_size <= projection:
        raise InvalidValue(
            f"projection has to be smaller than hidden_size = {hidden_size}, "
            f"got {projection}"
        )
    return projection
