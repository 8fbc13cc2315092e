"""``throughtime truncations``: what cutting the gradient of a trained model costs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from throughtime.checks import positive_int
from throughtime.cli.lm_data import encode, load_corpus
from throughtime.cli.lm_run import LanguageModelRun, open_run
from throughtime.data import streams
from throughtime.errors import DataError
from throughtime.training import (
    BPTT,
    AdaptiveBPTT,
    Estimate,
    Method,
    Problem,
    RandomTruncatedBPTT,
    Reach,
    SlidingBPTT,
    TruncatedBPTT,
    compare_truncations,
)


def run_truncations(
    path: Path, *, tau: int, steps: int, batch_size: int, draws: int
) -> dict[str, Any]:
    """Compare the truncations on the beginning of a run's training text.

    Raises:
        DataError: the text is too short.
        InvalidValue: a number is not positive, or tau is 1.
        RunError: no run, or another text.
    """
    for name, value in (("steps", steps), ("batch_size", batch_size)):
        positive_int(name, value)
    methods: dict[str, Method] = {
        "full": BPTT(),
        f"chunked, tau {tau}": TruncatedBPTT(tau),
        f"sliding, tau {tau}": SlidingBPTT(tau),
        f"random, geometric, tau {tau}": RandomTruncatedBPTT(tau),
        f"random, power, tau {tau}": RandomTruncatedBPTT(tau, lengths="power"),
    }
    run = open_run(path)
    problem = _problem(run, steps, batch_size)
    console = Console()
    with console.status("measuring how far the gradient reaches"):
        reach = AdaptiveBPTT(maximum=steps).measure(problem)
    with console.status(f"estimating the gradient {draws} times"):
        found = compare_truncations(problem, methods, draws=draws)
    _print(console, found, reach, problem)
    return {
        "steps": steps,
        "batch_size": batch_size,
        "reach": asdict(reach),
        "estimates": {name: asdict(row) for name, row in found.items()},
    }


def _problem(run: LanguageModelRun, steps: int, batch_size: int) -> Problem:
    model = run.recurrent("truncations")
    assert run.source is not None  # what is recurrent was trained here
    tokens = encode(run.vocabulary, load_corpus(run.source).train, "training")
    inputs, targets = streams(tokens, batch_size)
    if len(inputs) < steps:
        raise DataError(
            f"the text of the run has {len(inputs)} steps in {batch_size} streams, "
            f"fewer than {steps}; use smaller --steps or --batch-size"
        )
    return Problem(
        model,
        model.features,
        model.features_loss,
        inputs[:steps],
        targets[:steps],
    )


def _print(
    console: Console, found: dict[str, Estimate], reach: Reach, problem: Problem
) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("gradient by")
    for name in ("bias", "spread", "cosine", "time"):
        table.add_column(name, justify="right")
    full = next(iter(found.values())).seconds
    for name, row in found.items():
        error = f" ± {row.error:.1%}" if row.draws > 1 else ""
        table.add_row(
            name,
            f"{row.bias:.1%}{error}",
            f"{row.spread:.1%}",
            f"{row.cosine:.4f}",
            f"{row.seconds / full:.2f}",
        )
    console.print(table)
    steps, batch = problem.inputs.shape[:2]
    console.print(
        "Shares of the norm of the full gradient of all recurrent weights, over "
        f"{steps} steps of {batch} streams; time as a multiple of its own. A bias "
        "within about its ± is none.\n\n"
        f"The gradient of one loss reaches back {reach.tau} steps, less than "
        f"{reach.epsilon:.0%} of it lies beyond: {reach}.",
        highlight=False,
    )
