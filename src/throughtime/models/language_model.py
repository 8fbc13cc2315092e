r"""A recurrent language model: embedding, any cell, softmax over the vocabulary.

    e_t = E x_t                             embedding (or the one-hot x_t itself)
    h_t = cell(e_t, h_{t-1})                as many layers as asked for
    P(x_{t+1} | x_1..x_t) = softmax(U h_t + b)

Mikolov et al., "Recurrent neural network based language model", Interspeech 2010. With
``tied`` U = E (Press and Wolf, arXiv 1608.05859).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.cells import Cell, build_cell
from throughtime.checks import boolean, number, positive_int, probability
from throughtime.errors import InvalidType, InvalidValue, unknown_name
from throughtime.layers import Recurrent, linear_cross_entropy
from throughtime.layers.dropout import drop
from throughtime.layers.trace import map_state


@dataclass(frozen=True)
class LanguageModelConfig:
    """What a language model is made of.

    Attributes:
        cell: name of the cell, one of ``throughtime.cells.CELLS``, or of one in a file
            of one's own, as ``path/to/file.py:MyCell``, which is run.
        cell_options: options of the cell by name.
        hidden_size: H of every layer.
        num_layers: L.
        embedding_size: features of e_t; None: as many as h_t has.
        one_hot: feed one-hot vectors instead of an embedding.
        tied: the output weight is the embedding matrix.
        dropout: p of dropout on e_t, between layers and on the last h_t.
        input_dropout: p on e_t alone, if it differs.
        output_dropout: p on the last h_t alone, if it differs.
        embedding_dropout: p of dropping whole words from the embedding, one mask per
            window (Merity et al., arXiv 1708.02182).
        variational: one mask for all steps in these dropouts.
        recurrent_dropout: as in ``Recurrent``.
        zoneout: as in ``Recurrent``.
        weight_drop: as in ``Recurrent``.
        residual: as in ``Recurrent``.
        learned_initial_state: as in ``Recurrent``.
        recompute: as in ``Recurrent``.
        init_range: embedding and output weight start uniform in ± this.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an entry is out of range, or entries contradict each other.
    """

    cell: str = "lstm"
    cell_options: dict[str, Any] = field(default_factory=dict)
    hidden_size: int = 256
    num_layers: int = 1
    embedding_size: int | None = None
    one_hot: bool = False
    tied: bool = False
    dropout: float = 0.0
    input_dropout: float | None = None
    output_dropout: float | None = None
    embedding_dropout: float = 0.0
    variational: bool = False
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    weight_drop: float = 0.0
    residual: bool = False
    learned_initial_state: bool = False
    recompute: bool = False
    init_range: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.cell, str):
            raise InvalidType(f"cell should be a name, got {type(self.cell).__name__}")
        positive_int("hidden_size", self.hidden_size)
        positive_int("num_layers", self.num_layers)
        if self.embedding_size is not None:
            positive_int("embedding_size", self.embedding_size)
        for name in (
            "one_hot",
            "tied",
            "variational",
            "residual",
            "learned_initial_state",
            "recompute",
        ):
            boolean(name, getattr(self, name))
        for name in (
            "dropout",
            "input_dropout",
            "output_dropout",
            "embedding_dropout",
            "recurrent_dropout",
            "zoneout",
            "weight_drop",
        ):
            if getattr(self, name) is not None:
                probability(name, getattr(self, name))
        number("init_range", self.init_range, minimum=0)
        if self.one_hot and (
            self.tied or self.embedding_size or self.embedding_dropout
        ):
            raise InvalidValue(
                "one_hot=true has no embedding, so tied, embedding_size and "
                "embedding_dropout cannot be used with it; leave one of them out"
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
        known = [entry.name for entry in fields(cls)]
        for name in values:
            if name not in known:
                raise unknown_name("option of the language model", name, known)
        return cls(**values)


class LanguageModel(nn.Module):
    """P(next token | tokens so far), from a recurrent network.

    Meets ``LanguageModelProtocol`` and ``losses.OwnLoss``.

    Args:
        vocabulary_size: V.
        config: see ``LanguageModelConfig``.

    Raises:
        InvalidValue: V is not positive, the cell or an option is unknown, or ``tied``
            with an embedding of another size than h_t.

    >>> model = LanguageModel(10, LanguageModelConfig(cell="gru", hidden_size=8))
    >>> logits, state = model(torch.zeros(5, 2, dtype=torch.long))
    >>> logits.shape
    torch.Size([5, 2, 10])
    """

    def __init__(
        self, vocabulary_size: int, config: LanguageModelConfig | None = None
    ) -> None:
        super().__init__()
        config = LanguageModelConfig() if config is None else config
        self.config = config
        self.vocabulary_size = positive_int("vocabulary_size", vocabulary_size)
        size = vocabulary_size if config.one_hot else config.embedding_size
        cell = _first_cell(config, size)
        self.recurrent = Recurrent(
            cell,
            config.num_layers,
            dropout=config.dropout,
            variational=config.variational,
            recurrent_dropout=config.recurrent_dropout,
            zoneout=config.zoneout,
            weight_drop=config.weight_drop,
            residual=config.residual,
            learned_initial_state=config.learned_initial_state,
            recompute=config.recompute,
        )
        width = self.recurrent.output_size
        if config.tied and cell.input_size != width:
            raise InvalidValue(
                "tied=true needs embedding_size equal to the features of h_t, "
                f"{width}, got {cell.input_size}; leave embedding_size out"
            )
        self.embedding_weight: nn.Parameter | None = None
        if not config.one_hot:
            self.embedding_weight = self._weight(cell.input_size)
        self.output_weight: nn.Parameter | None = None
        if not config.tied:
            self.output_weight = self._weight(width)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary_size))

    def _weight(self, width: int) -> nn.Parameter:
        weight = torch.empty(self.vocabulary_size, width)
        bound = self.config.init_range
        return nn.Parameter(weight.uniform_(-bound, bound))

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logits of the next token after every token read.

        Args:
            tokens: long, (T, B).
            state: what an earlier call returned; default: the initial state.

        Returns:
            logits (T, B, V), and the state after the last step.
        """
        h, state = self._read(self.embed(tokens), state)
        return F.linear(h, self._output_weight(), self.output_bias), state

    def _read(self, e: Tensor, state: Any) -> tuple[Tensor, Any]:
        """From e_t to the h_t that the output layer reads."""
        config = self.config
        p_in = config.dropout if config.input_dropout is None else config.input_dropout
        p_out = (
            config.dropout if config.output_dropout is None else config.output_dropout
        )
        same = config.variational
        e = drop(e, p_in, self.training, variational=same)
        h, state = self.recurrent(e, state)
        return drop(h, p_out, self.training, variational=same), state

    def _output_weight(self) -> Tensor:
        weight = self.embedding_weight if self.config.tied else self.output_weight
        assert weight is not None  # one of the two exists by construction
        return weight

    def embed(self, tokens: Tensor, *, sparse_gradient: bool = False) -> Tensor:
        """e_t for every token, (T, B, I).

        With ``sparse_gradient`` the embedding matrix gets a gradient of the rows that
        were read only, where the way back to it allows that.
        """
        weight = self.embedding_weight
        if weight is None:
            return F.one_hot(tokens, self.vocabulary_size).to(self.output_bias.dtype)
        if self.training and self.config.embedding_dropout > 0:
            kept = torch.ones_like(weight[:, :1])
            weight = weight * F.dropout(kept, self.config.embedding_dropout, True)
            sparse_gradient = False
        return F.embedding(tokens, weight, sparse=sparse_gradient)

    # ---- losses.OwnLoss

    def features(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """What the output layer reads after every token; for ``features_loss``.

        Args:
            tokens: long, (T, B).
            state: what an earlier call returned; default: the initial state.

        Returns:
            h after its dropout, (T, B, H), and the state after the last step.
        """
        if self.config.tied and not torch.compiler.is_compiling():
            # The loss gives the matrix a dense gradient, to which this adds some rows.
            return self._read(self.embed(tokens, sparse_gradient=True), state)
        return self._read(self.embed(tokens), state)

    def features_loss(
        self,
        features: Tensor,
        targets: Tensor,
        *,
        mask: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """``losses.cross_entropy`` of the logits, without holding all of them.

        >>> model = LanguageModel(10, LanguageModelConfig(hidden_size=8))
        >>> tokens = torch.zeros(5, 2, dtype=torch.long)
        >>> h, state = model.features(tokens)
        >>> model.features_loss(h, tokens, reduction="none").shape
        torch.Size([5, 2])
        """
        return linear_cross_entropy(
            features,
            self._output_weight(),
            targets,
            bias=self.output_bias,
            mask=mask,
            reduction=reduction,
        )

    # ---- LanguageModelProtocol

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first token."""
        return self.recurrent.initial_state(batch_size)

    def next_log_probs(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """log P(next token | everything read), (T, B, V), and the new state."""
        logits, state = self(tokens, state)
        return F.log_softmax(logits, -1), state

    def select_state(self, state: Any, indices: Tensor) -> Any:
        """The state of the sequences ``indices`` of the batch."""
        return map_state(state, lambda value: value.index_select(0, indices))


def _first_cell(config: LanguageModelConfig, input_size: int | None) -> Cell:
    """The cell of the first layer; by default e_t has as many features as h_t."""
    size = config.hidden_size if input_size is None else input_size
    cell = build_cell(config.cell, size, config.hidden_size, config.cell_options)
    if input_size is None and cell.output_size != size:
        return cell.like(cell.output_size)
    return cell
