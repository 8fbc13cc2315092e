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
)


@dataclass(frozen=True)
class Score:
    """How well tokens are predicted.

    Attributes:
        nats: total negative log-likelihood.
        tokens: predicted tokens.
    """

    nats: float
    tokens: int

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """e^loss."""
        return perplexity(self.loss)


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
    losses, _ = _losses(model, inputs, targets, state)
    return -losses[len(prefix) - 1 :].double().sum(0)


def _losses(
    model: LanguageModelProtocol, inputs: Tensor, targets: Tensor, state: Any
) -> tuple[Tensor, Any]:
    """-log P(target) after every token read, (T, B), and the new state."""
    own = own_loss(model)
    if own is not None:
        features, state = own.features(inputs, state)
        return own.features_loss(features, targets, reduction="none"), state
    log_probs, state = model.next_log_probs(inputs, state)
    return -log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1), state


def next_distribution(model: LanguageModelProtocol, prefix: Tensor) -> Tensor:
    """P(next token | prefix), (V,), for a prefix (n,) with n >= 1.

    Raises:
        InvalidShape: an empty prefix, or not one sequence.
        InvalidType: tokens that are no integers.
        InvalidValue: a token outside [0, V).
    """
    prefix = checked_prompt("prefix", prefix, model.vocabulary_size)
    log_probs, _ = model.next_log_probs(prefix.unsqueeze(1), model.initial_state(1))
    return log_probs[-1, 0].exp()


def evaluate(
    model: LanguageModelProtocol,
    inputs: Tensor,
    targets: Tensor,
    mask: Tensor | None = None,
    *,
    chunk: int = 256,
) -> Score:
    """Score streams of any length in chunks, carrying the state.

    Args:
        model: any language model; put a network into eval mode first.
        inputs: (T, B).
        targets: (T, B).
        mask: True where a target counts, (T, B); default: everywhere.
        chunk: steps at a time; changes memory, not the result.

    Returns:
        Total nats and tokens.

    Raises:
        InvalidShape: inputs, targets and mask are not all one (T, B).
        InvalidType: tokens that are no integers, or a mask that is not of bool.
        InvalidValue: a token outside [0, V), no target counts, or ``chunk`` is not
            positive.
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
    nats = 0.0
    with torch.no_grad():
        for start in range(0, inputs.size(0), chunk):
            part = slice(start, start + chunk)
            losses, state = _losses(model, inputs[part], targets[part], state)
            nats += losses.masked_fill(~mask[part], 0.0).double().sum().item()
    return Score(nats, int(mask.sum()))
