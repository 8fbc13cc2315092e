r"""One to many: from a vector, such as that of a picture, to a sequence of tokens.

    v = mean of the features g_1..g_G that a front end gives
    h_0 = tanh(W_0 v + b_0)                     and so for c_0 of an LSTM
    h_t = cell([E y_{t-1}, v], h_{t-1})         v also at each step (``feed``)
    P(y_t | y_1..y_{t-1}, v) = softmax(U h_t + b)

y_0 is the token that ends a caption, too. With ``attention`` the read-out also has
c_t = Σ_i a_ti g_i, where a_t = softmax_i(g_i · Q h_t / √F).

Vinyals, Toshev, Bengio and Erhan, "Show and tell", arXiv 1411.4555; Xu et al., "Show,
attend and tell", arXiv 1502.03044. The attention comes after the recurrent layers here,
so that whole captions are trained at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.checks import boolean, positive_int
from throughtime.data.examples import Batch
from throughtime.errors import InvalidShape, InvalidValue
from throughtime.layers.trace import map_state
from throughtime.losses import cross_entropy
from throughtime.models.beam import beam_search
from throughtime.models.network import NONE, Network, NetworkConfig, valid_steps
from throughtime.models.sampling import Decoding

# What a vector sets of a cell's state; the rest starts as it always does.
STARTED = ("h", "c")


@dataclass(frozen=True)
class CaptionerConfig(NetworkConfig):
    """What a captioner is made of.

    Attributes:
        feed: the network reads the vector at every step, not only as its first state.
        attention: the read-out looks at the parts of the input, each step anew.
        encoded_size: features of an encoder that is trained along; None: as many as
            ``hidden_size``.

    Raises:
        InvalidType: an entry has the wrong type.
        InvalidValue: an entry is out of range, or entries contradict each other.
    """

    feed: bool = True
    attention: bool = False
    encoded_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        boolean("feed", self.feed)
        boolean("attention", self.attention)
        if self.encoded_size is not None:
            positive_int("encoded_size", self.encoded_size)
        if self.bidirectional:
            raise InvalidValue(
                "bidirectional reads the caption that is to be written; leave it out"
            )
        if self.cell == NONE and not self.feed:
            raise InvalidValue(
                "feed=false gives the vector to the first state alone, and cell 'none' "
                "has none; leave one of them out"
            )

    @property
    def encoded(self) -> int:
        """Features of an encoder that is trained along."""
        return self.encoded_size or self.hidden_size


class Captioner(nn.Module):
    """P(tokens | vector).

    Args:
        front_end: from a batch to features (G, B, F), F its ``output_size``.
        vocabulary_size: V.
        end_index: the token before the first and after the last.
        config: see ``CaptionerConfig``.

    Raises:
        InvalidType: a number is no int.
        InvalidValue: a number or index is out of range, or the cell is unknown.

    >>> from throughtime.models.front_ends import VectorFrontEnd
    >>> config = CaptionerConfig(hidden_size=4)
    >>> model = Captioner(VectorFrontEnd(2), 10, end_index=0, config=config)
    >>> two = torch.tensor([2])
    >>> batch = {"inputs": torch.zeros(1, 1, 2), "inputs_lengths": torch.tensor([1])}
    >>> batch |= {"targets": torch.tensor([[3], [0]]), "targets_lengths": two}
    >>> model(batch).shape, model.batch_loss(batch)[1]
    (torch.Size([2, 1, 10]), 2)
    >>> len(model.eval().caption(batch, length=5))
    1
    """

    def __init__(
        self,
        front_end: nn.Module,
        vocabulary_size: int,
        *,
        end_index: int,
        config: CaptionerConfig | None = None,
    ) -> None:
        super().__init__()
        self.config = config = CaptionerConfig() if config is None else config
        self.vocabulary_size = positive_int("vocabulary_size", vocabulary_size)
        if not 0 <= end_index < vocabulary_size:
            raise InvalidValue(
                f"end_index must be a token in [0, {vocabulary_size}), got {end_index}"
            )
        self.end_index = end_index
        self.front_end = front_end
        features: int = front_end.output_size  # pyright: ignore[reportAssignmentType]
        self.embedding = nn.Embedding(vocabulary_size, config.embedded)
        fed = features if config.feed else 0
        self.network = Network(config.embedded + fed, config)
        width = self.network.output_size
        cells = () if self.network.recurrent is None else self.network.recurrent.cells
        self.start = nn.ModuleDict(
            {
                f"{field}_l{layer}": nn.Linear(features, size)
                for layer, cell in enumerate(cells)
                for field, size in cell.state_sizes.items()
                if field in STARTED
            }
        )
        self.query = nn.Linear(width, features) if config.attention else None
        self.output = nn.Linear(
            width + (features if config.attention else 0), vocabulary_size
        )

    def encode(self, batch: Batch) -> Tensor:
        """What the front end gives, (G, B, F), at least one step, maybe of zeros."""
        features = self.front_end(batch)
        if len(features):
            return features
        return features.new_zeros(1, *features.shape[1:])

    def forward(self, batch: Batch) -> Tensor:
        """Logits of every target, (L, B, V), given those before it.

        Args:
            batch: ``inputs`` with ``inputs_lengths``, as the front end reads them;
                ``targets``, long (L, B), each ended by ``end_index``, with
                ``targets_lengths``.
        """
        targets = batch["targets"]
        first = torch.full_like(targets[:1], self.end_index)
        logits, _ = self.read(
            torch.cat([first, targets[:-1]]),
            self.initial_state(self.encode(batch)),
            lengths=batch["targets_lengths"],
            carry_gain=batch.get("carry_gain"),
        )
        return logits

    def batch_loss(self, batch: Batch) -> tuple[Tensor, int]:
        """-log P of all targets, summed, and how many these are, ends included.

        Args:
            batch: as in ``forward``; where ``targets_mask``, bool (L, B), is False, a
                target does not count.
        """
        targets = batch["targets"]
        mask = valid_steps(batch["targets_lengths"], targets)
        if "targets_mask" in batch:
            mask = mask & batch["targets_mask"]
        loss = cross_entropy(self(batch), targets, mask=mask, reduction="sum")
        return loss, int(mask.sum())

    # ---- state in, state out

    def initial_state(self, features: Tensor) -> tuple[Any, Tensor]:
        """The state before the first token of captions of these features (G, B, F)."""
        vector = features.mean(0)
        parts = []
        begun = self.network.initial_state(features.size(1))
        for layer, part in enumerate(begun):
            fields = [field for field in part._fields if field in STARTED]
            values = {
                field: getattr(part, field)
                + self.start[f"{field}_l{layer}"](vector).tanh()
                for field in fields
            }
            parts.append(part._replace(**values))
        return tuple(parts), features

    def read(
        self,
        tokens: Tensor,
        state: tuple[Any, Tensor],
        *,
        lengths: Any = None,
        carry_gain: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Any, Tensor]]:
        """Logits (T, B, V) after each of the tokens (T, B), and the new state."""
        network_state, features = state
        x = self.embedding(tokens)
        if self.config.feed:
            vector = features.mean(0).expand(len(x), -1, -1)
            x = torch.cat([x, vector], -1)
        h, network_state = self.network(
            x, network_state, lengths=lengths, carry_gain=carry_gain
        )
        if self.query is not None:
            h = torch.cat([h, self._attended(h, features)], -1)
        return self.output(h), (network_state, features)

    def attention(self, h: Tensor, features: Tensor) -> Tensor:
        """a_t, (T, B, G): how much step t looks at each part."""
        assert self.query is not None
        scores = torch.einsum("tbf,gbf->tbg", self.query(h), features)
        return (scores / math.sqrt(features.size(-1))).softmax(-1)

    def _attended(self, h: Tensor, features: Tensor) -> Tensor:
        return torch.einsum("tbg,gbf->tbf", self.attention(h, features), features)

    # ---- captions

    def given(self, batch: Batch) -> "Given":
        """The language model of the captions of these inputs, for ``beam_search``."""
        return Given(self, self.encode(batch))

    @torch.no_grad()
    def caption(
        self,
        batch: Batch,
        *,
        length: int = 30,
        beam_size: int = 1,
        length_penalty: float = 0.0,
        decoding: Decoding | None = None,
        banned: Sequence[int] = (),
        generator: torch.Generator | None = None,
    ) -> list[list[int]]:
        """A caption of each input, without its end; eval mode first.

        Args:
            batch: ``inputs``, as in ``forward``.
            length: most tokens of a caption.
            beam_size: more than 1: the likeliest caption found, see ``beam_search``.
            length_penalty: see ``beam_search``.
            decoding: how tokens are chosen without a beam; default: the likeliest.
            banned: tokens never written.
            generator: where draws come from.

        Raises:
            InvalidType: an option has the wrong type.
            InvalidValue: an option is out of range, or a beam together with
                ``decoding``.
        """
        positive_int("length", length)
        model = self.given(batch)
        if positive_int("beam_size", beam_size) > 1:
            if decoding is not None:
                raise InvalidValue(
                    "decoding chooses token by token, a beam looks for the likeliest "
                    "caption; leave one of them out"
                )
            return [
                self._without_end(
                    beam_search(
                        one,
                        torch.tensor([self.end_index], device=model.features.device),
                        length,
                        beam_size=beam_size,
                        length_penalty=length_penalty,
                        end_index=self.end_index,
                        banned=banned,
                    )[0].tokens.tolist()
                )
                for one in model.each()
            ]
        decoding = Decoding(method="greedy") if decoding is None else decoding
        decoding = replace(decoding, banned=(*decoding.banned, *banned))
        count = model.features.size(1)
        tokens = torch.full(
            (1, count), self.end_index, dtype=torch.long, device=model.features.device
        )
        state, written, ended = model.initial_state(count), [], tokens[0] < 0
        for _ in range(length):
            log_probs, state = model.next_log_probs(tokens, state)
            tokens = decoding.choose(log_probs[-1], generator=generator)[None]
            written.append(tokens[0])
            ended = ended | (tokens[0] == self.end_index)
            if ended.all():
                break
        return [self._without_end(row.tolist()) for row in torch.stack(written, 1)]

    def _without_end(self, tokens: list[int]) -> list[int]:
        end = self.end_index
        return tokens[: tokens.index(end)] if end in tokens else tokens


class Given:
    """P(next token | tokens so far, these inputs): meets ``LanguageModelProtocol``.

    Args:
        model: what writes the captions.
        features: of the inputs, (G, B, F).
    """

    def __init__(self, model: Captioner, features: Tensor) -> None:
        self.model = model
        self.features = features
        self.vocabulary_size = model.vocabulary_size

    def each(self) -> list["Given"]:
        """The same for one input at a time."""
        return [Given(self.model, part) for part in self.features.split(1, 1)]

    def initial_state(self, batch_size: int) -> Any:
        """The state before ``end_index`` is read; one input serves any batch.

        Raises:
            InvalidShape: several inputs, and another number of sequences.
        """
        have = self.features.size(1)
        if have not in (1, batch_size):
            raise InvalidShape(
                f"{have} inputs are given, and {batch_size} sequences are asked for"
            )
        return self.model.initial_state(self.features.expand(-1, batch_size, -1))

    def next_log_probs(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """log P(next token), (T, B, V), after each token (T, B), and the new state."""
        logits, state = self.model.read(tokens, state)
        return logits.log_softmax(-1), state

    def select_state(self, state: Any, indices: Tensor) -> Any:
        """The state of the sequences ``indices`` of the batch."""
        network, features = state
        chosen = map_state(network, lambda value: value.index_select(0, indices))
        return chosen, features.index_select(1, indices)
