"""What every language model offers, whether it counts or learns, and what it reads."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from throughtime.errors import InvalidShape, InvalidType, InvalidValue


@runtime_checkable
class LanguageModelProtocol(Protocol):
    """P(next token | everything read so far), state in and state out.

    ``state`` is opaque to the caller: a network's hidden state, or an n-gram's last
    tokens.
    """

    @property
    def vocabulary_size(self) -> int:
        """V."""
        ...

    def initial_state(self, batch_size: int) -> Any:
        """The state before anything is read."""
        ...

    def next_log_probs(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read tokens (T, B): log P(next token) after each (T, B, V), and the state."""
        ...

    def select_state(self, state: Any, indices: Tensor) -> Any:
        """The state of the sequences ``indices`` (long) of the batch."""
        ...


def checked_tokens(name: str, tokens: Any, vocabulary_size: int) -> Tensor:
    """``tokens``, of any shape, as long.

    Raises:
        InvalidType: no tensor of integers.
        InvalidValue: a token outside [0, V).
    """
    if not isinstance(tokens, Tensor):
        raise InvalidType(
            f"{name} should be a Tensor of integers, got {type(tokens).__name__}; "
            "wrap it in torch.tensor"
        )
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise InvalidType(
            f"{name} should be a Tensor of integers, got {tokens.dtype}; tokens are "
            "indices into the vocabulary"
        )
    tokens = tokens.long()
    if tokens.numel() and not 0 <= tokens.min() <= tokens.max() < vocabulary_size:
        raise InvalidValue(
            f"{name} must lie in [0, {vocabulary_size}), got values from "
            f"{int(tokens.min())} to {int(tokens.max())}; encode them with the "
            "vocabulary of the model"
        )
    return tokens


def checked_prompt(name: str, tokens: Any, vocabulary_size: int) -> Tensor:
    """One sequence of at least one token, (n,), as long.

    Raises:
        InvalidType: no tensor of integers.
        InvalidShape: empty, or not one sequence.
        InvalidValue: a token outside [0, V).
    """
    if isinstance(tokens, Tensor) and (tokens.dim() != 1 or len(tokens) == 0):
        raise InvalidShape(
            f"{name} must be tokens (n,), at least one, got {tuple(tokens.shape)}"
        )
    return checked_tokens(name, tokens, vocabulary_size)


def readable_prompt(name: str, tokens: Any, model: LanguageModelProtocol) -> Tensor:
    """``checked_prompt`` for this model, and no longer than it can read.

    A model that cannot read any number of tokens says so by ``max_prompt``. Recurrent
    and n-gram models have no such limit.

    Raises:
        InvalidType: no tensor of integers.
        InvalidShape: empty, or not one sequence.
        InvalidValue: a token outside [0, V), or more tokens than ``max_prompt``.
    """
    tokens = checked_prompt(name, tokens, model.vocabulary_size)
    limit = getattr(model, "max_prompt", None)
    if limit is not None and len(tokens) > limit:
        raise InvalidValue(
            f"{name} has {len(tokens)} tokens, and the model can read {limit}; give "
            f"the last {limit} of them"
        )
    return tokens
