"""Options that a task takes from its user, each with the help of the command line.

Files of options import nothing heavy, so that ``--help`` answers at once.
"""

from dataclasses import field
from typing import Any


def option(default: Any, help: str, *, metavar: str | None = None) -> Any:
    """A field of a dataclass of options: str, int, float or bool, or None for unset.

    Args:
        default: its value where the user says nothing.
        help: one sentence.
        metavar: what stands for the value in the help; default: its type.
    """
    return field(default=default, metadata={"help": help, "metavar": metavar})
