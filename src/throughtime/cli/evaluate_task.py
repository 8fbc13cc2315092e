"""``throughtime evaluate RUN [FILE]...`` for runs of tasks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from throughtime.cli.settings import split_pairs
from throughtime.cli.task_table import print_figures
from throughtime.tasks.measure import check_targets, measure
from throughtime.tasks.run import open_task_run
from throughtime.tasks.source import load_parts

# Examples looked at together.
AT_ONCE = 64


def evaluate_task(
    path: Path, files: Sequence[Path], settings: Sequence[str]
) -> dict[str, Any]:
    """Measure a run on files, or on its own held-out and test parts.

    Raises:
        DataError: a file cannot be used.
        RunError: no run of a task, or its data has changed.
    """
    run = open_task_run(path, split_pairs(settings))
    console = Console()
    kind, options = type(run.task), run.task.options
    with console.status("reading"):
        if files:
            parts = {
                ", ".join(f.name for f in files): kind.measured(
                    kind.read(files, options), options
                )
            }
            train = None
        else:
            found = load_parts(kind, options, run.source)
            parts, train = {"held out": found.held_out}, found.train
            if found.test:
                parts["test"] = found.test
    figures: dict[str, Any] = {}
    for name, raw in parts.items():
        with console.status(f"measuring {name}"):
            examples = run.task.encode(raw)
            check_targets(run.model, raw, examples, AT_ONCE)
            results = measure(run, raw, examples, train)
        print_figures(console, name, results)
        figures[name.replace(" ", "_")] = {
            model: found.figures for model, found in results.items()
        }
    return figures
