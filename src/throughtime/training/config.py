"""The options of a training, checked when they are given."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch

from throughtime.checks import (
    boolean,
    from_entries,
    number,
    parse_memory,
    positive_int,
)
from throughtime.errors import InvalidType, InvalidValue, unknown_name
from throughtime.training.adaptive import AdaptiveBPTT
from throughtime.training.adaptive_clipping import AdaptiveClip
from throughtime.training.bptt import BPTT, Method, TruncatedBPTT
from throughtime.training.optimizers import HESSIAN_FREE, build_optimizer
from throughtime.training.random_truncation import LENGTHS, RandomTruncatedBPTT
from throughtime.training.schedules import SCHEDULES
from throughtime.training.sliding import SlidingBPTT

TRUNCATIONS = ("full", "chunked", "sliding", "random", "adaptive")
REDUCTIONS = ("mean", "sum")
# The largest seed that torch takes.
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        truncation: ``full``; ``chunked`` (``TruncatedBPTT``); ``sliding``
            (``SlidingBPTT``), ``random`` (``RandomTruncatedBPTT``) or ``adaptive``
            (``AdaptiveBPTT``). None: ``chunked`` on streams, ``full`` on examples.
        tau: steps the gradient flows back, of ``random`` the mean number and of
            ``adaptive`` the largest; None: all, as with ``full``.
        stride: steps between two backward passes, at most tau; None: tau.
        probability: of ``random``, π of going on at each step, instead of tau.
        lengths: of ``random``, the distribution: ``geometric`` or ``power``.
        epsilon: of ``adaptive``, the share of the gradient that may be lost.
        measure_every: of ``adaptive``, updates between two measurements.
        batch_size: parallel streams, or examples side by side.
        epochs: passes over the data.
        max_norm: threshold of norm clipping; None: off.
        per_tensor: each gradient clipped by its own norm, not all by the joint one.
        clip_percentile: norm clipping at this percentile of all norms so far, where it
            is below ``max_norm`` (``AdaptiveClip``); None: off.
        max_value: threshold of element-wise clipping, applied first; None: off.
        memory: budget for backpropagation, as ``"200MB"``, for which steps are run
            forward again (``WithinMemory``); None: everything is kept.
        omega: weight α of the regulariser Ω, see ``omega``; 0: off.
        loss_reduction: ``mean`` over the window's tokens or ``sum``.
        optimizer: name in ``torch.optim``.
        learning_rate: step size at the start; None: 0.002, or 1, the whole step, for
            ``hessian-free``.
        optimizer_options: other arguments of the optimiser.
        schedule: ``constant``, ``linear``, ``plateau`` or ``after_epoch``, see
            ``schedules``.
        decay: factor of the schedule.
        decay_after: epoch after which ``after_epoch`` decays.
        patience: epochs without improvement that ``plateau`` forgives.
        early_stopping: stop after so many epochs without improvement; None: off.
        time_budget: stop after so many seconds of training; None: off.
        curvature_share: of ``hessian-free``, the part of the streams that its products
            are made on, in (0, 1].
        accumulate: windows in a row whose gradients make one update, weighted by their
            targets like those of one batch.
        checkpoint_every: updates between two checkpoints.
        log_every: updates between two lines of metrics.jsonl.
        seed: for ``torch.manual_seed`` before the model is made. The loop goes on
            drawing, for dropout, from torch's generator as it finds it.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an entry is out of range, or a name is unknown.
    """

    truncation: str | None = None
    tau: int | None = 35
    stride: int | None = None
    probability: float | None = None
    lengths: str = "geometric"
    epsilon: float = 0.05
    measure_every: int = 200
    batch_size: int = 32
    epochs: int = 10
    max_norm: float | None = 1.0
    per_tensor: bool = False
    clip_percentile: float | None = None
    max_value: float | None = None
    memory: str | int | None = None
    omega: float = 0.0
    loss_reduction: str = "mean"
    optimizer: str = "adam"
    learning_rate: float | None = None
    optimizer_options: dict[str, Any] = field(default_factory=dict)
    schedule: str = "constant"
    decay: float = 0.5
    decay_after: int = 1
    patience: int = 0
    early_stopping: int | None = None
    time_budget: float | None = None
    curvature_share: float = 1.0
    accumulate: int = 1
    checkpoint_every: int = 200
    log_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "batch_size",
            "epochs",
            "decay_after",
            "accumulate",
            "checkpoint_every",
            "log_every",
            "measure_every",
        ):
            positive_int(name, getattr(self, name))
        for name in ("tau", "stride", "early_stopping"):
            if getattr(self, name) is not None:
                positive_int(name, getattr(self, name))
        for name in ("max_norm", "max_value", "time_budget"):
            if getattr(self, name) is not None:
                number(name, getattr(self, name), minimum=0, exclude_minimum=True)
        number("learning_rate", self.first_rate, minimum=0, exclude_minimum=True)
        number("decay", self.decay, minimum=0, maximum=1, exclude_minimum=True)
        for name in ("seed", "patience"):
            _whole_number(name, getattr(self, name))
        for name, known in (
            ("loss_reduction", REDUCTIONS),
            ("schedule", SCHEDULES),
            ("truncation", (None, *TRUNCATIONS)),
            ("lengths", LENGTHS),
        ):
            if getattr(self, name) not in known:
                known = [name for name in known if name is not None]
                raise unknown_name(name, getattr(self, name), known)
        number("epsilon", self.epsilon, minimum=0, maximum=1, exclude_minimum=True)
        self._check_truncation()
        self._check_gradient()
        # Raises here, not in the middle of a training, if the optimiser refuses.
        build_optimizer(
            self.optimizer,
            [torch.zeros(1, 1, requires_grad=True)],
            self.first_rate,
            self.optimizer_options,
        )

    @property
    def on_streams(self) -> str:
        """The truncation on streams."""
        return "chunked" if self.truncation is None else self.truncation

    @property
    def second_order(self) -> bool:
        """Whether the optimiser is ``hessian-free``."""
        return str(self.optimizer).lower() == HESSIAN_FREE

    @property
    def first_rate(self) -> float:
        """The learning rate at the start, whether it was given or not."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 1.0 if self.second_order else 0.002

    def _check_truncation(self) -> None:
        kind = self.on_streams
        full = kind == "full" or (kind == "chunked" and self.tau is None)
        if self.stride is not None and (full or kind in ("random", "adaptive")):
            why = "full BPTT has one window only" if full else f"got {kind!r}"
            raise InvalidValue(
                f"stride needs tau, and truncation 'chunked' or 'sliding': {why}"
            )
        if self.probability is not None and kind != "random":
            raise InvalidValue(
                f"probability is an option of truncation='random', got {kind!r}"
            )
        if not full and self.tau is None and self.probability is None:
            raise InvalidValue(f"truncation {kind!r} needs tau, got None")
        self.method()

    def _check_gradient(self) -> None:
        boolean("per_tensor", self.per_tensor)
        if self.clip_percentile is not None:
            AdaptiveClip(self.clip_percentile)
            if self.per_tensor:
                raise InvalidValue(
                    "clip_percentile is one of joint norms, so it cannot be used with "
                    "per_tensor=True; leave one of them out"
                )
        if self.memory is not None:
            parse_memory(self.memory)
            if self.on_streams in ("sliding", "random") or self.omega:
                raise InvalidValue(
                    "memory needs truncation 'full', 'chunked' or 'adaptive' and no "
                    f"omega, got truncation {self.on_streams!r}, omega {self.omega}"
                )
        number(
            "curvature_share",
            self.curvature_share,
            minimum=0,
            maximum=1,
            exclude_minimum=True,
        )
        if self.second_order:
            self._check_second_order()
        if number("omega", self.omega, minimum=0) and (
            self.on_streams == "sliding" or (self.stride or self.tau) != self.tau
        ):
            raise InvalidValue(
                "omega needs windows that do not overlap; leave stride out, and use "
                "another truncation than 'sliding'"
            )

    def _check_second_order(self) -> None:
        plain = self.on_streams not in ("sliding", "random")
        for name, fits in (
            ("truncation", plain),
            ("accumulate", self.accumulate == 1),
            ("memory", self.memory is None),
            ("omega", not self.omega),
        ):
            if not fits:
                raise InvalidValue(
                    f"{HESSIAN_FREE} takes one window at a time and its own products "
                    f"through time, so it cannot be used with {name}="
                    f"{getattr(self, name)!r}; leave it out"
                )

    def method(self, reach: int | None = None) -> Method:
        """The way the gradient flows back through time.

        Args:
            reach: for ``adaptive``, the τ that was measured last; default: ``tau``.
        """
        kind = self.on_streams
        if kind == "full" or (self.tau is None and self.probability is None):
            return BPTT()
        if kind == "random":
            tau = self.tau if self.probability is None else None
            return RandomTruncatedBPTT(tau, self.probability, self.lengths, self.seed)
        assert self.tau is not None
        if kind == "sliding":
            return SlidingBPTT(self.tau, self.stride)
        if kind == "adaptive":
            return TruncatedBPTT(self.tau if reach is None else reach)
        return TruncatedBPTT(self.tau, self.stride)

    def adaptive(self) -> AdaptiveBPTT:
        """How ``adaptive`` finds its τ."""
        assert self.tau is not None
        return AdaptiveBPTT(self.epsilon, self.tau, self.measure_every)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json.

        >>> config = TrainingConfig(tau=20, optimizer="sgd")
        >>> TrainingConfig.from_dict(config.to_dict()) == config
        True
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The config with these entries; the rest keeps its default.

        Raises:
            InvalidValue: unknown entry; the message lists the known ones.
        """
        return from_entries(cls, values, "option of training")


def _whole_number(name: str, value: Any) -> None:
    """Raise unless ``value`` is an int from 0 on."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidType(f"{name} should be of type int, got: {type(value).__name__}")
    if not 0 <= value <= _LARGEST:
        raise InvalidValue(f"{name} must be from 0 to {_LARGEST}, got {value}")
