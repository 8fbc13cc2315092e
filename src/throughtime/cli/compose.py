"""``throughtime generate RUN --out FILE`` for runs of ``train music``."""

from pathlib import Path
from typing import Any

from rich.console import Console

from throughtime.cli.output_file import check_output
from throughtime.errors import InvalidValue
from throughtime.tasks.music import Music
from throughtime.tasks.run import open_task_run


def compose(
    path: Path,
    *,
    prompt: str | None,
    length: int,
    temperature: float,
    seed: int,
    out: Path | None,
    overwrite: bool,
) -> dict[str, Any]:
    """Make a piece of music, print its notes and write it to a MIDI file.

    Raises:
        DataError: the prompt is no file of music.
        InvalidValue: the run is of a task that makes no music.
        RunError: no run, or ``out`` exists.
    """
    check_output(out, overwrite=overwrite)
    run = open_task_run(path)
    if not isinstance(run.task, Music):
        raise InvalidValue(
            f"generate takes a language model or a run of train music, and {path} is "
            f"of 'train {run.task.name}'; use predict"
        )
    made = run.task.generate(
        run.model,
        length=length,
        temperature=temperature,
        seed=seed,
        prompt=None if prompt is None else Path(prompt),
        out=out,
    )
    console = Console()
    console.print(made["text"], highlight=False)
    if out is not None:
        console.print(f"written to {out}", highlight=False)
    return made
