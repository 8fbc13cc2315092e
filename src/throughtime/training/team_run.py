"""What a team keeps of its training: one run, in the form of the joined batch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from throughtime.training.carried import join_states, split_state
from throughtime.training.memory_run import MemoryRun
from throughtime.training.run_folder import RunFolder
from throughtime.training.source import Source
from throughtime.training.team import Team
from throughtime.training.training_state import random_state, set_random_state


class TeamRun:
    """A ``RunFolder``, or what stands for it, that the first process keeps for all.

    A checkpoint holds the carried states of all streams side by side, so that a team of
    another size, or one process, can go on from it; and each process's generator.

    Args:
        team: those who train together.
        run: what the first process reads and writes; the others' is not touched.
        source: where this process's gradients come from.
    """

    def __init__(self, team: Team, run: RunFolder | MemoryRun, source: Source):
        self._team, self._run, self._source = team, run, source
        self._dimensions: Any = None

    def start(self) -> None:
        """Let all start from the first process's weights, with dropout of their own."""
        self._team.copy(self._source.module.state_dict().values())
        random = self._team.share(random_state())
        if not self._team.is_first:
            set_random_state(_another(random, self._team.rank))

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write everything needed to go on."""
        progress = state.get("progress", {})
        own = {"carried": progress.get("carried"), "random": state["random"]}
        # Running statistics are those of the first process's streams.
        self._team.copy(self._source.module.buffers())
        parts = self._team.gather(own)
        if not self._team.is_first:
            return
        if len(parts) > 1:
            carried = own["carried"]
            if carried is not None:
                carried = join_states([p["carried"] for p in parts], self._where())
            others = [part["random"] for part in parts[1:]]
            progress = {**progress, "carried": carried}
            state = {**state, "progress": progress, "random_others": others}
        self._run.save_state(state)

    def load_state(self) -> dict[str, Any]:
        """Read it: this process's part."""
        team = self._team
        state = team.share(self._run.load_state() if team.is_first else None)
        others = state.pop("random_others", [])
        if not team.is_first:
            known = team.rank <= len(others)
            state["random"] = (
                others[team.rank - 1] if known else _another(state["random"], team.rank)
            )
        progress = state.get("progress", {})
        if team.size > 1 and progress.get("carried") is not None:
            own = team.columns(state["data"][1])
            progress["carried"] = split_state(progress["carried"], self._where(), own)
        return state

    def _where(self) -> Any:
        if self._dimensions is None:
            module = self._source.module
            was_training = module.training
            module.eval()  # draws nothing
            try:
                self._dimensions = self._source.dimensions()
            finally:
                module.train(was_training)
        return self._dimensions

    def save_weights(self, model: nn.Module, notes: Mapping[str, Any]) -> None:
        """Keep the best weights."""
        if self._team.is_first:
            self._run.save_weights(model, notes)

    def load_weights(self, model: nn.Module) -> None:
        """Copy the best weights into ``model``."""
        if self._team.is_first:
            self._run.load_weights(model)
        self._team.copy(model.state_dict().values())

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Keep one record."""
        if self._team.is_first:
            self._run.append_metrics(record)

    def metrics_size(self) -> int:
        """How much has been kept."""
        return self._run.metrics_size() if self._team.is_first else 0

    def truncate_metrics(self, size: int) -> None:
        """Forget what was kept after a checkpoint."""
        if self._team.is_first:
            self._run.truncate_metrics(size)

    def remove_leftovers(self) -> None:
        """Delete what a killed process had begun to write."""
        if self._team.is_first:
            self._run.remove_leftovers()


def _another(random: Mapping[str, Any], rank: int) -> dict[str, Any]:
    """A generator's state for this process, which follows from the first one's."""
    generator = torch.Generator()
    generator.set_state(random["cpu"])
    seed = int(torch.randint(2**62, (1,), generator=generator))
    torch.manual_seed(seed + rank)
    return random_state()
