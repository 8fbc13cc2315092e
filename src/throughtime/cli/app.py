"""The commands and their options; the work is done in the modules named like them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from throughtime.cli.defaults import (
    COMPARED,
    COMPARED_EPOCHS,
    COMPARED_PARAMETERS,
    DEFAULTS,
)

app = typer.Typer(
    help="Build, train, run and explain recurrent networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
train_app = typer.Typer(
    help="Train a model of one task.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(train_app, name="train")

Json = Annotated[
    bool, typer.Option("--json", help="Make the last line of output one JSON object.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]

TextFiles = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Text files, UTF-8, also .gz; none: the language reference that comes "
        "with Python.",
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


def _usual(text: str, key: str) -> str:
    return f"{text}  \\[default: {DEFAULTS[key]}]"


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


def _finish(result: dict[str, Any] | list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, default=str))


@train_app.command("lm")
def train_lm(
    files: TextFiles = None,
    unit: Annotated[
        str | None, typer.Option(help="char, word or bpe.  \\[default: char]")
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            help="See 'throughtime cells'; or one of your own, as file.py:MyCell.  "
            "\\[default: lstm]",
            metavar="NAME",
        ),
    ] = None,
    hidden_size: Annotated[
        int | None, typer.Option(help=_usual("Units per layer.", "hidden_size"))
    ] = None,
    num_layers: Annotated[
        int | None, typer.Option(help=_usual("Layers.", "num_layers"))
    ] = None,
    truncation: Annotated[
        str | None,
        typer.Option(
            help="full, chunked, sliding, random or adaptive; see --tau.  "
            "\\[default: chunked]",
            metavar="METHOD",
        ),
    ] = None,
    tau: Annotated[
        str | None,
        typer.Option(
            help=_usual("Steps the gradient flows back, or 'full'.", "tau")
            + "  Of random the mean, of adaptive the largest number.",
            metavar="INT",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help="Steps between two updates, at most tau.  \\[default: tau]"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help=_usual("Parallel streams.", "batch_size"))
    ] = None,
    max_norm: Annotated[
        float | None,
        typer.Option(help=_usual("Clip the gradient norm here.", "max_norm")),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(help=_usual("Any of torch.optim by name.", "optimizer")),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help=_usual("Step size.", "learning_rate"))
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help=_usual("Passes over the text.", "epochs"))
    ] = None,
    time_budget: Annotated[
        float | None, typer.Option(help="Stop training after so many seconds.")
    ] = None,
    valid: Valid = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder to make.  \\[default: runs/lm-DATE-TIME]"),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue this run.", metavar="RUN")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing --out folder.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(help=_usual("Seed of everything random.", "seed"))
    ] = None,
    set_: Settings = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard events.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a recurrent language model on a text.

    Example: throughtime train lm book.txt --cell gru --hidden-size 256 --epochs 10
    """
    from throughtime.cli.train_lm import resume_run, run_training, start_run

    given = {
        "hidden_size": hidden_size,
        "num_layers": num_layers,
        "truncation": truncation,
        "tau": tau,
        "stride": stride,
        "batch_size": batch_size,
        "max_norm": max_norm,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "epochs": epochs,
        "time_budget": time_budget,
        "seed": seed,
    }
    pairs = [f"{key}={value}" for key, value in given.items() if value is not None]
    if resume is not None:
        task = resume_run(
            resume,
            files=files or [],
            changed=[*pairs, *(set_ or [])],
            others={
                "--unit": unit,
                "--cell": cell,
                "--valid": valid,
                "--out": out,
                "--overwrite": overwrite or None,
            },
        )
    else:
        task = start_run(
            files or [],
            unit=unit or "char",
            cell=cell or "lstm",
            valid=valid or "0.1",
            settings=[*pairs, *(set_ or [])],
            out=out,
            overwrite=overwrite,
        )
    _finish(run_training(task, tensorboard=tensorboard), as_json)


@app.command()
def evaluate(
    run: RunPath,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A text; none: the run's held-out part."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure how well a trained model predicts a text.

    Example: throughtime evaluate runs/book other.txt --json
    """
    from throughtime.cli.evaluate import run_evaluation

    _finish(run_evaluation(run, file), as_json)


@app.command()
def generate(
    run: RunPath,
    prompt: Annotated[str, typer.Option(help="Text to continue.")] = "\n",
    length: Annotated[int, typer.Option(help="Tokens to generate.")] = 300,
    method: Annotated[str, typer.Option(help="sample, greedy or beam.")] = "sample",
    temperature: Annotated[
        float, typer.Option(help="Below 1 more likely, above 1 more varied text.")
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(help="Sample from the k likeliest tokens only.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Sample from the likeliest share p only.")
    ] = None,
    beam_size: Annotated[int, typer.Option(help="Beams of method beam.")] = 5,
    seed: Annotated[int, typer.Option(help="Same seed, same text.")] = 0,
    as_json: Json = False,
) -> None:
    """Let a trained language model write.

    Example: throughtime generate runs/book --prompt "The " --temperature 0.7
    """
    from throughtime.cli.generate import GenerateOptions, generate_from_run
    from throughtime.cli.lm_run import open_run

    options = GenerateOptions(
        length, method, temperature, top_k, top_p, beam_size, seed
    )
    text = generate_from_run(open_run(run), prompt, options)
    typer.echo(prompt.lstrip("\n") + text)
    _finish({"prompt": prompt, "text": text}, as_json)


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

    _finish(print_cells() if name is None else print_cell(name), as_json)


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
        int | None, typer.Option(help=_usual("Seed of everything random.", "seed"))
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
    _finish(result, as_json)
    if result["interrupted"]:
        raise typer.Exit(130)
    if not any(row["status"] == "done" for row in result["cells"]):
        raise typer.Exit(1)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what recurrent layers run with here (compiled core or loop), and why.

    Example: throughtime doctor --json
    """
    from throughtime.cli.doctor import print_findings

    _finish(print_findings(), as_json)
