"""The ``train`` commands and their options."""

from pathlib import Path
from typing import Annotated

import typer

from throughtime.cli.options import (
    Json,
    Settings,
    TextFiles,
    Valid,
    finish,
    usual,
)
from throughtime.cli.task_app import register

train_app = typer.Typer(
    help="Train a model of one task.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


register(train_app)


@train_app.command("lm")
def train_lm(
    files: TextFiles = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="rnn: any cell; window: the last few tokens side by side; ngram: "
            "counts.  \\[default: rnn]",
            metavar="KIND",
        ),
    ] = None,
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
        int | None, typer.Option(help=usual("Units per layer.", "hidden_size"))
    ] = None,
    num_layers: Annotated[
        int | None, typer.Option(help=usual("Layers.", "num_layers"))
    ] = None,
    window: Annotated[
        int | None, typer.Option(help="Of window: tokens it sees.  \\[default: 4]")
    ] = None,
    order: Annotated[
        int | None,
        typer.Option(help="Of ngram: n, the tokens of one.  \\[default: 5]"),
    ] = None,
    smoothing: Annotated[
        str | None,
        typer.Option(
            help="Of ngram, see docs/ngrams.md.  \\[default: kneser-ney]",
            metavar="NAME",
        ),
    ] = None,
    independent_lines: Annotated[
        bool,
        typer.Option(
            "--independent-lines",
            help="Of ngram: nothing is carried over the end of a line.",
        ),
    ] = False,
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
            help=usual("Steps the gradient flows back, or 'full'.", "tau")
            + "  Of random the mean, of adaptive the largest number.",
            metavar="INT",
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help="Steps between two updates, at most tau.  \\[default: tau]"),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Budget of backpropagation, for which steps are run again, or of "
            "counting, on disk; as 200MB.",
            metavar="SIZE",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help=usual("Parallel streams.", "batch_size"))
    ] = None,
    max_norm: Annotated[
        float | None,
        typer.Option(help=usual("Clip the gradient norm here.", "max_norm")),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(help=usual("Of torch.optim, hessian-free, nt-asgd.", "optimizer")),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help=usual("Step size.", "learning_rate"))
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help=usual("Passes over the text.", "epochs"))
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
        int | None, typer.Option(help=usual("Seed of everything random.", "seed"))
    ] = None,
    set_: Settings = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard events.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a language model on a text: recurrent, of a fixed window, or of counts.

    Example: throughtime train lm book.txt --cell gru --hidden-size 256 --epochs 10
    Example: throughtime train lm book.txt --model ngram --unit word --order 3
    """
    from throughtime.cli.launch import begun_run
    from throughtime.cli.lm_kinds import check_options
    from throughtime.cli.train_lm import resume_run, run_training, start_run
    from throughtime.training import join_team

    counting = {
        "--order": order,
        "--smoothing": smoothing,
        "--independent-lines": independent_lines or None,
    }
    given = {
        "window": window,
        "hidden_size": hidden_size,
        "num_layers": num_layers,
        "truncation": truncation,
        "tau": tau,
        "stride": stride,
        "memory": memory,
        "batch_size": batch_size,
        "max_norm": max_norm,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "epochs": epochs,
        "time_budget": time_budget,
        "seed": seed,
    }
    pairs = [f"{key}={value}" for key, value in given.items() if value is not None]
    kind = check_options(
        model, resume, counting=counting, training={**given, "cell": cell}
    )
    if kind == "ngram":
        from throughtime.cli.train_ngram import train_ngram

        result = train_ngram(
            files or [],
            unit=unit or "char",
            order=5 if order is None else order,
            smoothing=smoothing or "kneser-ney",
            independent_lines=independent_lines,
            memory=memory,
            valid=valid or "0.1",
            settings=set_ or [],
            out=out,
            overwrite=overwrite,
        )
        finish(result, as_json)
        return
    with join_team() as team:
        begun = begun_run(out, resume, team)
        if begun is not None:
            task = resume_run(begun, files=[], changed=[], others={}, team=team)
        elif resume is not None:
            task = resume_run(
                resume,
                files=files or [],
                changed=[*pairs, *(set_ or [])],
                others={
                    "--model": model,
                    "--unit": unit,
                    "--cell": cell,
                    "--valid": valid,
                    "--out": out,
                    "--overwrite": overwrite or None,
                },
                team=team,
            )
        else:
            task = start_run(
                files or [],
                unit=unit or "char",
                kind=kind,
                cell=cell or "lstm",
                valid=valid or "0.1",
                settings=[*pairs, *(set_ or [])],
                out=out,
                overwrite=overwrite,
                team=team,
            )
        result = run_training(task, tensorboard=tensorboard)
    if team.is_first:
        finish(result, as_json)
