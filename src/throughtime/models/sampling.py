"""Text from a language model, token by token."""

from collections.abc import Sequence

import torch
from torch import Tensor

from throughtime.checks import number, positive_int
from throughtime.errors import InvalidValue, unknown_name
from throughtime.models.protocol import LanguageModelProtocol, checked_prompt

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
    ranked = log_probs.gather(-1, order).double().exp()
    # A token stays if those before it have not reached p yet: the first always does.
    before = ranked.cumsum(-1) - ranked
    dropped = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= p)
    return torch.log_softmax(log_probs.masked_fill(dropped, -torch.inf), -1)


def generate(
    model: LanguageModelProtocol,
    prompt: Tensor,
    length: int,
    *,
    method: str = "sample",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    banned: Sequence[int] = (),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Continue a prompt.

    Args:
        model: any language model; put a network into eval mode first.
        prompt: tokens (n,), at least one.
        length: tokens to produce.
        method: ``sample`` from the distribution, or ``greedy``: the likeliest token,
            among equals the lower index.
        temperature: see ``apply_temperature``; 0 is the same as ``greedy``.
        top_k: see ``keep_top_k``.
        top_p: see ``keep_top_p``.
        banned: tokens never produced.
        generator: where the draws come from; the same seed gives the same text.

    Returns:
        tokens (length,), without the prompt.

    Raises:
        InvalidShape: the prompt is empty or not one sequence.
        InvalidType: the prompt or an option has the wrong type.
        InvalidValue: an option or a token is out of range, everything is banned, or
            the model leaves no token to choose.
    """
    positive_int("length", length)
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    prompt = checked_prompt("prompt", prompt, model.vocabulary_size)
    number("temperature", temperature, minimum=0)
    if top_k is not None:
        positive_int("top_k", top_k)
    if top_p is not None:
        number("top_p", top_p, minimum=0, maximum=1, exclude_minimum=True)
    forbidden = _as_indices(banned, model.vocabulary_size).to(prompt.device)
    greedy = method == "greedy" or temperature == 0
    produced: list[Tensor] = []
    tokens, state = prompt.unsqueeze(1), model.initial_state(1)
    with torch.no_grad():
        for _ in range(length):
            log_probs, state = model.next_log_probs(tokens, state)
            scores = log_probs[-1, 0].index_fill(0, forbidden, -torch.inf)
            # False for NaN too.
            if not scores.max() > -torch.inf:
                raise InvalidValue(
                    "the model gives no probability, or NaN, to every token that is "
                    "not banned; ban fewer, or check that its training converged"
                )
            if greedy:
                token = scores.argmax().reshape(1)
            else:
                scores = apply_temperature(scores, temperature)
                if top_k is not None:
                    scores = keep_top_k(scores, top_k)
                if top_p is not None:
                    scores = keep_top_p(scores, top_p)
                token = torch.multinomial(scores.exp(), 1, generator=generator)
            produced.append(token)
            tokens = token.unsqueeze(1)
    return torch.cat(produced)


def _as_indices(banned: Sequence[int], vocabulary_size: int) -> Tensor:
    for token in banned:
        if not 0 <= token < vocabulary_size:
            raise InvalidValue(
                f"banned must hold tokens in [0, {vocabulary_size}), got {token}"
            )
    if len(set(banned)) == vocabulary_size:
        raise InvalidValue("every token is banned; leave at least one")
    return torch.tensor(list(banned), dtype=torch.long)
