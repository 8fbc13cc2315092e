r"""NT-ASGD: gradient descent that starts to average its weights when it stalls.

    start at update T as soon as  v > min(v_1, ..., v_{m-n}), with v_1, ..., v_m before
    averaged weights = (w_T + w_{T+1} + ... + w_K) / (K - T + 1)

v is the validation loss of each check: no better than the best one that is older than n
checks. Non-monotonically triggered averaged stochastic gradient descent, Merity, Keskar
and Socher, arXiv 1708.02182 (AWD-LSTM; there n = 5).
"""

import math
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidType, InvalidValue


class NTASGD(torch.optim.SGD):
    """``torch.optim.SGD`` whose weights are averaged once validation stalls.

    Training goes on with the weights themselves; the averaged ones are for validation
    and for keeping. Losses, averages and their counts are in ``state_dict()``.

    Args:
        params: as in ``torch.optim.SGD``, like the arguments below.
        lr: learning rate.
        patience: n, the latest checks that a new loss is not compared with.
        momentum: factor of the last step.
        dampening: of the gradient in it.
        weight_decay: factor of the weights added to the gradient.
        nesterov: momentum looks ahead.

    Raises:
        InvalidType: ``patience`` is no int.
        InvalidValue: ``patience`` is not positive.

    >>> w = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = NTASGD([w], lr=1.0, patience=1)
    >>> [optimizer.observe(loss) for loss in (3.0, 2.0, 4.0)]  # 4 > 3
    [False, False, True]
    >>> w.grad = torch.tensor([0.5])
    >>> for _ in range(2):
    ...     optimizer.step()
    >>> with optimizer.averaged():
    ...     w.item()  # of 1, 0.5 and 0
    0.5
    >>> w.item()
    0.0
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        *,
        patience: int = 5,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        positive_int("patience", patience)
        super().__init__(params, lr, momentum, dampening, weight_decay, nesterov)
        self._swapped = False
        # torch saves and loads whatever is in a group.
        mine = {"patience": patience, "losses": [], "averages": 0}
        self.defaults |= mine
        for group in self.param_groups:
            group |= mine

    @property
    def averaging(self) -> bool:
        """Whether the weights are being averaged."""
        return self.param_groups[0]["averages"] > 0

    def observe(self, validation_loss: float) -> bool:
        """Tell the loss of a check; averaging starts if it says so.

        A loss that is not finite is worse than any other.

        Returns:
            ``averaging``.

        Raises:
            InvalidType: ``validation_loss`` is no number.
        """
        loss = validation_loss
        if not isinstance(loss, (int, float)) or isinstance(loss, bool):
            raise InvalidType(
                f"validation_loss should be a number, got: {type(loss).__name__}"
            )
        loss = float(loss) if math.isfinite(loss) else math.inf
        first = self.param_groups[0]
        compared = first["losses"][: -first["patience"]]
        starts = not self.averaging and bool(compared) and loss > min(compared)
        for group in self.param_groups:
            group["losses"] = [*group["losses"], loss]
            if starts:
                self._start(group)
        return self.averaging

    def _start(self, group: dict[str, Any]) -> None:
        group["averages"] = 1
        for parameter in group["params"]:
            self.state[parameter]["average"] = parameter.detach().clone()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of ``torch.optim.SGD``, and its weights into the average.

        Raises:
            InvalidValue: the averaged weights are swapped in.
        """
        if self._swapped:
            raise InvalidValue(
                "step() inside `with averaged()` would be lost; leave it before the "
                "next step"
            )
        loss = super().step(closure)
        if self.averaging:
            for group in self.param_groups:
                if not group["averages"]:  # it has been added since
                    self._start(group)
                    continue
                group["averages"] += 1
                for parameter in group["params"]:
                    average = self.state[parameter]["average"]
                    average += (parameter - average) / group["averages"]
        return loss

    @contextmanager
    def averaged(self) -> Generator[None]:
        """The parameters are their averages inside; before averaging, themselves."""
        if not self.averaging or self._swapped:
            yield
            return
        parameters = [p for group in self.param_groups for p in group["params"]]
        kept = [p.detach().clone() for p in parameters]
        self._copy(parameters, [self.state[p]["average"] for p in parameters])
        self._swapped = True
        try:
            yield
        finally:
            self._swapped = False
            self._copy(parameters, kept)

    @torch.no_grad()
    def _copy(self, parameters: Iterable[Tensor], values: Iterable[Tensor]) -> None:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
