"""Any optimiser of ``torch.optim`` by name."""

from collections.abc import Iterable, Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from throughtime.errors import InvalidValue, unknown_name

# They need a closure, sparse gradients or matrices only, which a model does not give.
_OTHERS = ("LBFGS", "SparseAdam", "Muon", "Optimizer")

OPTIMIZERS: dict[str, Any] = {
    name.lower(): kind
    for name, kind in sorted(vars(torch.optim).items())
    if isinstance(kind, type)
    and issubclass(kind, torch.optim.Optimizer)
    and name not in _OTHERS
}


def build_optimizer(
    name: str,
    parameters: Iterable[Tensor],
    learning_rate: float,
    options: Mapping[str, Any] | None = None,
) -> torch.optim.Optimizer:
    """The optimiser called ``name`` (any case) with its own options.

    Raises:
        InvalidValue: unknown optimiser or option; the message lists the known ones.

    >>> p = torch.nn.Parameter(torch.zeros(2))
    >>> type(build_optimizer("sgd", [p], 0.1, {"momentum": 0.9})).__name__
    'SGD'
    """
    key = name.lower()
    if key not in OPTIMIZERS:
        raise unknown_name("optimizer", name, OPTIMIZERS)
    known = [
        n for n in signature(OPTIMIZERS[key]).parameters if n not in ("params", "lr")
    ]
    for option in options or {}:
        if option not in known:
            raise unknown_name(f"option of optimizer {key!r}", option, known)
    try:
        return OPTIMIZERS[key](parameters, lr=learning_rate, **(options or {}))
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"optimizer {key!r} refuses its options: {error}") from error
