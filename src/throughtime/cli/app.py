"""The commands and their options; the work is done in the modules named like them."""

from pathlib import Path
from typing import Annotated

import typer

from throughtime.cli.defaults import (
    COMPARED,
    COMPARED_EPOCHS,
    COMPARED_PARAMETERS,
)
from throughtime.cli.options import (
    Json,
    RunPath,
    Settings,
    TextFiles,
    Valid,
    finish,
    usual,
)
from throughtime.cli.run_app import register
from throughtime.cli.train_app import train_app

app = typer.Typer(
    help="Build, train, run and explain recurrent networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(train_app, name="train")
register(app)


def _version(show: bool) -> None:
    if show:
        from throughtime import __version__

        typer.echo(f"throughtime {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Build, train, run and explain recurrent networks."""


@app.command()
def cells(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A cell to show in full, also one of a file: file.py:MyCell.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the recurrent cells: equation, parameters, path; or show one in full.

    Example: throughtime cells lstm
    """
    from throughtime.cli.cells import print_cell, print_cells

    finish(print_cells() if name is None else print_cell(name), as_json)


@app.command("compare-cells")
def compare_cells(
    files: TextFiles = None,
    cells: Annotated[
        str | None,
        typer.Option(
            help="Names from 'throughtime cells', or file.py:MyCell, with commas "
            f"between them.  \\[default: {','.join(COMPARED)}]",
            metavar="NAMES",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every known cell.")] = False,
    parameters: Annotated[
        int, typer.Option(help="Of each model; its hidden size follows.")
    ] = COMPARED_PARAMETERS,
    epochs: Annotated[
        int | None,
        typer.Option(
            help=f"Passes over the text for each cell.  \\[default: {COMPARED_EPOCHS}]"
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Train each cell for so long, instead of --epochs."),
    ] = None,
    unit: Annotated[str, typer.Option(help="char, word or bpe.")] = "char",
    valid: Valid = None,
    seed: Annotated[
        int | None, typer.Option(help=usual("Seed of everything random.", "seed"))
    ] = None,
    set_: Settings = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to make.  \\[default: runs/compare-DATE-TIME]"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into the folder of another one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train several cells on one text with one budget and compare them.

    Example: throughtime compare-cells book.txt --cells lstm,gru,mine.py:MyCell
    """
    from throughtime.cli.compare import plan_comparison, run_comparison

    given = {"seed": seed, "epochs": epochs}
    pairs = [f"{key}={value}" for key, value in given.items() if value is not None]
    plan = plan_comparison(
        files or [],
        unit=unit,
        valid=valid or "0.1",
        cells=cells,
        every=every,
        parameters=parameters,
        minutes=minutes,
        settings=[*pairs, *(set_ or [])],
        out=out,
        overwrite=overwrite,
    )
    result = run_comparison(plan)
    finish(result, as_json)
    if result["interrupted"]:
        raise typer.Exit(130)
    if not any(row["status"] == "done" for row in result["cells"]):
        raise typer.Exit(1)


@app.command()
def truncations(
    run: RunPath,
    tau: Annotated[int, typer.Option(help="Steps the gradient flows back.")] = 16,
    steps: Annotated[int, typer.Option(help="Steps of text to measure on.")] = 128,
    batch_size: Annotated[int, typer.Option(help="Parallel streams of it.")] = 16,
    draws: Annotated[int, typer.Option(help="Estimates of a random method.")] = 100,
    as_json: Json = False,
) -> None:
    """Measure bias and variance of truncated gradients of a trained model.

    Example: throughtime truncations runs/book --tau 32
    """
    from throughtime.cli.truncations import run_truncations

    result = run_truncations(
        run, tau=tau, steps=steps, batch_size=batch_size, draws=draws
    )
    finish(result, as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what recurrent layers run with here (compiled core or loop), and why.

    Example: throughtime doctor --json
    """
    from throughtime.cli.doctor import print_findings

    finish(print_findings(), as_json)
