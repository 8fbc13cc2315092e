"""Text from a language model, token by token."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models.constraint import Constraint, as_indices, constrained
from throughtime.models.protocol import LanguageModelProtocol, readable_prompt

METHODS = ("sample", "greedy")


def apply_temperature(log_probs: Tensor, temperature: float) -> Tensor:
    """log softmax(log p / temperature): below 1 sharper, above 1 flatter.

    Raises:
        InvalidValue: not positive (greedy choice is its limit at 0).

    >>> apply_temperature(torch.log(torch.tensor([0.8, 0.2])), 0.5).exp()
    tensor([0.9412, 0.0588])
    """
    number("temperature", temperature, minimum=0, exclude_minimum=True)
    # From the likeliest down and in float64, so that no temperature overflows.
    below = (log_probs - log_probs.amax(-1, keepdim=True)).double()
    return torch.log_softmax(below / temperature, -1).to(log_probs.dtype)


def keep_top_k(log_probs: Tensor, k: int) -> Tensor:
    """The k likeliest tokens, renormalised; among equals the lower index.

    Raises:
        InvalidType: ``k`` is no int.
        InvalidValue: ``k`` is not positive.

    >>> keep_top_k(torch.log(torch.tensor([0.5, 0.3, 0.2])), 2).exp()
    tensor([0.6250, 0.3750, 0.0000])
    """
    order = torch.sort(log_probs, dim=-1, descending=True, stable=True).indices
    dropped = order[..., positive_int("top_k", k) :]
    return torch.log_softmax(log_probs.scatter(-1, dropped, -torch.inf), -1)


def keep_top_p(log_probs: Tensor, p: float) -> Tensor:
    """The smallest set of likeliest tokens with mass >= p, renormalised.

    Among equals the lower index; p = 1 keeps every token.
    Holtzman et al., "The curious case of neural text degeneration", arXiv 1904.09751.

    Raises:
        InvalidType: ``p`` is no number.
        InvalidValue: ``p`` outside (0, 1].

    >>> keep_top_p(torch.log(torch.tensor([0.5, 0.3, 0.2])), 0.6).exp()
    tensor([0.6250, 0.3750, 0.0000])
    """
    number("top_p", p, minimum=0, maximum=1, exclude_minimum=True)
    if p == 1:  # rounded sums reach 1 before the last token
        return torch.log_softmax(log_probs, -1)
    order = torch.sort(log_probs, dim=-1, descending=True, stable=True).indices
    return _keep_first(log_probs, order, p)


def keep_typical(log_probs: Tensor, mass: float) -> Tensor:
    """The smallest set of most typical tokens with this mass, renormalised.

    A token is typical if it is about as surprising as tokens are on average here: if
    |-log p - H| is small, where H = -Σ p log p. Among equals the lower index; mass = 1
    keeps every token. Meister et al., "Locally typical sampling", arXiv 2202.00666.

    Raises:
        InvalidType: ``mass`` is no number.
        InvalidValue: ``mass`` outside (0, 1].

    >>> keep_typical(torch.log(torch.tensor([0.5, 0.3, 0.2])), 0.25).exp()
    tensor([0.0000, 1.0000, 0.0000])
    """
    number("typical", mass, minimum=0, maximum=1, exclude_minimum=True)
    log_probs = torch.log_softmax(log_probs, -1)
    if mass == 1:
        return log_probs
    p = log_probs.double().exp()
    entropy = -torch.xlogy(p, p).sum(-1, keepdim=True)
    distance = (-log_probs.double() - entropy).abs()
    order = torch.sort(distance, dim=-1, stable=True).indices
    return _keep_first(log_probs, order, mass)


def _keep_first(log_probs: Tensor, order: Tensor, mass: float) -> Tensor:
    """The tokens in this order until they have the mass, renormalised."""
    ranked = log_probs.gather(-1, order).double().exp()
    # A token stays if those before it have not reached it yet: the first always does.
    before = ranked.cumsum(-1) - ranked
    dropped = torch.zeros_like(before, dtype=torch.bool)
    dropped = dropped.scatter(-1, order, before >= mass)
    return torch.log_softmax(log_probs.masked_fill(dropped, -torch.inf), -1)


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How the next token is chosen.

    Attributes:
        method: ``sample`` from the distribution, or ``greedy``: the likeliest token,
            among equals the lower index.
        temperature: see ``apply_temperature``; 0 is the same as ``greedy``.
        top_k: see ``keep_top_k``.
        top_p: see ``keep_top_p``, of what ``top_k`` left.
        typical: mass, see ``keep_typical``, of what ``top_k`` and ``top_p`` left.
        banned: tokens never produced.

    Raises:
        InvalidType: an option has the wrong type.
        InvalidValue: an option is unknown or out of range.
    """

    method: str = "sample"
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    typical: float | None = None
    banned: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("method", self.method, METHODS)
        number("temperature", self.temperature, minimum=0)
        if self.top_k is not None:
            positive_int("top_k", self.top_k)
        for name in ("top_p", "typical"):
            if getattr(self, name) is not None:
                value = getattr(self, name)
                number(name, value, minimum=0, maximum=1, exclude_minimum=True)

    def choose(
        self, log_probs: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """A token for every row of log P, (B, V) -> (B,).

        Raises:
            InvalidValue: a banned token outside [0, V), all are banned, or a row
                leaves nothing to choose.
        """
        scores = log_probs
        if len(self.banned) > 0:
            banned = as_indices("banned", self.banned, log_probs.size(-1))
            scores = scores.index_fill(-1, banned.to(scores.device), -torch.inf)
        # False for NaN too.
        if not (scores.amax(-1) > -torch.inf).all():
            raise InvalidValue(
                "the model gives no probability, or NaN, to every token that is "
                "not banned; ban fewer, or check that its training converged"
            )
        if self.method == "greedy" or self.temperature == 0:
            return scores.argmax(-1)
        scores = apply_temperature(scores, self.temperature)
        if self.top_k is not None:
            scores = keep_top_k(scores, self.top_k)
        if self.top_p is not None:
            scores = keep_top_p(scores, self.top_p)
        if self.typical is not None:
            scores = keep_typical(scores, self.typical)
        return torch.multinomial(scores.exp(), 1, generator=generator).squeeze(-1)


def stream(
    model: LanguageModelProtocol,
    prompt: Tensor,
    decoding: Decoding | None = None,
    *,
    length: int | None = None,
    end_index: int | None = None,
    constraint: Constraint | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[int]:
    """Continue a prompt, one token at a time, as ``generate`` does.

    Args:
        model: any language model; put a network into eval mode first.
        prompt: tokens (n,), at least one.
        decoding: how to choose; default: sample from the distribution.
        length: most tokens to produce; None: go on for as long as they are asked for.
        end_index: token after which the text ends; None: none does.
        constraint: which tokens may come next, given those produced so far, such as
            ``constraint.starts_with``.
        generator: where the draws come from; the same seed gives the same text.

    Returns:
        An iterator; each token is computed when it is asked for.

    Raises:
        InvalidShape: the prompt is empty or not one sequence.
        InvalidType: the prompt or an option has the wrong type.
        InvalidValue: an option or a token is out of range, the prompt is longer than
            the model can read, or (on the way) nothing is left to choose.

    >>> from throughtime.models.ngram import NGramLM
    >>> model = NGramLM(2, vocabulary_size=3).fit(torch.tensor([0, 1, 2, 0, 1, 2, 0]))
    >>> list(stream(model, torch.tensor([0]), Decoding(method="greedy"), length=4))
    [1, 2, 0, 1]
    """
    decoding = Decoding() if decoding is None else decoding
    if length is not None:
        positive_int("length", length)
    prompt = readable_prompt("prompt", prompt, model)
    as_indices("banned", decoding.banned, model.vocabulary_size)
    check_end(end_index, model.vocabulary_size)
    return _stream(model, prompt, decoding, length, end_index, constraint, generator)


def _stream(
    model: LanguageModelProtocol,
    prompt: Tensor,
    decoding: Decoding,
    length: int | None,
    end_index: int | None,
    constraint: Constraint | None,
    generator: torch.Generator | None,
) -> Iterator[int]:
    tokens, state = prompt.unsqueeze(1), model.initial_state(1)
    produced: tuple[int, ...] = ()
    for _ in itertools.count() if length is None else range(length):
        with torch.no_grad():  # not around the yield, where the caller runs
            log_probs, state = model.next_log_probs(tokens, state)
            scores = constrained(log_probs[-1, 0], constraint, produced)
            token = decoding.choose(scores[None], generator=generator)
        yield int(token)
        if int(token) == end_index:
            return
        if constraint is not None:
            produced = (*produced, int(token))
        tokens = token.unsqueeze(1)


def generate(
    model: LanguageModelProtocol,
    prompt: Tensor,
    length: int,
    *,
    method: str = "sample",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    typical: float | None = None,
    banned: Sequence[int] = (),
    end_index: int | None = None,
    constraint: Constraint | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Continue a prompt: the tokens of ``stream``.

    Args:
        model: any language model; put a network into eval mode first.
        prompt: tokens (n,), at least one.
        length: tokens to produce.
        method: see ``Decoding``.
        temperature: see ``Decoding``.
        top_k: see ``Decoding``.
        top_p: see ``Decoding``.
        typical: see ``Decoding``.
        banned: see ``Decoding``.
        end_index: see ``stream``.
        constraint: see ``stream``.
        generator: where the draws come from; the same seed gives the same text.

    Returns:
        tokens (length,), without the prompt; fewer if the last is ``end_index``.

    Raises:
        InvalidShape: the prompt is empty or not one sequence.
        InvalidType: the prompt or an option has the wrong type.
        InvalidValue: an option or a token is out of range, the prompt is longer than
            the model can read, or nothing is left to choose.
    """
    positive_int("length", length)
    decoding = Decoding(
        method=method,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        typical=typical,
        banned=banned,
    )
    tokens = stream(
        model,
        prompt,
        decoding,
        length=length,
        end_index=end_index,
        constraint=constraint,
        generator=generator,
    )
    return torch.tensor(list(tokens), dtype=torch.long, device=prompt.device)


def sample(
    model: LanguageModelProtocol,
    prompt: Tensor,
    length: int,
    *,
    count: int,
    decoding: Decoding | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Many continuations of one prompt at once, each drawn independently.

    Args:
        model: any language model; put a network into eval mode first.
        prompt: tokens (n,), at least one.
        length: tokens of each text.
        count: B, how many texts.
        decoding: how to choose; default: sample from the distribution.
        generator: where the draws come from.

    Returns:
        tokens (length, B), without the prompt.

    Raises:
        InvalidShape: the prompt is empty or not one sequence.
        InvalidType: the prompt or an option has the wrong type.
        InvalidValue: a number or a token is out of range, the prompt is longer than
            the model can read, or nothing is left to choose.
    """
    decoding = Decoding() if decoding is None else decoding
    positive_int("length", length)
    positive_int("count", count)
    prompt = readable_prompt("prompt", prompt, model)
    produced: list[Tensor] = []
    with torch.no_grad():
        # The prompt is read once, for all.
        log_probs, state = model.next_log_probs(prompt[:, None], model.initial_state(1))
        every = torch.zeros(count, dtype=torch.long, device=prompt.device)
        log_probs, state = log_probs[-1:, every], model.select_state(state, every)
        while True:
            produced.append(decoding.choose(log_probs[-1], generator=generator))
            if len(produced) == length:
                return torch.stack(produced)
            log_probs, state = model.next_log_probs(produced[-1][None], state)


def check_end(end_index: int | None, vocabulary_size: int) -> None:
    """Raise unless this is None or a token.

    Raises:
        InvalidValue: outside [0, V).
    """
    if end_index is not None and not 0 <= end_index < vocabulary_size:
        raise InvalidValue(
            f"end_index must be a token in [0, {vocabulary_size}), got {end_index}"
        )
