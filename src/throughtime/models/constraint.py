"""What a continuation may hold: a rule from the tokens so far to those allowed next."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from throughtime.errors import InvalidValue

# From what was produced, without the prompt, to the tokens that may follow; None: all.
Constraint = Callable[[tuple[int, ...]], Sequence[int] | None]


def starts_with(tokens: Sequence[int]) -> Constraint:
    """The continuation begins with these tokens, and goes on freely.

    >>> rule = starts_with([7, 3])
    >>> rule(()), rule((7,)), rule((7, 3))
    ([7], [3], None)
    """
    forced = [int(token) for token in tokens]

    def allowed(produced: tuple[int, ...]) -> Sequence[int] | None:
        step = len(produced)
        return [forced[step]] if step < len(forced) else None

    return allowed


def constrained(
    log_probs: Tensor, constraint: Constraint | None, produced: tuple[int, ...]
) -> Tensor:
    """log P (V,) with -inf for what the constraint does not allow after ``produced``.

    Raises:
        InvalidValue: it allows nothing, or a token outside [0, V).
    """
    allowed = None if constraint is None else constraint(produced)
    if allowed is None:
        return log_probs
    size = len(log_probs)
    if len(allowed) == 0 or not 0 <= min(allowed) <= max(allowed) < size:
        raise InvalidValue(
            f"the constraint must allow tokens in [0, {size}), at least one, got "
            f"{list(allowed)[:5]} after {len(produced)} tokens"
        )
    index = torch.tensor(list(allowed), dtype=torch.long, device=log_probs.device)
    kept = torch.full_like(log_probs, -torch.inf)
    return kept.index_copy(0, index, log_probs[index])


def as_indices(name: str, tokens: Sequence[int], vocabulary_size: int) -> Tensor:
    """Tokens that are never produced, as an index; at least one stays.

    Raises:
        InvalidValue: a token outside [0, V), or all of them.
    """
    for token in tokens:
        if not 0 <= token < vocabulary_size:
            raise InvalidValue(
                f"{name} must hold tokens in [0, {vocabulary_size}), got {token}"
            )
    if len(set(tokens)) == vocabulary_size:
        raise InvalidValue(f"every token is {name}; leave at least one")
    return torch.tensor(list(tokens), dtype=torch.long)
