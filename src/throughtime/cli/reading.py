"""The progress bar of reading and encoding a text."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

# What is being done, the characters done, and of how many (None: not known yet).
Seen = Callable[[str, int, int | None], object]
# A bar is drawn for what takes longer than so many seconds.
PATIENCE = 1.0


def silent(what: str, done: int, total: int | None) -> None:
    """Show nothing."""


@contextmanager
def show_reading(console: Console) -> Generator[Seen]:
    """A bar for work that goes through a text; none if it is quick.

    >>> with show_reading(Console()) as seen:
    ...     seen("reading the text", 10, 20)
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TaskProgressColumn(),
        TextColumn("{task.fields[millions]:,.0f} million characters"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with_bar = Progress(*columns, console=console, transient=True)
    task = with_bar.add_task("", millions=0.0, total=None)
    now = ""

    def seen(what: str, done: int, total: int | None) -> None:
        nonlocal now
        late = time.monotonic() - began > PATIENCE
        if late and console.is_terminal and not with_bar.live.is_started:
            with_bar.start()
        if what != now:
            now = what
            with_bar.reset(task, description=what, total=total)
        with_bar.update(task, completed=done, total=total, millions=done / 1e6)

    try:
        yield seen
    finally:
        if with_bar.live.is_started:
            with_bar.stop()
