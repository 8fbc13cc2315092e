"""What cells are put together from, beside their weights.

Parameters per unit, products inside the step, and normalisation of a row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function

from throughtime.errors import InvalidCell

# The input part or the recurrent part of a step: one tensor (B, H) per gate.
Parts = Sequence[Tensor]
# The product inside a step: (B, H) -> one tensor (B, H) per gate.
Inner = Callable[[Tensor], Sequence[Tensor]]


class InnerProducts:
    """The products inside one step, m W_mhᵀ + b_mh, each with its rows of W_mh."""

    def __init__(
        self, gates: tuple[int, ...], weights: Mapping[str, Any], mask: Tensor | None
    ) -> None:
        self._left = list(gates)
        self._weights = weights
        self._mask = mask
        self._row = 0

    def __call__(self, m: Tensor) -> Sequence[Tensor]:
        """One tensor (..., H) per gate of the next product.

        Raises:
            InvalidCell: there is no further product declared.
        """
        if not self._left:
            raise InvalidCell(
                "the step asks for more products than inner declares; give inner one "
                "number of gates per call"
            )
        gates, begin = self._left.pop(0), self._row
        self._row += gates * m.size(-1)
        m = m if self._mask is None else m * self._mask
        weight, bias = self._weights["weight_mh"], self._weights.get("bias_mh")
        rows = slice(begin, self._row)
        product = F.linear(m, weight[rows], None if bias is None else bias[rows])
        return product.chunk(gates, -1)


@dataclass(frozen=True)
class PerUnit:
    """A parameter of a cell beside its weights: a number per unit, or one for all.

    Args:
        rows: 0 for shape (H,), n > 0 for (n, H).
        init: where it starts: a number; or a function that fills the tensor in place,
            such as those of ``torch.nn.init``; None for torch's uniform in ±1/√H.
        scalar: one number for all units, shape ().
        bias: it is there only where the cell has biases; without them the step gets 0.
        constant: no parameter: the cell's ``prepare`` adds it to the weights, made from
            the options, as for periods of a clock.

    >>> PerUnit(3).shape(5), PerUnit().shape(5), PerUnit(scalar=True).shape(5)
    ((3, 5), (5,), ())
    """

    rows: int = 0
    init: float | Callable[[Tensor], object] | None = None
    scalar: bool = False
    bias: bool = False
    constant: bool = False

    def shape(self, hidden_size: int) -> tuple[int, ...]:
        """The parameter's shape for H units."""
        if self.scalar:
            return ()
        return (self.rows, hidden_size) if self.rows else (hidden_size,)

    def start(self, parameter: Tensor) -> None:
        """Fill a fresh parameter."""
        if callable(self.init):
            self.init(parameter)
        elif self.init is not None:
            parameter.fill_(self.init)


def start_biases(weights: Mapping[str, Tensor], *values: float) -> None:
    """Fill the biases of a fresh cell: b_ih with one value per gate, the others with 0.

    For ``start`` of a declared cell; a cell without biases stays as it is.

    >>> weights = {"bias_ih": torch.ones(4), "bias_hh": torch.ones(4)}
    >>> start_biases(weights, 1.0, -1.0)
    >>> weights["bias_ih"], weights["bias_hh"]
    (tensor([ 1.,  1., -1., -1.]), tensor([0., 0., 0., 0.]))
    """
    for name in weights.keys() & {"bias_ih", "bias_hh", "bias_mh"}:
        weights[name].zero_()
    if "bias_ih" in weights:
        blocks = weights["bias_ih"].chunk(len(values))
        for block, value in zip(blocks, values, strict=True):
            block.fill_(value)


def row_norm(*values: Tensor, eps: float = 1e-5) -> Sequence[Tensor]:
    r"""Normalise over all units of all ``values`` together, as in layer norm.

        y = (v - mean(v)) / √(var(v) + eps)

    without gain and shift (Ba, Kiros and Hinton, arXiv 1607.06450).

    Args:
        *values: tensors (..., H); mean and variance run over the n H numbers of a row.
        eps: added to the variance.

    Returns:
        One tensor (..., H) per value.

    >>> a, b = row_norm(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    >>> torch.cat([a, b])
    tensor([-1.3416, -0.4472,  0.4472,  1.3416])
    """
    if has_torch_function(values):  # while a cell is traced
        found = handle_torch_function(row_norm, values, *values, eps=eps)
        return [found[i] for i in range(len(values))]
    joined = torch.cat(values, -1)
    normal = F.layer_norm(joined, (joined.size(-1),), eps=eps)
    return normal.chunk(len(values), -1)
