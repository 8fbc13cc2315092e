"""How well a language model predicts a text, in the figures that commands print."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from throughtime.data import Vocabulary, evaluation_streams
from throughtime.metrics import bits_per_character
from throughtime.models import LanguageModelProtocol
from throughtime.models.methods import answering
from throughtime.models.scoring import Score, evaluate, summarise, token_log_probs


@dataclass(frozen=True)
class Evaluation:
    """How well a text is predicted.

    Attributes:
        loss: mean negative log-likelihood per token, in nats.
        perplexity: e^loss.
        bits_per_character: of the text that the tokens stand for.
        tokens: predicted tokens: all but the first, which has nothing before it.
        unknown: those of them that stand for an unknown piece of text.
        known_perplexity: of the others alone.
        impossible: those that the model gave probability 0.
    """

    loss: float
    perplexity: float
    bits_per_character: float
    tokens: int
    unknown: int
    known_perplexity: float
    impossible: int


def evaluation(log_probs: Tensor, tokens: Tensor, vocabulary: Vocabulary) -> Evaluation:
    """Figures from log P of tokens 2..N of a text (N,)."""
    targets = tokens[1:]
    score = summarise(log_probs, targets, unknown_index=_asked(targets, vocabulary))
    return _figures(score, targets, vocabulary)


def evaluate_tokens(
    model: LanguageModelProtocol,
    tokens: Tensor,
    vocabulary: Vocabulary,
    batch_size: int = 1,
) -> Evaluation:
    """Score a text (N,) as ``batch_size`` streams; 1 is the exact chain rule."""
    with answering(model):
        if batch_size == 1:
            return evaluation(token_log_probs(model, tokens), tokens, vocabulary)
        inputs, targets, mask = evaluation_streams(tokens, batch_size)
        asked = _asked(tokens[1:], vocabulary)
        score = evaluate(model, inputs, targets, mask, unknown_index=asked)
        return _figures(score, tokens[1:], vocabulary)


def _asked(targets: Tensor, vocabulary: Vocabulary) -> int | None:
    """The unknown token, if the text has others as well."""
    index = vocabulary.unknown_index
    return None if index is None or bool((targets == index).all()) else index


def _figures(score: Score, targets: Tensor, vocabulary: Vocabulary) -> Evaluation:
    characters = vocabulary.count_characters(targets)
    known = score if score.known is None else score.known
    return Evaluation(
        loss=score.loss,
        perplexity=score.perplexity,
        bits_per_character=bits_per_character(score.nats, max(characters, 1)),
        tokens=score.tokens,
        unknown=score.tokens - known.tokens,
        known_perplexity=known.perplexity,
        impossible=score.impossible,
    )


def count_parameters(model: nn.Module) -> int:
    """All numbers that training can change."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def token_counts(tokens: Tensor, vocabulary_size: int) -> Tensor:
    """How often each token occurs, (V,), whatever type the text (N,) has."""
    counts = torch.zeros(vocabulary_size, dtype=torch.long)
    for part in tokens.split(1 << 22):
        counts += torch.bincount(part.long(), minlength=vocabulary_size)
    return counts
