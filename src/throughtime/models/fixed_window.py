r"""The neural language model with a fixed window.

    e_t = [E x_{t-n+1}; ...; E x_t]          the last n tokens side by side
    h_t = f(W e_t + b_1)
    P(x_{t+1} | the last n tokens) = softmax(U h_t + b_2)

Bengio, Ducharme, Vincent and Jauvin, "A neural probabilistic language model", JMLR 3,
2003; with ``direct`` connections as there, softmax(U h_t + D e_t + b_2). W = [W_1 ...
W_n] has weights of its own for every position, so that it grows with the window and
learns a word anew at each place in it; what lies before the window is never seen.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.cells.activations import as_activation
from throughtime.checks import (
    boolean,
    from_entries,
    number,
    positive_int,
    probability,
)
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.layers.dropout import drop
from throughtime.models.neural import NeuralLanguageModel, as_long
from throughtime.models.output import check_output

# A place of the window before the text begins; its embedding is zero.
NOTHING = -1


@dataclass(frozen=True)
class FixedWindowConfig:
    """What a language model with a fixed window is made of.

    Attributes:
        window: n, the tokens it sees.
        hidden_size: H.
        embedding_size: E of each token; None: ``hidden_size``.
        nonlinearity: f, one of ``throughtime.cells.ACTIVATIONS``.
        tied: the output weight is the embedding matrix.
        direct: the output also reads e_t.
        dropout: p of dropout on the embedding of each token and on h_t.
        output: one of ``models.output.OUTPUTS``.
        output_options: options of the output by name.
        init_range: embedding and output weight start uniform in ± this.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an entry is out of range, or entries contradict each other.
    """

    window: int = 4
    hidden_size: int = 256
    embedding_size: int | None = None
    nonlinearity: str = "tanh"
    tied: bool = False
    direct: bool = False
    dropout: float = 0.0
    output: str = "full"
    output_options: dict[str, Any] = field(default_factory=dict)
    init_range: float = 0.1

    def __post_init__(self) -> None:
        positive_int("window", self.window)
        positive_int("hidden_size", self.hidden_size)
        if self.embedding_size is not None:
            positive_int("embedding_size", self.embedding_size)
        if not isinstance(self.nonlinearity, str):
            raise InvalidType(
                f"nonlinearity should be a name, got {type(self.nonlinearity).__name__}"
            )
        as_activation(self.nonlinearity)
        boolean("tied", self.tied)
        boolean("direct", self.direct)
        probability("dropout", self.dropout)
        number("init_range", self.init_range, minimum=0)
        check_output(self.output, self.output_options, tied=self.tied)
        if self.tied and self.embedding_size not in (None, self.hidden_size):
            raise InvalidValue(
                f"tied=true needs embedding_size equal to hidden_size, "
                f"{self.hidden_size}, got {self.embedding_size}; leave it out"
            )
        if self.tied and self.direct:
            raise InvalidValue(
                "direct=true widens the output beyond the embedding, so it cannot be "
                "tied; leave one of them out"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The config with these entries; the rest keeps its default.

        Raises:
            InvalidValue: unknown entry; the message lists the known ones.
        """
        return from_entries(cls, values, "option of the fixed-window model")


class ParameterCount(NamedTuple):
    """Parameters of a model with a window of this many tokens, by where they are.

    embedding: E.
    hidden: W and b_1, and α of a trained nonlinearity.
    output: all that follows h_t (nothing twice: a tied U counts as embedding).
    """

    window: int
    embedding: int
    hidden: int
    output: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.embedding + self.hidden + self.output


class FixedWindowLM(NeuralLanguageModel):
    """P(next token | the last n tokens), from a feed-forward network.

    Meets ``LanguageModelProtocol`` and ``losses.OwnLoss``. Its state is the last n - 1
    tokens, (n - 1, B); where the text has not begun yet the embedding is zero.

    Args:
        vocabulary_size: V.
        config: see ``FixedWindowConfig``.
        counts: as in ``LanguageModel``.

    Raises:
        InvalidShape: counts that are not (V,).
        InvalidType: counts that are no tensor.
        InvalidValue: V is not positive, an option does not fit, or counts missing.

    >>> model = FixedWindowLM(10, FixedWindowConfig(window=3, hidden_size=8))
    >>> logits, state = model(torch.zeros(5, 2, dtype=torch.long))
    >>> logits.shape, state.shape
    (torch.Size([5, 2, 10]), torch.Size([2, 2]))
    """

    config: FixedWindowConfig

    def __init__(
        self,
        vocabulary_size: int,
        config: FixedWindowConfig | None = None,
        *,
        counts: Tensor | None = None,
    ) -> None:
        config = FixedWindowConfig() if config is None else config
        super().__init__(vocabulary_size, config)
        size = config.embedding_size or config.hidden_size
        self.hidden = nn.Linear(config.window * size, config.hidden_size)
        self.activation = as_activation(config.nonlinearity)
        self.alpha: nn.Parameter | None = None
        if self.activation.trainable:
            self.alpha = nn.Parameter(torch.tensor(self.activation.alpha))
        width = config.hidden_size + config.direct * self.hidden.in_features
        self.add_words(size, width, counts)

    def read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """From tokens (T, B) to what the output reads: h_t, or [h_t; e_t].

        Raises:
            InvalidShape: tokens or state have another shape.
        """
        if tokens.dim() != 2:
            raise InvalidShape(f"tokens must be (T, B), got {tuple(tokens.shape)}")
        tokens = as_long(tokens)
        if state is None:
            state = self.initial_state(tokens.size(1))
        before = (self.config.window - 1, tokens.size(1))
        if not isinstance(state, Tensor) or state.shape != before:
            raise InvalidShape(
                f"state must be the last tokens, {before}, got "
                f"{tuple(getattr(state, 'shape', ()))}; use what the model returned"
            )
        seen = torch.cat([state, tokens])
        e = self._side_by_side(self._embed(seen, len(state)))
        p = self.config.dropout
        h = drop(self.activation(self.hidden(e), self.alpha), p, self.training)
        features = torch.cat([h, e], -1) if self.config.direct else h
        return features, seen[len(tokens) :]

    def _embed(self, seen: Tensor, before: int) -> Tensor:
        """E x of every token, after its dropout; only the first may be ``NOTHING``."""
        assert self.embedding_weight is not None
        e = F.embedding(seen.clamp(min=0), self.embedding_weight)
        first = e[:before].masked_fill((seen[:before] < 0).unsqueeze(-1), 0.0)
        return drop(torch.cat([first, e[before:]]), self.config.dropout, self.training)

    def _side_by_side(self, e: Tensor) -> Tensor:
        """From (T + n - 1, B, E) to windows (T, B, n E), the oldest token first."""
        # W e_t by one product of windows: a sum of n products is slower.
        n = self.config.window
        steps = len(e) - n + 1
        return torch.cat([e[i : i + steps] for i in range(n)], -1)

    # ---- LanguageModelProtocol

    def initial_state(self, batch_size: int) -> Tensor:
        """The state before the first token: none has been read."""
        positive_int("batch_size", batch_size)
        shape = (self.config.window - 1, batch_size)
        return torch.full(shape, NOTHING, device=self.hidden.weight.device)

    def select_state(self, state: Any, indices: Tensor) -> Any:
        """The state of the sequences ``indices`` of the batch."""
        return state.index_select(1, indices)

    # ---- what the window costs

    def position_weights(self) -> Tensor:
        """W_1..W_n, one matrix for every place of the window, (n, H, E).

        The last is that of the token just read. A recurrent model has one for all.

        >>> model = FixedWindowLM(10, FixedWindowConfig(window=3, hidden_size=8))
        >>> model.position_weights().shape
        torch.Size([3, 8, 8])
        """
        n = self.config.window
        return self.hidden.weight.unflatten(1, (n, -1)).transpose(0, 1)

    def parameter_count(self, window: int | None = None) -> ParameterCount:
        """How many parameters this model has, or would have with another window.

        Raises:
            InvalidValue: no positive window, or another one where ``direct``
                connections lead into an output with weights of its own.

        >>> model = FixedWindowLM(10, FixedWindowConfig(window=3, hidden_size=8))
        >>> model.parameter_count(4)
        ParameterCount(window=4, embedding=80, hidden=264, output=90)
        """
        config = self.config
        n = config.window if window is None else positive_int("window", window)
        assert self.embedding_weight is not None
        size = self.embedding_weight.size(1)
        hidden = (n * size + 1) * config.hidden_size + (self.alpha is not None)
        output = sum(p.numel() for p in self.output.parameters())
        if self.output.reads_words:
            width = config.hidden_size + config.direct * n * size
            output += self.vocabulary_size * (1 + (not config.tied) * width)
        elif config.direct and n != config.window:
            raise InvalidValue(
                f"with direct=true and output {config.output!r} only the window of the "
                f"model itself, {config.window}, can be counted, got {n}"
            )
        return ParameterCount(n, self.embedding_weight.numel(), hidden, output)

    def parameter_growth(self, windows: Iterable[int]) -> list[ParameterCount]:
        """``parameter_count`` of several windows: W grows with each place.

        >>> model = FixedWindowLM(10, FixedWindowConfig(hidden_size=8))
        >>> [row.hidden for row in model.parameter_growth([1, 2, 4])]
        [72, 136, 264]
        """
        return [self.parameter_count(window) for window in windows]
