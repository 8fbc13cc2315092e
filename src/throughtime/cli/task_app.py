"""The ``train`` commands of tasks: their options come from the dataclasses of options.

What a field says about itself becomes an option of the command, so that code, config
and command line use one word for one thing.
"""

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from throughtime.cli.options import Json, Settings
from throughtime.tasks.registry import TASKS, options_class

Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE]...", help="Files or folders to train on."),
]
# Options that all tasks have, in the order of the help.
COMMON: dict[str, Any] = {
    "cell": Annotated[
        str | None,
        typer.Option(
            help="See 'throughtime cells'; one of your own, as file.py:MyCell; or "
            "none: no hidden state.",
            metavar="NAME",
        ),
    ],
    "hidden_size": Annotated[int | None, typer.Option(help="Units per layer.")],
    "num_layers": Annotated[int | None, typer.Option(help="Layers.")],
    "bidirectional": Annotated[
        bool | None,
        typer.Option("--bidirectional/--one-direction", help="Also read from the end."),
    ],
    "dropout": Annotated[float | None, typer.Option(help="Share left out.")],
    "batch_size": Annotated[int | None, typer.Option(help="Examples per update.")],
    "learning_rate": Annotated[float | None, typer.Option(help="Step size.")],
    "optimizer": Annotated[str | None, typer.Option(help="Of torch.optim.")],
    "max_norm": Annotated[
        float | None, typer.Option(help="Clip the gradient norm here.")
    ],
    "truncation": Annotated[
        str | None, typer.Option(help="full, chunked or random.", metavar="KIND")
    ],
    "tau": Annotated[
        int | None, typer.Option(help="Steps the gradient flows back, unless full.")
    ],
    "epochs": Annotated[int | None, typer.Option(help="Passes over the examples.")],
    "time_budget": Annotated[
        float | None, typer.Option(help="Stop training after so many seconds.")
    ],
    "valid": Annotated[
        list[str] | None,
        typer.Option(
            help="Held out: files, or a share.  \\[default: 0.1]", metavar="FILE|SHARE"
        ),
    ],
    "test": Annotated[
        list[Path] | None,
        typer.Option(help="Measured at the end only.", metavar="FILE"),
    ],
    "out": Annotated[
        Path | None,
        typer.Option(help="Run folder to make.  \\[default: runs/TASK-DATE-TIME]"),
    ],
    "resume": Annotated[
        Path | None, typer.Option(help="Continue this run.", metavar="RUN")
    ],
    "overwrite": Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing --out folder.")
    ],
    "seed": Annotated[int | None, typer.Option(help="Seed of everything random.")],
    "against_none": Annotated[
        bool,
        typer.Option(
            "--against-none",
            help="Also train without hidden state, and print what it adds.",
        ),
    ],
    "set_": Settings,
    "tensorboard": Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard events.")
    ],
    "as_json": Json,
}
# Of these, what is no option of model or training.
HANDLED = (
    *("valid", "test", "out", "resume", "overwrite"),
    *("set_", "tensorboard", "against_none"),
)
# Of these, what is asked for by its name alone.
FLAGS = ("overwrite", "tensorboard", "against_none", "as_json")


def register(app: typer.Typer) -> None:
    """Add a command for every task."""
    for name in TASKS:
        app.command(name)(make_command(name))


def make_command(name: str) -> Callable[..., None]:
    """The command that trains one task."""
    kind = options_class(name)
    hints: dict[str, Any] = {"files": Files}
    for entry in fields(kind):
        hints[entry.name] = _annotation(entry)
    hints.update(COMMON)
    parameters = [
        inspect.Parameter(
            key,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if key in FLAGS else None,
            annotation=hint,
        )
        for key, hint in hints.items()
    ]

    def command(**given: Any) -> None:
        _train(name, given)

    command.__doc__ = _help(kind)
    command.__name__ = name
    command.__annotations__ = hints
    command.__signature__ = inspect.Signature(parameters)
    return command


def _help(kind: type) -> str:
    """The docstring of options for a terminal: each paragraph in one line."""
    text = inspect.cleandoc(kind.__doc__ or "")
    paragraphs = [
        " ".join(part.split())
        for part in text.replace("\nExample:", "\n\nExample:").split("\n\n")
    ]
    # What is there for those who read the code.
    sections = ("Raises:", "Attributes:", "Args:", ">>>")
    return "\n\n".join(p for p in paragraphs if not p.startswith(sections))


def _annotation(entry: Any) -> Any:
    """A field of options as typer reads it; None where nothing is given."""
    text, metavar = entry.metadata["help"], entry.metadata["metavar"]
    if entry.default is not None and not isinstance(entry.default, bool):
        shown = str(entry.default).replace("[", "\\[")
        text += f"  \\[default: {shown}]"
    dashed = entry.name.replace("_", "-")
    kind = entry.type
    plain = next((t for t in get_args(kind) if t is not type(None)), kind)
    if plain is bool:
        # What is usually done can be left out; what is not can only be asked for.
        names = f"--{dashed}/--no-{dashed}" if entry.default else f"--{dashed}"
        if entry.default:
            text += "  \\[default: yes]"
        return Annotated[bool | None, typer.Option(names, help=text)]
    return Annotated[
        plain | None, typer.Option(f"--{dashed}", help=text, metavar=metavar)
    ]


def _train(name: str, given: dict[str, Any]) -> None:
    from throughtime.cli.launch import begun_run
    from throughtime.cli.options import finish
    from throughtime.cli.train_task import resume_task, run_task, start_task
    from throughtime.training import join_team

    as_json = given.pop("as_json")
    handled = {key: given.pop(key) for key in HANDLED}
    files = given.pop("files") or []
    chosen = {key: value for key, value in given.items() if value is not None}
    resume, out = handled["resume"], handled["out"]
    if resume is None and (chosen.get("folds") or chosen.get("baselines_only")):
        from throughtime.cli.options import check_left_out
        from throughtime.cli.train_task import without_run

        unused = ("out", "overwrite", "tensorboard", "against_none")
        check_left_out(
            "what makes no run",
            **{key: (handled[key] or None, None) for key in unused},
        )
        result = without_run(
            name,
            files,
            valid=handled["valid"] or [],
            test=handled["test"] or [],
            given=chosen,
            settings=handled["set_"] or [],
        )
        finish(result, as_json)
        return
    with join_team() as team:
        begun = begun_run(out, resume, team)
        if begun is not None:
            task = resume_task(name, begun, team=team)
        elif resume is not None:
            others = {key: handled[key] for key in ("valid", "test", "out")}
            others["overwrite"] = handled["overwrite"] or None
            others["FILE"] = files or None
            task = resume_task(
                name,
                resume,
                changed=chosen,
                settings=handled["set_"] or [],
                others=others,
                team=team,
            )
        else:
            task = start_task(
                name,
                files,
                valid=handled["valid"] or [],
                test=handled["test"] or [],
                given=chosen,
                settings=handled["set_"] or [],
                out=out,
                overwrite=handled["overwrite"],
                team=team,
            )
        result = run_task(
            task,
            tensorboard=handled["tensorboard"],
            against_none=handled["against_none"],
        )
    if team.is_first:
        finish(result, as_json)
