"""Probabilities of texts under any language model, by the chain rule.

log P(x_1..x_N | start) = Σ_t log P(x_t | start, x_1..x_{t-1})
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from throughtime.checks import positive_int
from throughtime.errors import InvalidShape, InvalidType, InvalidValue
from throughtime.losses import own_loss
from throughtime.metrics import perplexity
from throughtime.models.protocol import (
    LanguageModelProtocol,
    checked_prompt,
    checked_tokens,
    readable_prompt,
)


@dataclass(frozen=True)
class Score:
    """How well tokens are predicted.

    Attributes:
        nats: total negative log-likelihood; infinite if any token is ``impossible``.
        tokens: predicted tokens.
        impossible: tokens among them that the model gave probability 0.
        known: the same of the tokens other than the unknown one, if asked for.
    """

    nats: float
    tokens: int
    impossible: int = 0
    known: "Score | None" = None

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """e^loss."""
        return perplexity(self.loss)


def summarise(
    log_probs: Tensor, targets: Tensor, *, unknown_index: int | None = None
) -> Score:
    """What log P of every target comes to.

    Perplexity with unknowns counts the unknown token as a word like any other.
    ``known``, without them, leaves out the targets that are unknown: what is hard about
    them is to say which word it was, and that the model was not asked.

    Args:
        log_probs: log P of each target, in nats, of any shape.
        targets: of the same shape.
        unknown_index: the unknown token; None: ``known`` is not computed.

    Raises:
        InvalidShape: the shapes differ.
        InvalidValue: no targets, or (for ``known``) none that is not unknown.

    >>> p = torch.tensor([0.5, 0.5, 0.125], dtype=torch.float64)
    >>> score = summarise(p.log(), torch.tensor([1, 2, 0]), unknown_index=0)
    >>> score.perplexity, score.known.perplexity, score.known.tokens
    (3.1748, 2.0, 2)
    """
    if log_probs.shape != targets.shape:
        raise InvalidShape(
            f"log_probs and targets must have one shape, got {tuple(log_probs.shape)} "
            f"and {tuple(targets.shape)}"
        )
    if targets.numel() == 0:
        raise InvalidValue("no target counts, so there is nothing to score")
    values = log_probs.double()
    known = None
    if unknown_index is not None:
        kept = targets != unknown_index
        if not kept.any():
            raise InvalidValue(
                f"every target is the unknown token {unknown_index}; encode the text "
                "with the vocabulary of the model"
            )
        known = summarise(values[kept], targets[kept])
    impossible = int((values == -torch.inf).sum())
    return Score(-values.sum().item(), values.numel(), impossible, known)


def log_prob(
    model: LanguageModelProtocol, tokens: Tensor, *, start: int | Tensor
) -> Tensor:
    """log P(x_1..x_N | start) of every sequence, in nats, float64.

    Over all sequences of one length these probabilities sum to 1.

    Args:
        model: any language model.
        tokens: (N, B).
        start: what is read first: one token, or tokens (n,) with n >= 1.

    Returns:
        (B,).

    Raises:
        InvalidShape: ``tokens`` is not (N, B), or ``start`` is empty or not (n,).
        InvalidType: tokens that are no integers.
        InvalidValue: a token outside [0, V).
    """
    tokens = checked_tokens("tokens", tokens, model.vocabulary_size)
    if tokens.dim() != 2:
        raise InvalidShape(f"tokens must be (N, B), got {tuple(tokens.shape)}")
    first = torch.as_tensor(start, device=tokens.device)
    if first.numel() == 0:
        raise InvalidShape("start is empty; give at least one token to begin from")
    if first.dim() == 0:
        first = first.unsqueeze(0)
    first = checked_prompt("start", first, model.vocabulary_size)
    prefix = first.unsqueeze(1).expand(-1, tokens.size(1))
    if len(tokens) == 0:
        return torch.zeros(tokens.size(1), dtype=torch.float64, device=tokens.device)
    inputs = torch.cat([prefix, tokens[:-1]])
    targets = torch.cat([prefix[1:], tokens])
    state = model.initial_state(tokens.size(1))
    log_probs, _ = target_log_probs(model, inputs, targets, state)
    return log_probs[len(prefix) - 1 :].double().sum(0)


def target_log_probs(
    model: LanguageModelProtocol, inputs: Tensor, targets: Tensor, state: Any
) -> tuple[Tensor, Any]:
    """log P(target) after every token read, and the new state.

    A model that knows a shorter way than the whole distribution has a method of this
    name, or its own loss (``losses.OwnLoss``).

    Args:
        model: any language model.
        inputs: what is read, (T, B).
        targets: the token asked for after each, (T, B).
        state: before the first input.

    Returns:
        (T, B), and the state after the last input.
    """
    if _offers(model, "target_log_probs"):
        return model.target_log_probs(inputs, targets, state)  # pyright: ignore
    own = own_loss(model)
    if own is not None:
        features, state = own.features(inputs, state)
        return -own.features_loss(features, targets, reduction="none"), state
    log_probs, state = model.next_log_probs(inputs, state)
    return log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1), state


def token_log_probs(
    model: LanguageModelProtocol, tokens: Tensor, *, chunk: int = 256
) -> Tensor:
    """log P of each token but the first given all before it, in nats.

    The first token is only read: nothing comes before it. A model with a method
    ``score`` (N,) -> (N - 1,), such as an n-gram model, answers for all at once.

    Args:
        model: any language model; put a network into eval mode first.
        tokens: (N,), at least one.
        chunk: steps at a time; changes memory, not the result.

    Returns:
        float64 (N - 1,), without a gradient.

    Raises:
        InvalidShape: ``tokens`` is empty or not one sequence.
        InvalidType: tokens that are no integers.
        InvalidValue: a token outside [0, V), or ``chunk`` is not positive.
    """
    positive_int("chunk", chunk)
    tokens = checked_prompt("tokens", tokens, model.vocabulary_size)
    parts = [torch.zeros(0, dtype=torch.float64, device=tokens.device)]
    with torch.no_grad():
        if _offers(model, "score"):
            return model.score(tokens).to(parts[0])  # pyright: ignore
        column = tokens.unsqueeze(1)
        inputs, targets = column[:-1].split(chunk), column[1:].split(chunk)
        state = model.initial_state(1)
        for read, asked in zip(inputs, targets, strict=True):
            if len(read):  # a text of one token asks for nothing
                log_probs, state = target_log_probs(model, read, asked, state)
                parts.append(log_probs[:, 0].double())
    return torch.cat(parts)


def _offers(model: object, name: str) -> bool:
    """Whether this method speaks for ``next_log_probs``: no subclass changed that."""
    order = type(model).__mro__
    places = [
        next((i for i, kind in enumerate(order) if wanted in vars(kind)), None)
        for wanted in (name, "next_log_probs")
    ]
    if places[0] is None or "next_log_probs" in vars(model):
        return False
    return places[1] is None or places[0] <= places[1]


def next_distribution(model: LanguageModelProtocol, prefix: Tensor) -> Tensor:
    """P(next token | prefix), (V,), for a prefix (n,) with n >= 1.

    Raises:
        InvalidShape: an empty prefix, or not one sequence.
        InvalidType: tokens that are no integers.
        InvalidValue: a token outside [0, V), or more tokens than the model can read.
    """
    prefix = readable_prompt("prefix", prefix, model)
    log_probs, _ = model.next_log_probs(prefix.unsqueeze(1), model.initial_state(1))
    return log_probs[-1, 0].exp()


def evaluate(
    model: LanguageModelProtocol,
    inputs: Tensor,
    targets: Tensor,
    mask: Tensor | None = None,
    *,
    chunk: int = 256,
    unknown_index: int | None = None,
) -> Score:
    """Score streams of any length in chunks, carrying the state.

    Args:
        model: any language model; put a network into eval mode first.
        inputs: (T, B).
        targets: (T, B).
        mask: True where a target counts, (T, B); default: everywhere.
        chunk: steps at a time; changes memory, not the result.
        unknown_index: the unknown token, for ``Score.known``.

    Returns:
        Total nats and tokens.

    Raises:
        InvalidShape: inputs, targets and mask are not all one (T, B).
        InvalidType: tokens that are no integers, or a mask that is not of bool.
        InvalidValue: a token outside [0, V), no target counts (or none but unknown
            ones), or ``chunk`` is not positive.
    """
    positive_int("chunk", chunk)
    inputs = checked_tokens("inputs", inputs, model.vocabulary_size)
    targets = checked_tokens("targets", targets, model.vocabulary_size)
    if mask is None:
        mask = torch.ones_like(targets, dtype=torch.bool)
    if mask.dtype != torch.bool:
        raise InvalidType(f"mask should be of torch.bool, got {mask.dtype}")
    if inputs.dim() != 2 or not inputs.shape == targets.shape == mask.shape:
        raise InvalidShape(
            "inputs, targets and mask must all be (T, B), got "
            f"{tuple(inputs.shape)}, {tuple(targets.shape)} and {tuple(mask.shape)}"
        )
    if not mask.any():
        raise InvalidValue("no target counts, so there is nothing to score")
    state = model.initial_state(inputs.size(1))
    found: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, inputs.size(0), chunk):
            part = slice(start, start + chunk)
            log_probs, state = target_log_probs(
                model, inputs[part], targets[part], state
            )
            found.append(log_probs[mask[part]].double())
    return summarise(torch.cat(found), targets[mask], unknown_index=unknown_index)
