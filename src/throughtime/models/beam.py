"""Beam search: the likeliest continuations, kept side by side."""

from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue
from throughtime.models.protocol import LanguageModelProtocol, checked_prompt


@dataclass(frozen=True)
class Hypothesis:
    """One continuation.

    Attributes:
        tokens: (n,), without the prompt.
        log_prob: log P(tokens | prompt), in nats.
        score: log_prob / n^length_penalty, by which hypotheses are ranked.
    """

    tokens: Tensor
    log_prob: float
    score: float


def beam_search(
    model: LanguageModelProtocol,
    prompt: Tensor,
    length: int,
    *,
    beam_size: int = 5,
    length_penalty: float = 0.0,
    end_index: int | None = None,
) -> list[Hypothesis]:
    """The ``beam_size`` likeliest continuations found, best first.

    With a beam of 1 it is the greedy choice; with a beam of V^length it is exhaustive.
    Beams are extended by log P, and a finished hypothesis keeps its place, so fewer
    are extended after it. Continuations of probability 0 are left out.

    Args:
        model: any language model; put a network into eval mode first.
        prompt: tokens (n,), at least one.
        length: most tokens to produce.
        beam_size: hypotheses kept at each step.
        length_penalty: exponent of the length in the score; 0 compares log P itself.
        end_index: token that ends a hypothesis; None: all have ``length`` tokens.

    Raises:
        InvalidShape: the prompt is empty or not one sequence.
        InvalidType: the prompt or an option has the wrong type.
        InvalidValue: a number or a token is out of range, or the model gives NaN or
            no probability at all.
    """
    positive_int("length", length)
    positive_int("beam_size", beam_size)
    number("length_penalty", length_penalty, minimum=0)
    prompt = checked_prompt("prompt", prompt, model.vocabulary_size)
    if end_index is not None and not 0 <= end_index < model.vocabulary_size:
        raise InvalidValue(
            f"end_index must be a token in [0, {model.vocabulary_size}), "
            f"got {end_index}"
        )
    done: list[Hypothesis] = []
    with torch.no_grad():
        log_probs, state = model.next_log_probs(
            prompt.unsqueeze(1), model.initial_state(1)
        )
        totals = log_probs.new_zeros(1, dtype=torch.float64)
        texts = prompt.new_zeros((1, 0))
        for step in range(1, length + 1):
            sums = totals[:, None] + log_probs[-1].double()
            possible = int((sums > -torch.inf).sum())
            if sums.isnan().any() or possible == 0:
                raise InvalidValue(
                    "the model gives NaN, or no probability to any token; check that "
                    "its training converged"
                )
            count = min(beam_size - len(done), possible)
            # Stable: among equals the lower beam and token, as the greedy choice does.
            order = sums.flatten().argsort(descending=True, stable=True)[:count]
            beams, tokens = order // sums.size(1), order % sums.size(1)
            totals = sums.flatten()[order]
            texts = torch.cat([texts[beams], tokens[:, None]], 1)
            ended = (
                tokens == end_index
                if end_index is not None
                else torch.zeros_like(tokens, dtype=torch.bool)
            )
            last = step == length
            for text, total, stop in zip(texts, totals, ended, strict=True):
                if stop or last:
                    log_prob = float(total)
                    score = log_prob / len(text) ** length_penalty
                    done.append(Hypothesis(text, log_prob, score))
            going = torch.nonzero(~ended).flatten()
            if last or len(done) >= beam_size or len(going) == 0:
                break
            totals, texts = totals[going], texts[going]
            state = model.select_state(state, beams[going])
            log_probs, state = model.next_log_probs(tokens[going][None], state)
    return sorted(done, key=lambda hypothesis: -hypothesis.score)[:beam_size]
