"""Beam search for many inputs at once, and a decoder as a language model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue, unknown_name
from throughtime.layers.trace import map_state
from throughtime.models.beam import PENALTIES, Hypothesis
from throughtime.models.constraint import as_indices

if TYPE_CHECKING:
    from throughtime.models.encoder_decoder import (
        DecoderState,
        Encoded,
        EncoderDecoder,
    )


class Conditioned:
    """P(next token | the inputs, everything said so far), for ``beam_search``.

    It meets ``LanguageModelProtocol``; what is read first is the end token.

    Args:
        model: in eval mode.
        encoded: the inputs, see ``EncoderDecoder.encode``.
    """

    def __init__(self, model: "EncoderDecoder", encoded: "Encoded") -> None:
        self.model, self.encoded = model, encoded

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.model.vocabulary_size

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first token, one row for each input.

        Raises:
            InvalidValue: there are not so many inputs.
        """
        if batch_size != self.encoded.memory.size(1):
            raise InvalidValue(
                f"batch_size must be {self.encoded.memory.size(1)}, one row for each "
                f"input, got {batch_size}"
            )
        return self.model.start(self.encoded), self.encoded

    def next_log_probs(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """See ``LanguageModelProtocol``."""
        memory, encoded = state
        read, _, memory = self.model.decode(tokens, memory, encoded)
        return self.model.logits(read).log_softmax(-1), (memory, encoded)

    def select_state(self, state: Any, indices: Tensor) -> Any:
        """See ``LanguageModelProtocol``."""
        return selected_rows(state[0], indices), selected_inputs(state[1], indices)


def selected_rows(state: "DecoderState", rows: Tensor) -> "DecoderState":
    """The state of these rows."""
    feed = None if state.feed is None else state.feed[rows]
    return state._replace(
        network=map_state(state.network, lambda s: s[rows]), feed=feed
    )


def selected_inputs(encoded: "Encoded", inputs: Tensor) -> "Encoded":
    """What is known of these inputs."""
    return encoded._replace(
        memory=encoded.memory[:, inputs],
        keys=encoded.keys[:, inputs],
        present=encoded.present[:, inputs],
        start=map_state(encoded.start, lambda s: s[inputs]),
    )


def search(
    model: "EncoderDecoder",
    encoded: "Encoded",
    *,
    longest: int | Tensor,
    beam_size: int = 5,
    length_penalty: float = 0.0,
    penalty: str = "power",
    banned: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """What ``beam_search`` finds for each input, for all of them at once.

    Args:
        model: in eval mode.
        encoded: the inputs, see ``EncoderDecoder.encode``.
        longest: most tokens to say, the end token among them; one number or (B,).
        beam_size: as in ``beam_search``; 1 is the greedy choice.
        length_penalty: as in ``beam_search``.
        penalty: as in ``beam_search``.
        banned: tokens never said.

    Raises:
        InvalidType: an option has the wrong type.
        InvalidValue: an option is out of range, or the model gives NaN.
    """
    positive_int("beam_size", beam_size)
    number("length_penalty", length_penalty, minimum=0)
    if penalty not in PENALTIES:
        raise unknown_name("penalty", penalty, PENALTIES)
    beams = _Beams(model, encoded, longest, beam_size, banned)
    step = 0
    while len(beams.inputs):
        step += 1
        beams.extend(step)
    for found in beams.done:
        for i, (tokens, log_prob) in enumerate(found):
            score = log_prob / PENALTIES[penalty](len(tokens), length_penalty)
            found[i] = Hypothesis(tokens, log_prob, score)
    return [sorted(found, key=lambda h: -h.score) for found in beams.done]


class _Beams:
    """The hypotheses of all inputs that are not finished, K slots each.

    A slot whose total is -inf holds none. Rows of the network are k B + b.
    """

    def __init__(
        self,
        model: "EncoderDecoder",
        encoded: "Encoded",
        longest: int | Tensor,
        beam_size: int,
        banned: Sequence[int],
    ) -> None:
        count, device = encoded.memory.size(1), encoded.memory.device
        self.model, self.encoded, self.beam_size = model, encoded, beam_size
        limits = torch.as_tensor(longest, device=device).expand(count)
        if count and int(limits.min()) < 1:
            raise InvalidValue(f"longest must be at least 1, got {int(limits.min())}")
        self.limits = limits
        self.banned = as_indices("banned", banned, model.vocabulary_size).to(device)
        self.done: list[list[Any]] = [[] for _ in range(count)]
        self.inputs = torch.arange(count, device=device)
        self.state = model.start(encoded)
        self.tokens = self.inputs.new_full((1, count), model.end_index)
        self.totals = encoded.memory.new_zeros((1, count), dtype=torch.float64)
        self.texts = self.inputs.new_zeros((1, count, 0))
        self.free = self.inputs.new_full((count,), beam_size)

    def extend(self, step: int) -> None:
        """One more token for every hypothesis."""
        slots, count = self.totals.shape
        read, _, state = self.model.decode(
            self.tokens.reshape(1, -1), self.state, self.encoded
        )
        scores = self.model.logits(read[0])
        norm = scores.logsumexp(-1, keepdim=True)
        if bool(norm.isnan().any()):  # also if a single score is
            raise InvalidValue("the model gives NaN; check that its training converged")
        scores = scores.index_fill(-1, self.banned, -torch.inf)
        # No slot can give more than K of the K best.
        width = min(self.beam_size, scores.size(-1))
        best, words = scores.topk(width, -1)
        sums = self.totals.reshape(-1, 1) + (best - norm).double()
        sums = sums.view(slots, count, width).transpose(0, 1).flatten(1)  # (B, K W)
        words = words.view(slots, count, width).transpose(0, 1).flatten(1)
        totals, chosen = sums.sort(dim=-1, descending=True, stable=True)
        totals, chosen = totals[:, : self.beam_size], chosen[:, : self.beam_size]
        ranks = torch.arange(totals.size(1), device=totals.device)
        totals = totals.masked_fill(ranks >= self.free[:, None], -torch.inf)
        parents, tokens = chosen // width, words.gather(1, chosen)
        rows = torch.arange(count, device=totals.device)[:, None]
        texts = self.texts[parents, rows]  # (B, K, n)
        texts = torch.cat([texts, tokens[..., None]], -1)
        is_there = totals > -torch.inf
        ends = (tokens == self.model.end_index) | (step >= self.limits)[:, None]
        self._finish(is_there & ends, totals, texts)
        totals = totals.masked_fill(ends, -torch.inf)
        self.free = self.free - (is_there & ends).sum(1)
        totals = totals.masked_fill((self.free <= 0)[:, None], -torch.inf)
        source = (parents * count + rows).t().reshape(-1)
        self.state = selected_rows(state, source)
        self.totals, self.tokens = totals.t(), tokens.t()
        self.texts = texts.transpose(0, 1)
        self._drop_finished()

    def _finish(self, ended: Tensor, totals: Tensor, texts: Tensor) -> None:
        for b, k in ended.nonzero().tolist():
            found = self.done[int(self.inputs[b])]
            found.append((texts[b, k], float(totals[b, k])))

    def _drop_finished(self) -> None:
        going = (self.totals > -torch.inf).any(0).nonzero()[:, 0]
        left, count = len(going), self.totals.size(1)
        # To copy what is left costs something, too.
        if left and left > 0.75 * count:
            return
        slots = self.totals.size(0)
        base = torch.arange(slots, device=going.device)[:, None] * count
        self.state = selected_rows(self.state, (base + going).reshape(-1))
        self.encoded = selected_inputs(self.encoded, going)
        self.inputs, self.free = self.inputs[going], self.free[going]
        self.limits = self.limits[going]
        self.totals, self.tokens = self.totals[:, going], self.tokens[:, going]
        self.texts = self.texts[:, going]
