"""What every language model offers, whether it counts or learns."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor


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
