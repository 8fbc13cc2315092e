"""Any optimiser of ``torch.optim``, and our own, by name."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from throughtime.checks import number
from throughtime.errors import InvalidType, InvalidValue, unknown_name
from throughtime.training.hessian_free import HessianFree
from throughtime.training.nt_asgd import NTASGD

HESSIAN_FREE = "hessian-free"
_LEFT_OUT = {
    "lbfgs": "it needs a closure that computes the loss again",
    "sparseadam": "it needs sparse gradients",
    "muon": "it takes matrices only, and a model has biases too",
}
# Given by name, or of no use in a plain training loop.
_NO_OPTIONS = ("params", "parameters", "lr", "capturable", "differentiable")

OPTIMIZERS: dict[str, Any] = {
    name.lower(): kind
    for name, kind in sorted(vars(torch.optim).items())
    if isinstance(kind, type)
    and issubclass(kind, torch.optim.Optimizer)
    and kind is not torch.optim.Optimizer
    and name.lower() not in _LEFT_OUT
} | {"nt-asgd": NTASGD, HESSIAN_FREE: HessianFree}


def averaged(optimizer: torch.optim.Optimizer) -> AbstractContextManager[None]:
    """Inside, the weights to validate and to keep: averaged ones if there are such."""
    return optimizer.averaged() if isinstance(optimizer, NTASGD) else nullcontext()


def build_optimizer(
    name: str,
    parameters: Iterable[Tensor],
    learning_rate: float,
    options: Mapping[str, Any] | None = None,
) -> torch.optim.Optimizer:
    """The optimiser called ``name`` (any case) with its own options.

    Raises:
        InvalidType: ``learning_rate`` is no number, or ``options`` no mapping.
        InvalidValue: unknown optimiser or option, and the message lists the known ones;
            or a value that the optimiser refuses.

    >>> p = torch.nn.Parameter(torch.zeros(2))
    >>> type(build_optimizer("sgd", [p], 0.1, {"momentum": 0.9})).__name__
    'SGD'
    """
    key = str(name).lower()
    if key not in OPTIMIZERS:
        error = unknown_name("optimizer", name, OPTIMIZERS)
        if key in _LEFT_OUT:
            raise InvalidValue(f"{error}; torch's {name} is left out: {_LEFT_OUT[key]}")
        raise error
    number("learning_rate", learning_rate, minimum=0)
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise InvalidType(
            "options of an optimizer should be a dict of name and value, got: "
            f"{type(options).__name__}"
        )
    known = [n for n in signature(OPTIMIZERS[key]).parameters if n not in _NO_OPTIONS]
    for option in options:
        if option not in known:
            raise unknown_name(f"option of optimizer {key!r}", option, known)
    try:
        return OPTIMIZERS[key](parameters, lr=learning_rate, **options)
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        raise InvalidValue(f"optimizer {key!r} refuses its options: {error}") from error


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, state: Mapping[str, Any]
) -> None:
    """Continue from ``optimizer.state_dict()`` with exactly the same numbers.

    torch converts every tensor to the type of its parameter on the way in, and so, for
    example, NAdam's float32 product of momenta to float64. Here each keeps its type.
    """
    optimizer.load_state_dict(dict(state))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, entries in state["state"].items():
        loaded = optimizer.state[parameters[index]]
        for name, value in entries.items():
            if isinstance(value, Tensor):
                loaded[name] = value.to(loaded[name].device)
