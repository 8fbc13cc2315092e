"""Truncation at random steps, with weights that make up for it: no bias.

Going back over the border between two steps, the gradient is cut with probability c
and otherwise multiplied by 1/(1 - c), so that on average it is multiplied by 1:

    z_t = ∂⁺h_t/∂W + ξ_t ∂h_t/∂h_{t-1} z_{t-1},   E ξ_t = 1

(Tallec and Ollivier, "Unbiasing truncated backpropagation through time", arXiv
1705.08209). The expectation is the full gradient. What is paid is variance: after l
steps without a cut the weight is 1/P(length > l).
"""

import random
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from throughtime.checks import number
from throughtime.errors import InvalidType, InvalidValue, unknown_name
from throughtime.layers import Recurrent
from throughtime.training.bptt import Position, Problem, Window, whole_backward

LENGTHS = ("geometric", "power")
# The tail of a power law, P(length > l) ~ l^-3, has a finite variance.
_EXPONENT = 3.0


@dataclass(frozen=True)
class RandomTruncatedBPTT:
    """Windows of random length, whose gradient is that of full BPTT on average.

    Args:
        tau: mean length of a window, above 1.
        probability: π in (0, 1], of going on at each step, in the place of ``tau``:
            lengths are geometric with mean 1/(1 - π). 1 is full BPTT.
        lengths: ``geometric``: P(length > l) = π^l; ``power``: a power law, whose
            weights grow slowly with l; or the probabilities of lengths 1, 2, ..., n,
            for passes of up to n steps.
        seed: of the lengths; another epoch draws others.

    Raises:
        InvalidType: a number or a sequence of numbers is none.
        InvalidValue: out of range, an unknown name, or not exactly one of ``tau`` and
            ``probability`` for lengths that need one.

    >>> from throughtime.training.bptt import windows
    >>> [w.stop - w.start for w in windows(RandomTruncatedBPTT(4, seed=1), 20)]
    [1, 1, 1, 3, 1, 5, 3, 1, 1, 3]
    """

    tau: float | None = None
    probability: float | None = None
    lengths: str | Sequence[float] = "geometric"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.probability is not None:
            if self.probability == 0:
                raise InvalidValue(
                    "probability is that of going on at each step, in (0, 1], got 0: "
                    "no gradient would flow back; use TruncatedBPTT(1) for that"
                )
            number(
                "probability",
                self.probability,
                minimum=0,
                maximum=1,
                exclude_minimum=True,
            )
        if self.tau is not None and number("tau", self.tau) <= 1:
            raise InvalidValue(
                f"tau, the mean length of a window, must be above 1, got {self.tau}"
            )
        if not isinstance(self.lengths, str):
            self._check_list(self.lengths)
        elif self.lengths not in LENGTHS:
            raise unknown_name("lengths", self.lengths, LENGTHS)
        elif self.lengths == "power" and (self.tau is None or self.probability):
            raise InvalidValue("lengths='power' needs tau, its mean, and only that")
        elif (self.tau is None) == (self.probability is None):
            raise InvalidValue(
                "lengths='geometric' needs tau, its mean, or probability, and not "
                f"both, got tau={self.tau}, probability={self.probability}"
            )

    def _check_list(self, lengths: Any) -> None:
        if not isinstance(lengths, Sequence) or not lengths:
            raise InvalidType(
                "lengths should be a name or the probabilities of lengths 1, 2, ..., "
                f"got: {type(lengths).__name__}"
            )
        if self.tau is not None or self.probability is not None:
            raise InvalidValue(
                "a list of lengths says everything: leave tau and probability out"
            )
        for share in lengths:
            number("lengths", share, minimum=0, maximum=1)
        if abs(sum(lengths) - 1) > 1e-6 or lengths[-1] == 0:
            raise InvalidValue(
                "lengths must be probabilities that add up to 1, the last one above 0, "
                f"got a sum of {sum(lengths):g}"
            )

    def cut(self, lag: int) -> float:
        """c: probability of a cut ``lag`` steps after the last one, lag >= 1."""
        if not isinstance(self.lengths, str):
            if lag > len(self.lengths):
                return 1.0
            left = sum(self.lengths[lag - 1 :])
            return self.lengths[lag - 1] / left if lag < len(self.lengths) else 1.0
        if self.probability is not None:
            return 1.0 - self.probability
        assert self.tau is not None
        if self.lengths == "power":
            return _EXPONENT / (self.tau * (_EXPONENT - 1) + lag)
        return 1.0 / self.tau

    def next_window(self, position: Position, steps: int) -> Window:
        """A window from the position up to the next cut.

        Raises:
            InvalidValue: a list of lengths ends before the pass does.
        """
        self._check_reach(steps)
        draw = random.Random(f"{self.seed} {position.epoch} {position.start}")
        stop = position.start + 1
        while stop < steps and draw.random() >= self.cut(stop - position.start):
            stop += 1
        return Window(position.start, stop, position.counted, stop)

    def _check_reach(self, steps: int) -> None:
        if not isinstance(self.lengths, str) and len(self.lengths) < steps:
            raise InvalidValue(
                f"lengths end at {len(self.lengths)} steps, and the pass has {steps}: "
                "what lies further back would never be credited; give probabilities "
                "up to there, or lengths='power'"
            )

    def backward(
        self, problem: Problem, window: Window, state: Any, weight: float = 1.0
    ) -> tuple[float, Any]:
        """See ``Method.backward``.

        Raises:
            InvalidType: the model has no recurrent layer of throughtime.
            InvalidValue: it has one that also runs from the end.
        """
        _check_direction(problem.module)
        gains = [1.0]
        for lag in range(1, window.stop - window.start):
            gains.append(1.0 / (1.0 - self.cut(lag)))
        column = torch.tensor(gains, dtype=torch.float64)

        def gain(steps: int, batch: int) -> Tensor:
            return column[:steps, None].expand(steps, batch)

        with carry_gains(problem.module, gain):
            return whole_backward(problem, window, state, weight)

    def gains(
        self, steps: int, batch: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """ξ for every step of ``batch`` sequences with cuts of their own, (T, B).

        To be given to a layer as ``carry_gain``. The first step's is 1.

        Raises:
            InvalidValue: a list of lengths ends before the steps do.

        >>> RandomTruncatedBPTT(probability=1.0).gains(3, 2)[:, 0].tolist()
        [1.0, 1.0, 1.0]
        """
        self._check_reach(steps)
        cut = torch.tensor([0.0] + [self.cut(lag) for lag in range(1, steps)])
        cut = cut.double()
        xi = torch.ones(steps, batch, dtype=torch.float64)
        lag = torch.ones(batch, dtype=torch.long)
        for t in range(1, steps):
            chance = cut[lag]
            cuts = torch.rand(batch, generator=generator, dtype=torch.float64) < chance
            xi[t] = torch.where(cuts, 0.0, 1 / (1 - chance))
            lag = torch.where(cuts, 1, lag + 1)
        return xi


@contextmanager
def randomly_truncated(
    module: nn.Module,
    method: RandomTruncatedBPTT,
    generator: torch.Generator | None = None,
) -> Generator[None]:
    """Inside, every recurrent layer truncates its gradient at random, without bias.

    Each call of each layer draws cuts of its own for every sequence, and for every
    layer and direction of a stack, so that this holds for bidirectional stacks as well.
    All steps are run and kept: it is the estimator, not its savings.

    Args:
        module: model with ``Recurrent`` layers.
        method: how to truncate.
        generator: where the draws come from.

    Raises:
        InvalidType: the module has no recurrent layer of throughtime.

    >>> import throughtime as tt
    >>> rnn, x = tt.RNN(1, 2), torch.ones(9, 1, 1)
    >>> with randomly_truncated(rnn, RandomTruncatedBPTT(3)):
    ...     outputs, _ = rnn(x)
    >>> outputs.requires_grad
    True
    """
    with carry_gains(module, lambda t, b: method.gains(t, b, generator)):
        yield


@contextmanager
def carry_gains(module: nn.Module, gain: Any) -> Generator[None]:
    """Inside, ``gain(steps, batch)`` multiplies what flows back over each border.

    It is called once per layer and direction of each call.

    Raises:
        InvalidType: the module has no recurrent layer of throughtime.
    """
    layers = [part for part in module.modules() if isinstance(part, Recurrent)]
    if not layers:
        raise InvalidType(
            "random truncation needs recurrent layers of throughtime in the model; use "
            "tt.Recurrent, tt.RNN, tt.LSTM or tt.GRU in it"
        )

    def inject(layer: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        x = args[0] if args else kwargs["input" if "input" in kwargs else "x"]
        weight = layer.weights(0)["weight_ih"]
        steps, batch = sizes(x, batch_first=layer.batch_first)
        found = [gain(steps, batch).to(weight) for _ in layer.suffixes]
        if layer.batch_first and not isinstance(x, PackedSequence) and x.dim() == 3:
            found = [xi.t() for xi in found]
        if not isinstance(x, PackedSequence) and x.dim() == 2:
            found = [xi.squeeze(1) for xi in found]
        return args, {**kwargs, "carry_gain": found}

    handles = [
        layer.register_forward_pre_hook(inject, with_kwargs=True) for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def sizes(x: Any, *, batch_first: bool) -> tuple[int, int]:
    """Steps T and sequences B of a layer's input."""
    if isinstance(x, PackedSequence):
        return len(x.batch_sizes), int(x.batch_sizes[0])
    if x.dim() == 2:
        return x.size(0), 1
    first, second = x.shape[:2]
    return (second, first) if batch_first else (first, second)


def _check_direction(module: nn.Module) -> None:
    if any(part.bidirectional for part in module.modules() if _is_layer(part)):
        raise InvalidValue(
            "a bidirectional layer reads what comes after a window, so windows of "
            "random length change more than its gradient; use randomly_truncated on "
            "whole sequences"
        )


def _is_layer(part: nn.Module) -> bool:
    return isinstance(part, Recurrent)
