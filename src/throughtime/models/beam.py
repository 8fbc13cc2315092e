"""Beam search: the likeliest continuations, kept side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models.constraint import Constraint, as_indices, constrained
from throughtime.models.protocol import LanguageModelProtocol, readable_prompt
from throughtime.models.sampling import check_end

# By how much log P of n tokens is divided, with exponent α. Of "gnmt": Wu et al.,
# "Google's neural machine translation system", arXiv 1609.08144, equation 14.
PENALTIES: dict[str, Callable[[int, float], float]] = {
    "power": lambda n, alpha: n**alpha,
    "gnmt": lambda n, alpha: ((5 + n) / 6) ** alpha,
}


@dataclass(frozen=True)
class Hypothesis:
    """One continuation.

    Attributes:
        tokens: (n,), without the prompt.
        log_prob: log P(tokens | prompt), in nats.
        score: log_prob over the penalty of its length, by which they are ranked.
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
    penalty: str = "power",
    end_index: int | None = None,
    banned: Sequence[int] = (),
    constraint: Constraint | None = None,
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
        length_penalty: α in the score; 0 compares log P itself.
        penalty: what log P of n tokens is divided by: ``power``, n^α, or ``gnmt``,
            ((5 + n) / 6)^α.
        end_index: token that ends a hypothesis; None: all have ``length`` tokens.
        banned: tokens never produced.
        constraint: which tokens may come next, given those produced so far, such as
            ``constraint.starts_with``. Like ``banned`` it changes what is found, not
            its log P.

    Raises:
        InvalidShape: the prompt is empty or not one sequence.
        InvalidType: the prompt or an option has the wrong type.
        InvalidValue: an unknown penalty, a number or a token is out of range, the
            prompt is longer than the model can read, or the model gives NaN or no
            probability to all that is allowed.
    """
    positive_int("length", length)
    positive_int("beam_size", beam_size)
    number("length_penalty", length_penalty, minimum=0)
    if penalty not in PENALTIES:
        raise unknown_name("penalty", penalty, PENALTIES)
    prompt = readable_prompt("prompt", prompt, model)
    check_end(end_index, model.vocabulary_size)
    forbidden = as_indices("banned", banned, model.vocabulary_size).to(prompt.device)
    done: list[Hypothesis] = []
    with torch.no_grad():
        log_probs, state = model.next_log_probs(
            prompt.unsqueeze(1), model.initial_state(1)
        )
        totals = log_probs.new_zeros(1, dtype=torch.float64)
        texts = prompt.new_zeros((1, 0))
        for step in range(1, length + 1):
            sums = totals[:, None] + log_probs[-1].double()
            sums = sums.index_fill(1, forbidden, -torch.inf)
            if constraint is not None:
                rows = zip(sums, texts.tolist(), strict=True)
                sums = torch.stack(
                    [constrained(row, constraint, tuple(text)) for row, text in rows]
                )
            possible = int((sums > -torch.inf).sum())
            if sums.isnan().any() or possible == 0:
                raise InvalidValue(
                    "the model gives NaN, or no probability to any token that is "
                    "allowed; allow more, or check that its training converged"
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
                    score = log_prob / PENALTIES[penalty](len(text), length_penalty)
                    done.append(Hypothesis(text, log_prob, score))
            going = torch.nonzero(~ended).flatten()
            if last or len(done) >= beam_size or len(going) == 0:
                break
            totals, texts = totals[going], texts[going]
            state = model.select_state(state, beams[going])
            log_probs, state = model.next_log_probs(tokens[going][None], state)
    return sorted(done, key=lambda hypothesis: -hypothesis.score)[:beam_size]
