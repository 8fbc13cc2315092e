"""The progress bar of a training: loss, perplexity, tokens per second, time left."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from throughtime.metrics import perplexity
from throughtime.training import EventInfo, StepInfo, ValidationInfo
from throughtime.training.records import Record

# Share of the newest update in the smoothed figures of the bar.
_NEW = 0.05


def show_progress(
    records: Iterable[Record],
    console: Console,
    *,
    writer: Any = None,
    time_budget: float | None = None,
    seen: Callable[[StepInfo], object] | None = None,
    what: str = "tokens",
) -> None:
    """Draw the records of a training while it runs.

    Args:
        records: what ``throughtime.training.train`` yields.
        console: where to draw; a line per epoch where it is no terminal.
        writer: TensorBoard writer, or None.
        time_budget: seconds after which the training ends, if it has not before.
        seen: is called with every update.
        what: the targets are; of tokens the perplexity is shown.
    """
    has_perplexity = what == "tokens"
    ppl = "  perplexity {task.fields[ppl]:.2f}" if has_perplexity else ""
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(bar_width=16),
        TaskProgressColumn(),
        TextColumn("loss {task.fields[loss]:.3f}" + ppl),
        TextColumn("{task.fields[speed]:,.0f} " + what + "/s"),
        TimeRemainingColumn(),
    )
    loss, speed = 0.0, 0.0
    reaches: list[float] = []
    budget = math.inf if time_budget is None else time_budget
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0, epoch=1, loss=loss, ppl=1.0, speed=speed)
        for record in records:
            if writer is not None:
                from throughtime.training.tensorboard import write_record

                write_record(writer, record)
            if isinstance(record, StepInfo):
                if seen is not None:
                    seen(record)
                if record.skipped:
                    continue
                loss += (record.loss - loss) * (_NEW if loss else 1.0)
                speed += (record.tokens_per_second - speed) * (_NEW if speed else 1.0)
                bar.update(
                    task,
                    completed=max(record.fraction, record.seconds / budget),
                    epoch=record.epoch,
                    loss=loss,
                    ppl=perplexity(loss),
                    speed=speed,
                )
            elif isinstance(record, ValidationInfo):
                bar.console.print(
                    f"epoch {record.epoch:>3}  train {loss:.4f}  "
                    f"held out {record.loss:.4f}  "
                    + (f"perplexity {record.perplexity:.2f}  " * has_perplexity)
                    + f"{speed:,.0f} {what}/s"
                    + _reach(reaches)
                    + ("  best" if record.improved else "")
                )
                reaches.clear()
            elif isinstance(record, EventInfo) and record.kind == "reach":
                # One of many; metrics.jsonl has them all.
                reaches.append(record.value or 0)
            elif isinstance(record, EventInfo):
                bar.console.print(f"[yellow]{record.kind}[/yellow]: {record.message}")


def _reach(reaches: list[float]) -> str:
    """How far the gradient reached back in an epoch, where that was measured."""
    if not reaches:
        return ""
    low, high = min(reaches), max(reaches)
    return f"  reach {low:g}" + (f" to {high:g}" if high > low else "") + " steps"
