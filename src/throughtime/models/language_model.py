r"""A recurrent language model: embedding, any cell, softmax over the vocabulary.

    e_t = E x_t                             embedding (or the one-hot x_t itself)
    h_t = cell(e_t, h_{t-1})                as many layers as asked for
    P(x_{t+1} | x_1..x_t) = softmax(U h_t + b)

Mikolov et al., "Recurrent neural network based language model", Interspeech 2010. With
``tied`` U = E (Press and Wolf, arXiv 1608.05859).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from throughtime.cells import Cell, build_cell
from throughtime.checks import (
    boolean,
    from_entries,
    number,
    positive_int,
    probability,
)
from throughtime.errors import InvalidType, InvalidValue
from throughtime.layers import Recurrent
from throughtime.layers.dropout import drop
from throughtime.layers.trace import map_state
from throughtime.models.activity import activity_penalty, joined, parted
from throughtime.models.neural import NeuralLanguageModel, as_long
from throughtime.models.output import check_output


@dataclass(frozen=True)
class LanguageModelConfig:
    """What a language model is made of.

    Attributes:
        cell: name of the cell, one of ``throughtime.cells.CELLS``, or of one in a file
            of one's own, as ``path/to/file.py:MyCell``, which is run.
        cell_options: options of the cell by name.
        hidden_size: H of every layer.
        num_layers: L.
        last_hidden_size: H of the last layer alone, if it differs.
        embedding_size: features of e_t; None: as many as h_t has; with
            ``tied``, as many as the last layer's.
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
        activation_regularization: α of AR, see ``models.activity``; added to the loss
            of training, ``features_loss``, with reduction ``mean`` or ``sum``.
            Hessian-free optimisation, which calls the model itself, has no part of it.
        temporal_activation_regularization: β of TAR, likewise.
        output: one of ``models.output.OUTPUTS``; all but ``full`` make a large
            vocabulary cheap to learn.
        output_options: options of the output by name.
        init_range: embedding and output weight start uniform in ± this.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an entry is out of range, or entries contradict each other.
    """

    cell: str = "lstm"
    cell_options: dict[str, Any] = field(default_factory=dict)
    hidden_size: int = 256
    num_layers: int = 1
    last_hidden_size: int | None = None
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
    activation_regularization: float = 0.0
    temporal_activation_regularization: float = 0.0
    output: str = "full"
    output_options: dict[str, Any] = field(default_factory=dict)
    init_range: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.cell, str):
            raise InvalidType(f"cell should be a name, got {type(self.cell).__name__}")
        positive_int("hidden_size", self.hidden_size)
        positive_int("num_layers", self.num_layers)
        for name in ("embedding_size", "last_hidden_size"):
            if getattr(self, name) is not None:
                positive_int(name, getattr(self, name))
        if self.last_hidden_size is not None and self.num_layers == 1:
            raise InvalidValue(
                "last_hidden_size needs num_layers of at least 2, got 1; use "
                "hidden_size"
            )
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
        for name in (
            "init_range",
            "activation_regularization",
            "temporal_activation_regularization",
        ):
            number(name, getattr(self, name), minimum=0)
        check_output(self.output, self.output_options, tied=self.tied)
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
        return from_entries(cls, values, "option of the language model")


class LanguageModel(NeuralLanguageModel):
    """P(next token | tokens so far), from a recurrent network.

    Meets ``LanguageModelProtocol`` and ``losses.OwnLoss``.

    Args:
        vocabulary_size: V.
        config: see ``LanguageModelConfig``.
        counts: how often each token occurs in the training text, (V,), for outputs
            other than ``full``. They fix buffers that a state dict holds, not shapes:
            a model whose state dict is loaded may be built with any, as
            ``torch.ones(V)``.

    Raises:
        InvalidShape: counts that are not (V,).
        InvalidType: counts that are no tensor.
        InvalidValue: V is not positive, the cell or an option is unknown, ``tied`` with
            an embedding of another size than h_t, or counts missing.

    >>> model = LanguageModel(10, LanguageModelConfig(cell="gru", hidden_size=8))
    >>> logits, state = model(torch.zeros(5, 2, dtype=torch.long))
    >>> logits.shape
    torch.Size([5, 2, 10])
    """

    config: LanguageModelConfig

    def __init__(
        self,
        vocabulary_size: int,
        config: LanguageModelConfig | None = None,
        *,
        counts: Tensor | None = None,
    ) -> None:
        config = LanguageModelConfig() if config is None else config
        super().__init__(vocabulary_size, config)
        cells = _cells(config, vocabulary_size)
        self.recurrent = Recurrent(
            cells[0] if len(cells) == 1 else cells,
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
        size, width = self.recurrent.input_size, self.recurrent.output_size
        if config.tied and size != width:
            raise InvalidValue(
                "tied=true needs embedding_size equal to the features of h_t, "
                f"{width}, got {size}; leave embedding_size out"
            )
        self.add_words(None if config.one_hot else size, width, counts)

    def embed(self, tokens: Tensor, *, sparse_gradient: bool = False) -> Tensor:
        """e_t for every token, (T, B, I).

        With ``sparse_gradient`` the embedding matrix gets a gradient of the rows that
        were read only, where the way back to it allows that.
        """
        tokens = as_long(tokens)
        weight = self.embedding_weight
        if weight is None:
            like = self.recurrent.weights(0)["weight_ih"]
            return F.one_hot(tokens, self.vocabulary_size).to(like.dtype)
        if self.training and self.config.embedding_dropout > 0:
            kept = torch.ones_like(weight[:, :1])
            weight = weight * F.dropout(kept, self.config.embedding_dropout, True)
            sparse_gradient = False
        return F.embedding(tokens, weight, sparse=sparse_gradient)

    def read(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """From tokens (T, B) to the h that the output layer reads, (T, B, H)."""
        h, state = self._hidden(self.embed(tokens), state)
        return self._drop_output(h), state

    def _hidden(self, e: Tensor, state: Any) -> tuple[Tensor, Any]:
        """From e_t to h_t."""
        config = self.config
        p = config.dropout if config.input_dropout is None else config.input_dropout
        e = drop(e, p, self.training, variational=config.variational)
        return self.recurrent(e, state)

    def _drop_output(self, h: Tensor) -> Tensor:
        config = self.config
        p = config.dropout if config.output_dropout is None else config.output_dropout
        return drop(h, p, self.training, variational=config.variational)

    # ---- losses.OwnLoss

    @property
    def _penalised(self) -> bool:
        """Whether features hold h_t a second time, for AR and TAR."""
        config = self.config
        weights = (
            config.activation_regularization,
            config.temporal_activation_regularization,
        )
        return self.training and any(weights)

    def features(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """What ``features_loss`` reads after every token.

        Args:
            tokens: integers, (T, B).
            state: what an earlier call returned; default: the initial state.

        Returns:
            h after its dropout, (T, B, H), and the state after the last step. In
            training with AR or TAR h before its dropout follows, (T, B, 2 H).
        """
        # The loss gives the matrix a dense gradient, to which this adds some rows.
        sparse = self.config.tied and not torch.compiler.is_compiling()
        h, state = self._hidden(self.embed(tokens, sparse_gradient=sparse), state)
        dropped = self._drop_output(h)
        return (joined(dropped, h) if self._penalised else dropped), state

    def features_loss(
        self,
        features: Tensor,
        targets: Tensor,
        *,
        mask: Tensor | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """``losses.cross_entropy`` of the logits, without holding all of them.

        In training the penalties of ``models.activity`` are added to it, but not to the
        losses that ``none`` returns, as they belong to no target. Each window is
        penalised by itself. Where the output is ``sampled``, training mode estimates
        the cross entropy from a sample.

        >>> model = LanguageModel(10, LanguageModelConfig(hidden_size=8))
        >>> tokens = torch.zeros(5, 2, dtype=torch.long)
        >>> h, state = model.features(tokens)
        >>> model.features_loss(h, tokens, reduction="none").shape
        torch.Size([5, 2])
        """
        if not self._penalised:
            return super().features_loss(
                features, targets, mask=mask, reduction=reduction
            )
        dropped, h = parted(features)
        loss = super().features_loss(dropped, targets, mask=mask, reduction=reduction)
        if reduction == "none":
            return loss
        return loss + activity_penalty(
            dropped,
            h,
            activation=self.config.activation_regularization,
            temporal=self.config.temporal_activation_regularization,
            mask=mask,
            reduction=reduction,
        )

    # ---- LanguageModelProtocol

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first token."""
        return self.recurrent.initial_state(batch_size)

    def select_state(self, state: Any, indices: Tensor) -> Any:
        """The state of the sequences ``indices`` of the batch."""
        return map_state(state, lambda value: value.index_select(0, indices))


def _cells(config: LanguageModelConfig, vocabulary_size: int) -> list[Cell]:
    """The cell of the first layer, or one for each if they differ."""

    def build(input_size: int, hidden_size: int) -> Cell:
        return build_cell(config.cell, input_size, hidden_size, config.cell_options)

    hidden, last = config.hidden_size, config.last_hidden_size
    size = vocabulary_size if config.one_hot else config.embedding_size
    # By default e_t has as many features as h_t, or as the output layer that shares E.
    if size is None and config.tied and last is not None:
        size = build(last, last).output_size
    first = build(hidden if size is None else size, hidden)
    if size is None and first.output_size != hidden:
        first = first.like(first.output_size)
    if last is None:
        return [first]
    between = [first.like(first.output_size) for _ in range(config.num_layers - 2)]
    return [first, *between, build(first.output_size, last)]
