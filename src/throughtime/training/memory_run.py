"""What takes the place of a run folder when a training leaves nothing on disk."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import nn

from throughtime.training.run_folder import copy_weights


class MemoryRun:
    """The last checkpoint and the best weights, in memory; see ``RunFolder``."""

    def __init__(self) -> None:
        self._state: dict[str, Any] = {}
        self._weights: dict[str, Any] = {}

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Keep a copy of everything needed to go on."""
        self._state = copy.deepcopy(dict(state))

    def load_state(self) -> dict[str, Any]:
        """A copy of what was kept."""
        return copy.deepcopy(self._state)

    def save_weights(self, model: nn.Module, notes: Mapping[str, Any]) -> None:
        """Keep a copy of the best weights."""
        del notes
        self._weights = copy.deepcopy(model.state_dict())

    def load_weights(self, model: nn.Module) -> None:
        """Copy the best weights into ``model``."""
        copy_weights(model, self._weights, "the best weights")

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Records are yielded; nothing keeps them here."""

    def metrics_size(self) -> int:
        """Nothing is kept."""
        return 0

    def truncate_metrics(self, size: int) -> None:
        """There is nothing to forget."""

    def remove_leftovers(self) -> None:
        """Nothing is left over."""
