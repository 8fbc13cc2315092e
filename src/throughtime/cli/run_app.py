"""The commands that take trained runs, from evaluate to export."""

from pathlib import Path
from typing import Annotated

import typer

from throughtime.cli.options import Json, RunPath, finish

Answering = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An option of answering, as in beam_size=5; may be repeated.",
    ),
]
Prompt = Annotated[str, typer.Option(help="Text to continue.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (evaluate, predict, explain, compare, generate, complete, export):
        app.command()(command)


def evaluate(
    run: RunPath,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Texts, folders, or a task's files; none: the run's held-out part.",
        ),
    ] = None,
    cache: Annotated[
        str | None,
        typer.Option(
            help="Mix in a cache of the last tokens: unigram, or neural for networks.",
            metavar="KIND",
        ),
    ] = None,
    dynamic: Annotated[
        bool,
        typer.Option("--dynamic", help="Let a network learn from what it has scored."),
    ] = False,
    set_: Answering = None,
    as_json: Json = False,
) -> None:
    """Measure how well a trained model predicts a text, or answers a task's examples.

    What --cache and --dynamic have to choose is chosen on the run's held-out part.

    Example: throughtime evaluate runs/book other.txt --json
    """
    from throughtime.cli.evaluate import run_evaluation
    from throughtime.cli.evaluate_task import evaluate_task
    from throughtime.tasks.run import is_task_run

    if is_task_run(run):
        if cache is not None or dynamic:
            from throughtime.errors import InvalidValue

            raise InvalidValue("--cache and --dynamic are for language models only")
        finish(evaluate_task(run, files or [], set_ or []), as_json)
        return
    finish(run_evaluation(run, files or [], cache=cache, dynamic=dynamic), as_json)


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run of a task.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="[INPUT]", help="A file, - for standard input, or the input itself."
        ),
    ] = "-",
    set_: Answering = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the answers here.", metavar="FILE")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing --out.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line instead of text.")
    ] = False,
) -> None:
    """Let a trained model answer: a line for each text, series, picture or recording.

    Example: throughtime predict runs/reviews "a sweet and funny film"
    """
    from throughtime.cli.predict import run_prediction

    run_prediction(
        run,
        source,
        settings=set_ or [],
        out=out,
        overwrite=overwrite,
        as_json=as_json,
    )


def explain(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run of train classify on texts.")
    ],
    text: Annotated[str, typer.Argument(help="One text.")],
    as_json: Json = False,
) -> None:
    """Show how a classifier of texts comes to its answer, word by word.

    The whole sum of naive Bayes, and what each word does to the network's answer.

    Example: throughtime explain runs/reviews "a sweet and funny film"
    """
    from throughtime.cli.explain import run_explanation

    finish(run_explanation(run, text), as_json)


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Runs, or ARPA files.")
    ],
    text: Annotated[
        list[Path] | None,
        typer.Option(
            help="Text to score, may be repeated; none: the held-out part of the "
            "first run.",
            metavar="FILE",
        ),
    ] = None,
    mix: Annotated[
        bool,
        typer.Option(
            "--mix", help="Also the mixture of all, with weights fitted on --valid."
        ),
    ] = False,
    valid: Annotated[
        list[Path] | None,
        typer.Option(
            help="What the mixture is fitted on, may be repeated; none: the held-out "
            "part of the first run.",
            metavar="FILE",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write a page with table and picture.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing --report.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Score one text with several models and print one table.

    Example: throughtime compare runs/kn5 runs/lstm --text test.txt --mix
    """
    from throughtime.cli.compare_runs import compare_runs

    result = compare_runs(
        runs,
        files=text or [],
        mixed=mix,
        valid=valid or [],
        report=report,
        overwrite=overwrite,
    )
    finish(result, as_json)


def generate(
    run: RunPath,
    prompt: Prompt = "\n",
    length: Annotated[int, typer.Option(help="Most tokens to generate.")] = 300,
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
    typical: Annotated[
        float | None,
        typer.Option(help="Sample from the most typical tokens of this mass only."),
    ] = None,
    beam_size: Annotated[int, typer.Option(help="Beams of method beam.")] = 5,
    length_penalty: Annotated[
        float, typer.Option(help="Beams are ranked by log P / length^this.")
    ] = 0.0,
    one_line: Annotated[
        bool, typer.Option("--one-line", help="Stop at the end of the line.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Same seed, same text.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Of train music: the MIDI file to write.", metavar="FILE"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing --out.")
    ] = False,
    interactive: Annotated[
        bool,
        typer.Option("--interactive", "-i", help="Ask for one prompt after the other."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Let a trained language model write, or a run of train music compose.

    A word that a word model does not know, at the end of the prompt, is taken as the
    beginning of the next one.

    Example: throughtime generate runs/book --prompt "The " --temperature 0.7
    Example: throughtime generate runs/chorales --length 64 --out tune.mid
    """
    from throughtime.cli.generate import GenerateOptions, generate_and_print
    from throughtime.cli.lm_run import open_run
    from throughtime.tasks.run import is_task_run

    if is_task_run(run):
        from throughtime.cli.compose import compose
        from throughtime.cli.options import check_left_out

        check_left_out(
            "a run of train music",
            method=(method, "sample"),
            top_k=(top_k, None),
            top_p=(top_p, None),
            typical=(typical, None),
            beam_size=(beam_size, 5),
            length_penalty=(length_penalty, 0.0),
            one_line=(one_line, False),
            interactive=(interactive, False),
        )
        begin = None if prompt == "\n" else prompt
        made = compose(
            run,
            prompt=begin,
            length=length,
            temperature=temperature,
            seed=seed,
            out=out,
            overwrite=overwrite,
        )
        finish(made, as_json)
        return

    options = GenerateOptions(
        length=length,
        method=method,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        typical=typical,
        beam_size=beam_size,
        length_penalty=length_penalty,
        one_line=one_line,
        seed=seed,
    )
    opened = open_run(run)
    if interactive:
        from throughtime.cli.interactive import converse

        finish({"texts": converse(opened, options)}, as_json)
    else:
        text = generate_and_print(opened, prompt, options)
        finish({"prompt": prompt, "text": text}, as_json)


def complete(
    run: RunPath,
    text: Annotated[
        str, typer.Argument(help="What comes before, or the beginning of a word too.")
    ],
    unfinished: Annotated[
        bool,
        typer.Option("--unfinished", help="The last word goes on, even if it is one."),
    ] = False,
    count: Annotated[int, typer.Option(help="Suggestions.")] = 10,
    as_json: Json = False,
) -> None:
    """Suggest the next word, with probabilities.

    Example: throughtime complete runs/book "students opened their w"
    """
    from throughtime.cli.complete import run_completion

    finish(run_completion(run, text, count=count, unfinished=unfinished), as_json)


def export(
    run: RunPath,
    arpa: Annotated[
        Path | None,
        typer.Option(help="An ARPA file of an n-gram model; .gz is compressed."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a trained model in a format that others read.

    Example: throughtime export runs/kn5 --arpa kn5.arpa.gz
    """
    from throughtime.cli.export import export_run

    finish(export_run(run, arpa=arpa, overwrite=overwrite), as_json)
