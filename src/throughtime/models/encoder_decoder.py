r"""From one sequence to another of any length: an encoder, a decoder and attention.

    m_s = encoder(x)                            a memory of every step of the inputs
    h_0 = tanh(W_b summary(m))                  a bridge, for h and c of every layer
    h_t = decoder(E y_{t-1}, h_{t-1})           y_0: the end token
    c_t = Σ_s α_ts m_s                          ``Attention`` of h_t
    r_t = tanh(W_r [h_t; c_t])
    P(y_t | y_1..y_{t-1}, x) = softmax(U r_t + b)

Sutskever, Vinyals and Le, arXiv 1409.3215; Cho et al., arXiv 1406.1078. Attention
stands behind the recurrence (Luong, Pham and Manning, arXiv 1508.04025), so that in
training the decoder runs over the whole target at once.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from throughtime.checks import positive_int
from throughtime.data.examples import Batch
from throughtime.errors import InvalidValue
from throughtime.layers import linear_cross_entropy
from throughtime.layers.dropout import drop
from throughtime.models.attention import Attention
from throughtime.models.beam import Hypothesis
from throughtime.models.encoder_decoder_config import EncoderDecoderConfig
from throughtime.models.encoder_decoder_search import search
from throughtime.models.network import Network, valid_steps
from throughtime.models.output_base import checked_counts
from throughtime.models.teacher_forcing import truth_probability

# What a bridge leads to, of the fields that a cell's state has.
BRIDGED = ("h", "c")
INIT_RANGE = 0.1
# How often a token is taken to occur beyond what was counted.
UNSEEN = 0.1


class Encoded(NamedTuple):
    """What a decoder knows of a batch of inputs.

    memory: (S, B, D).
    keys: what attention compares with, (S, B, K).
    present: where there is a step, bool (S, B).
    start: the decoder's state before the first token.
    """

    memory: Tensor
    keys: Tensor
    present: Tensor
    start: Any


class DecoderState(NamedTuple):
    """What a decoder remembers of the tokens it has read.

    network: the state of its network.
    feed: r of the last step (B, R), with ``input_feeding``; else None.
    """

    network: Any
    feed: Tensor | None


class EncoderDecoder(nn.Module):
    """An encoder of any inputs, and a decoder of tokens.

    In a batch, as ``Examples.batch`` makes it, ``targets`` (T, B) are the tokens to
    say, the end token behind them, ``targets_lengths`` how many there are, and
    ``targets_mask``, if there is one, is False where a token is not known.

    Args:
        front_end: from a batch to (S, B, I), with ``output_size``, as
            ``TokenFrontEnd``.
        vocabulary_size: V of the targets.
        end_index: the token that ends a target, and stands before its first one.
        config: see ``EncoderDecoderConfig``.
        counts: how often each token occurs in the targets to learn from, (V,): the
            output begins at these frequencies; default: at even ones.

    Raises:
        InvalidShape: ``counts`` is not (V,).
        InvalidType: ``counts`` is no tensor.
        InvalidValue: an option is unknown or does not fit.

    >>> from throughtime.models.front_ends import TokenFrontEnd
    >>> config = EncoderDecoderConfig(hidden_size=4, bidirectional=True)
    >>> model = EncoderDecoder(TokenFrontEnd(7, 4), 5, 0, config).eval()
    >>> inputs, length = torch.tensor([[3], [1], [6]]), torch.tensor([3])
    >>> batch = {"inputs": inputs, "inputs_lengths": length}
    >>> batch |= {"targets": torch.tensor([[2], [0]]), "targets_lengths": length - 1}
    >>> loss, count = model.batch_loss(batch)
    >>> model(batch).shape, count
    (torch.Size([2, 1, 5]), 2)
    >>> best, *_ = model.search(batch, longest=4)[0]
    >>> len(best.tokens) <= 4
    True
    """

    updates: Tensor

    def __init__(
        self,
        front_end: nn.Module,
        vocabulary_size: int,
        end_index: int,
        config: EncoderDecoderConfig | None = None,
        counts: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.config = config = EncoderDecoderConfig() if config is None else config
        self.vocabulary_size = positive_int("vocabulary_size", vocabulary_size)
        if not 0 <= end_index < vocabulary_size:
            raise InvalidValue(
                f"end_index must lie in [0, {vocabulary_size}), got {end_index}"
            )
        self.end_index = end_index
        self.front_end = front_end
        self.embedding = self._embedding()
        self.encoder = Network(front_end.output_size, config)  # pyright: ignore[reportArgumentType]

        width = config.embedded if config.tied else config.hidden_size
        self.decoder = Network(
            config.embedded + (width if config.input_feeding else 0),
            replace(
                config,
                bidirectional=False,
                num_layers=config.decoder_layers or config.num_layers,
            ),
        )
        self.bridges = self._bridges()
        memory_size, self.attention = self.encoder.output_size, None
        if config.attends != "none":
            if config.attends == "dot":
                memory_size = config.hidden_size
            self.attention = Attention(
                config.attends, config.hidden_size, memory_size, config.attention_size
            )
        reads = config.hidden_size + (memory_size if self.attention else 0)
        is_needed = self.attention is not None or reads != width
        self.read_out = nn.Linear(reads, width) if is_needed else None
        self.width = width
        self.output_weight = None
        if not config.tied:
            weight = torch.empty(vocabulary_size, width)
            weight.uniform_(-INIT_RANGE, INIT_RANGE)
            self.output_weight = nn.Parameter(weight)
        self.output_bias = nn.Parameter(self._first_bias(counts))
        # Kept with the weights, so that a schedule goes on where training goes on.
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    def _first_bias(self, counts: Tensor | None) -> Tensor:
        # Where most tokens are rare, learning that first drives the tanh before it to
        # its ends, where no gradient passes.
        if counts is None:
            return torch.zeros(self.vocabulary_size)
        counts = checked_counts("full", counts, self.vocabulary_size) + UNSEEN
        return (counts / counts.sum()).log().to(torch.get_default_dtype())

    def _embedding(self) -> nn.Embedding:
        config = self.config
        own = getattr(self.front_end, "embedding", None)
        if isinstance(own, nn.Embedding):
            nn.init.uniform_(own.weight, -INIT_RANGE, INIT_RANGE)
        if config.shared:
            wanted = (self.vocabulary_size, config.embedded)
            if not isinstance(own, nn.Embedding) or own.weight.shape != wanted:
                raise InvalidValue(
                    f"shared needs a front end with an embedding {wanted} like that of "
                    "the targets; give inputs and targets one vocabulary"
                )
            return own
        embedding = nn.Embedding(self.vocabulary_size, config.embedded)
        nn.init.uniform_(embedding.weight, -INIT_RANGE, INIT_RANGE)
        return embedding

    def _bridges(self) -> nn.ModuleList:
        """For each layer of the decoder and each bridged field a linear layer."""
        if self.decoder.recurrent is None:
            return nn.ModuleList()
        sizes = [cell.state_sizes for cell in self.decoder.recurrent.cells]
        size = self.encoder.output_size
        return nn.ModuleList(
            nn.ModuleDict({f: nn.Linear(size, s[f]) for f in BRIDGED if f in s})
            for s in sizes
        )

    # ---- both ends

    def encode(self, batch: Batch) -> Encoded:
        """What the decoder is to know of the inputs."""
        lengths = batch["inputs_lengths"]
        memory, state = self.encoder(
            self.front_end(batch), lengths=lengths, carry_gain=batch.get("carry_gain")
        )
        start = self._bridged(self.encoder.summary(state))
        if self.config.attends == "dot" and self.config.bidirectional:
            memory = memory.unflatten(-1, (2, -1)).sum(-2)
        keys = memory if self.attention is None else self.attention.keys(memory)
        return Encoded(memory, keys, valid_steps(lengths, memory), start)

    def _bridged(self, summary: Tensor | None) -> Any:
        if summary is None:
            return ()
        start = self.decoder.initial_state(len(summary))
        return tuple(
            state._replace(**{f: layer(summary).tanh() for f, layer in fields.items()})  # pyright: ignore[reportCallIssue]
            for state, fields in zip(start, self.bridges, strict=True)
        )

    def start(self, encoded: Encoded) -> DecoderState:
        """The decoder's state before the first token."""
        batch = encoded.memory.size(1)
        fed = self.config.input_feeding
        feed = encoded.memory.new_zeros(batch, self.width) if fed else None
        return DecoderState(encoded.start, feed)

    def decode(
        self,
        tokens: Tensor,
        state: DecoderState,
        encoded: Encoded,
        lengths: Any = None,
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """What the output layer reads after each token, (T, K B, R).

        Args:
            tokens: (T, K B): K continuations of each of the B inputs, row k B + b.
            state: of these K B rows.
            encoded: the B inputs.
            lengths: tokens of each row, (K B,); default: T.

        Returns:
            r; the weights of attention (T, K B, S), None without; the new state.
        """
        embedded = self.embedding(tokens)
        if not self.config.input_feeding:
            h, network = self.decoder(embedded, state.network, lengths=lengths)
            read, weights = self._read(h, encoded)
            return read, weights, DecoderState(network, None)
        if len(embedded) == 0:
            h = embedded.new_zeros(*tokens.shape, self.config.hidden_size)
            return *self._read(h, encoded), state
        network, feed = state
        assert feed is not None
        reads: list[Tensor] = []
        looks: list[Tensor] = []
        for step in embedded:
            h, network = self.decoder(torch.cat([step, feed], -1)[None], network)
            read, weights = self._read(h, encoded)
            feed = read[0]
            reads.append(read)
            looks += [] if weights is None else [weights]
        weights = torch.cat(looks) if looks else None
        return torch.cat(reads), weights, DecoderState(network, feed)

    def _read(self, h: Tensor, encoded: Encoded) -> tuple[Tensor, Tensor | None]:
        weights = None
        if self.attention is not None:
            rows, batch = h.shape[:2], encoded.memory.size(1)
            # The continuations of one input look at the same memory.
            queries = h.reshape(-1, batch, h.size(-1))
            context, weights = self.attention(
                queries, encoded.memory, encoded.present, encoded.keys
            )
            h = torch.cat([h, context.reshape(*rows, context.size(-1))], -1)
            weights = weights.reshape(*rows, weights.size(-1))
        if self.read_out is None:
            return h, weights
        read = self.read_out(h).tanh()
        return drop(read, self.config.dropout, self.training), weights

    def logits(self, read: Tensor) -> Tensor:
        """Scores of all tokens, (..., V)."""
        return F.linear(read, self._output_weight, self.output_bias)

    @property
    def _output_weight(self) -> Tensor:
        return (
            self.embedding.weight if self.output_weight is None else self.output_weight
        )

    # ---- training

    def forward(self, batch: Batch) -> Tensor:
        """Scores of every target given all before it, (T, B, V)."""
        return self.logits(self._forced(batch)[0])

    def batch_loss(self, batch: Batch) -> tuple[Tensor, int]:
        """The sum of -log P of the targets, in nats, and how many these are.

        In training with ``label_smoothing``, and counted as one more update for
        ``teacher_forcing``.
        """
        targets, config = batch["targets"], self.config
        counted = valid_steps(batch["targets_lengths"], targets)
        if "targets_mask" in batch:
            counted = counted & batch["targets_mask"]
        if self.training and config.teacher_forcing != "constant":
            read = self._scheduled(batch)
            self.updates += 1
        else:
            read, _ = self._forced(batch)
        loss = linear_cross_entropy(
            read[counted],
            self._output_weight,
            targets[counted],
            bias=self.output_bias,
            label_smoothing=config.label_smoothing if self.training else 0.0,
            reduction="sum",
        )
        return loss, int(counted.sum())

    def align(self, batch: Batch) -> Tensor | None:
        """The weights of attention for each target, (T, B, S); None without."""
        return self._forced(batch)[1]

    def _forced(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        encoded = self.encode(batch)
        lengths = batch["targets_lengths"]
        before = self._before(batch["targets"])
        read, weights, _ = self.decode(before, self.start(encoded), encoded, lengths)
        return read, weights

    def _before(self, targets: Tensor) -> Tensor:
        """The token before each target."""
        first = torch.full_like(targets[:1], self.end_index)
        return torch.cat([first, targets[:-1]])

    def _scheduled(self, batch: Batch) -> Tensor:
        """r of every step, where some tokens before are the model's own."""
        config = self.config
        truth = truth_probability(
            config.teacher_forcing,
            int(self.updates),
            config.forcing_decay,
            config.forcing_least,
        )
        encoded = self.encode(batch)
        state, before = self.start(encoded), self._before(batch["targets"])
        is_true = torch.rand(before.shape, device=before.device) < truth
        reads: list[Tensor] = []
        for t, tokens in enumerate(before):
            if t > 0 and not bool(is_true[t].all()):
                with torch.no_grad():
                    said = self.logits(reads[-1][0]).softmax(-1).multinomial(1)[:, 0]
                tokens = torch.where(is_true[t], tokens, said)
            read, _, state = self.decode(tokens[None], state, encoded)
            reads.append(read)
        return torch.cat(reads) if reads else self._forced(batch)[0]

    # ---- answers

    def search(
        self,
        batch: Batch,
        *,
        longest: int | Tensor,
        beam_size: int = 5,
        length_penalty: float = 0.0,
        penalty: str = "power",
        banned: Sequence[int] = (),
    ) -> list[list[Hypothesis]]:
        """The likeliest targets found for each input, best first; see ``search``."""
        with torch.no_grad():
            encoded = self.encode(batch)
            return search(
                self,
                encoded,
                longest=longest,
                beam_size=beam_size,
                length_penalty=length_penalty,
                penalty=penalty,
                banned=banned,
            )
