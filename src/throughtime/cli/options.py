"""Options that several commands share, and how a command ends."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from throughtime.cli.defaults import DEFAULTS
from throughtime.errors import InvalidValue

Json = Annotated[
    bool, typer.Option("--json", help="Make the last line of output one JSON object.")
]
RunPath = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run folder, or an ARPA file.")
]

TextFiles = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Text files and folders of them, UTF-8, also .gz and .zst; none: the "
        "language reference that comes with Python.",
    ),
]
Valid = Annotated[
    str | None,
    typer.Option(
        help="Held-out text: a file, or the share at the end.  \\[default: 0.1]",
        metavar="FILE|SHARE",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any other option of model, cell and training, as in tied=true.",
    ),
]


def usual(text: str, key: str) -> str:
    """The help of an option whose default is in ``DEFAULTS``."""
    return f"{text}  \\[default: {DEFAULTS[key]}]"


def check_left_out(by: str, **given: tuple[object, object]) -> None:
    """Raise if an option is given where it has no part.

    Args:
        by: what has no use for it.
        given: by name, the value of each option, and the one it has if left out.

    Raises:
        InvalidValue: one is given.

    >>> check_left_out("a run of train music", top_k=(None, None))
    """
    for name, (value, usual) in given.items():
        if value != usual:
            raise InvalidValue(
                f"--{name.replace('_', '-')} has no part in {by}; leave it out"
            )


def finish(result: dict[str, Any] | list[dict[str, Any]], as_json: bool) -> None:
    """Print the result as one JSON object in the last line, if asked to."""
    if as_json:
        typer.echo(json.dumps(plain(result), default=str))


def plain(value: Any) -> Any:
    """As JSON has it: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
