"""What a command has to know about the torchrun that started it."""

import os
import socket
from pathlib import Path
from typing import Any

from throughtime.errors import DataError, InvalidValue
from throughtime.training import RunFolder, Team

_NO_NAME = "none"


def launch_entry() -> dict[str, str]:
    """What config.json says about the torchrun that began a run, if there is one."""
    name = os.environ.get("TORCHELASTIC_RUN_ID")
    if name is None:
        return {}
    if name == _NO_NAME:
        # Then the process that starts the others, and starts them again, is its name.
        name = f"{socket.gethostname()}:{os.getppid()}"
    return {"launch": name}


def begun_run(out: Path | None, resume: Path | None, team: Team) -> Path | None:
    """The run at ``out`` if this torchrun has begun it, before it started us again.

    Any other run there is none to go on with unasked.

    Raises:
        InvalidValue: restarts are to come, and no ``out`` says what to go on with.
    """
    if resume is not None:
        return None
    if out is None:
        if int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0:
            raise InvalidValue(
                "torchrun --max-restarts needs --out, the run that goes on after a "
                "restart; give --out runs/NAME"
            )
        return None
    ours = False
    if team.is_first and launch_entry() and (out / "config.json").is_file():
        ours = RunFolder.open(out).config.get("launch") == launch_entry()["launch"]
        if os.environ["TORCHELASTIC_RUN_ID"] == _NO_NAME:
            ours = ours and int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
    return out if team.share(ours) else None


def check_same(team: Team, found: dict[str, Any]) -> None:
    """Raise if a process has read something else than the first one.

    Raises:
        DataError: it has.
    """
    first = team.share(found)
    for name, value in found.items():
        if value != first[name]:
            raise DataError(
                f"process {team.rank} has another {name} than process 0: {value}, not "
                f"{first[name]}; give all machines the same files"
            )


def check_alone(command: str) -> None:
    """Raise if a command that one process does was started by torchrun.

    Raises:
        InvalidValue: there are several processes.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InvalidValue(
            f"{command} is done by one process, got {os.environ['WORLD_SIZE']}; start "
            "it without torchrun"
        )
